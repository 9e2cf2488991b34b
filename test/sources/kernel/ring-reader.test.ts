import assert from 'node:assert/strict';
import { it } from 'node:test';
import { HEADER } from '../../../collector/sources/kernel/layout.ts';
import { RingReader } from '../../../collector/sources/kernel/ring-reader.ts';

const RECORD_BYTES = 88;
const RECORD_HEADER_BYTES = 8;

/** A ring as the kernel leaves it, with records of these times from a position on; one at the end wraps. */
class Ring {
  readonly buffer: ArrayBuffer;
  readonly from: number;
  to: number;

  constructor(bytes: number, times: readonly number[], from = 0) {
    this.buffer = new ArrayBuffer(bytes);
    this.from = from;
    this.to = from;
    for (const time of times) this.#append(time);
  }

  #append(time: number): void {
    const record = Buffer.alloc(RECORD_HEADER_BYTES + RECORD_BYTES);
    record.writeUInt32LE(RECORD_BYTES);
    record.writeBigUInt64LE(BigInt(time), RECORD_HEADER_BYTES + HEADER.time_ns);
    const bytes = new Uint8Array(this.buffer);
    for (const byte of record) bytes[this.to++ % bytes.length] = byte;
  }
}

/** The times of the records that are read, and how far that was. */
function read(rings: readonly Ring[], until: number, most = Number.POSITIVE_INFINITY) {
  const reader = new RingReader(rings.map(({ buffer }) => buffer));
  const positions = Float64Array.from([...rings.flatMap(({ from, to }) => [from, to]), until]);
  const times: number[] = [];
  const go = (): void =>
    reader.read(positions, (memory, at) => {
      times.push(memory.u64(at + HEADER.time_ns));
      return times.length < most;
    });
  go();
  return { times, positions, go };
}

it('merges rings of any size by time', () => {
  const { times } = read([new Ring(4096, [1, 5, 6]), new Ring(1024, [2, 3, 9]), new Ring(1024, [])], 100);
  assert.deepEqual(times, [1, 2, 3, 5, 6, 9]);
});

it('puts together a record that goes on at the beginning of its ring, whatever the size of the others', () => {
  const { times } = read([new Ring(4096, [1, 4], 4096 - 40), new Ring(1024, [2, 3], 1024 * 7 - 16)], 100);
  assert.deepEqual(times, [1, 2, 3, 4]);
});

it('leaves what is newer than the time until which nothing is missing, and takes it later', () => {
  const { times, positions, go } = read([new Ring(4096, [1, 20, 30]), new Ring(1024, [10, 11, 40])], 20);
  assert.deepEqual(times, [1, 10, 11, 20]);
  positions[4] = 35;
  go();
  assert.deepEqual(times, [1, 10, 11, 20, 30]);
  assert.equal(positions[2]! + RECORD_HEADER_BYTES + RECORD_BYTES, positions[3]);
});

it('stops when it is told to, and goes on where it was', () => {
  const { times, go } = read([new Ring(4096, [1, 3]), new Ring(1024, [2])], 100, 2);
  assert.deepEqual(times, [1, 2]);
  go();
  assert.deepEqual(times, [1, 2, 3]);
});
