import { EVENT_TYPES, FILE_KINDS, HEADER, OPEN, STRUCT_BYTES } from './layout.ts';
import type { Process } from './process.ts';
import { RingReader, type Take } from './ring-reader.ts';

const RING_BYTES = 1 << 16;
const RECORD_BYTES = 192;
const ROUNDS = 30;
/** A millisecond's worth of the first, which are the slow ones. */
const STEP_EVENTS = 32;
/** linux/bpf.h: eight bytes before each record. */
const RING_HEADER_BYTES = 8;

/**
 * Shows a few thousand made-up opens to the code that real ones are about to go through. The first events would meet code that is not yet
 * compiled, twenty times as slow, and a busy machine would fill the rings before it is. Stops after every few, for a thread that has real ones.
 */
export function* rehearse(caller: Process, timeNs: number, take: Take): Generator<undefined, void> {
  const ring = new ArrayBuffer(RING_BYTES);
  const records = Math.floor(RING_BYTES / (RECORD_BYTES + RING_HEADER_BYTES));
  for (let i = 0; i < records; i++)
    writeOpen(Buffer.from(ring, i * (RECORD_BYTES + RING_HEADER_BYTES)), caller, timeNs + i, i);
  const reader = new RingReader([ring]);
  for (let round = 0; round < ROUNDS; round++) {
    const positions = new Float64Array([0, records * (RECORD_BYTES + RING_HEADER_BYTES), Number.MAX_SAFE_INTEGER]);
    while (positions[0] !== positions[1]) {
      let left = STEP_EVENTS;
      reader.read(positions, (memory, at) => take(memory, at) && --left > 0);
      yield;
    }
  }
}

/** Numbers are of the size that real ones have: code compiled for small ones would be thrown away at the first real event. */
function writeOpen(bytes: Buffer, caller: Process, timeNs: number, number: number): void {
  bytes.writeUInt32LE(RECORD_BYTES, 0);
  const record = bytes.subarray(RING_HEADER_BYTES);
  const path = `/usr/lib/rehearsal/${number % 100}.so`;
  record.writeUInt16LE(EVENT_TYPES.get('openat')!, HEADER.type);
  record.writeBigUInt64LE(BigInt(timeNs), HEADER.time_ns);
  record.writeBigUInt64LE(BigInt(caller.startTimeNs), HEADER.start_time_ns);
  record.writeUInt32LE(caller.pid, HEADER.pid);
  record.writeUInt32LE(caller.pid, HEADER.tid);
  record.writeUInt32LE(caller.execId, HEADER.exec_id);
  record.writeBigInt64LE(BigInt(3 + (number % 20)), HEADER.result);
  record.writeBigUInt64LE(BigInt(number) << 33n, OPEN.ino);
  record.writeUInt8(FILE_KINDS.get('file')!, HEADER.kind);
  const start = STRUCT_BYTES.open_event;
  record.write(path, start);
  for (const ref of [OPEN.path, OPEN.path_raw]) {
    record.writeUInt16LE(start, ref);
    record.writeUInt16LE(path.length, ref + 2);
  }
}
