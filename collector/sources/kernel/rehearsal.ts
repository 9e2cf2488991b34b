import { EVENT_TYPES, FILE_KINDS, HEADER, OPEN, STRUCT_BYTES } from './layout.ts';
import { Memory } from './memory.ts';
import type { Process } from './process.ts';
import { RingReader } from './ring-reader.ts';

const RING_BYTES = 1 << 16;
const RECORD_BYTES = 192;
const ROUNDS = 30;
/** A millisecond's worth of those after the first, which are still slow. */
const STEP_EVENTS = 8;
/** linux/bpf.h: eight bytes before each record. */
const RING_HEADER_BYTES = 8;

/** What takes the made-up events. */
export interface Takers {
  /** The first: all that it meets is compiled then, which takes longer than real events should wait. */
  first(memory: Memory, at: number): Generator<undefined, void>;
  next(memory: Memory, at: number): void;
}

/**
 * Shows a few thousand made-up opens to the code that real ones are about to go through. The first events would meet code that is not yet
 * compiled, twenty times as slow, and a busy machine would fill the rings before it is. Stops after every few, for a thread that has real ones.
 */
export function* rehearse(caller: Process, timeNs: number, takers: Takers): Generator<undefined, void> {
  const ring = new ArrayBuffer(RING_BYTES);
  const records = Math.floor(RING_BYTES / (RECORD_BYTES + RING_HEADER_BYTES));
  for (let i = 0; i < records; i++)
    writeOpen(Buffer.from(ring, i * (RECORD_BYTES + RING_HEADER_BYTES)), caller, timeNs + i, i);
  yield;
  const reader = new RingReader([ring]);
  const all = [0, records * (RECORD_BYTES + RING_HEADER_BYTES), Number.MAX_SAFE_INTEGER];
  yield* takers.first(new Memory(ring), RING_HEADER_BYTES);
  for (let round = 0; round < ROUNDS; round++) {
    const positions = new Float64Array(all);
    while (positions[0] !== positions[1]) {
      let left = STEP_EVENTS;
      reader.read(positions, (memory, at) => {
        takers.next(memory, at);
        return --left > 0;
      });
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
