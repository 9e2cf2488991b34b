import { HEADER } from './layout.ts';
import { Memory } from './memory.ts';

/** Bytes before each record in a ring: its length, and where it lies (linux/bpf.h). */
const RECORD_HEADER_BYTES = 8;
const LENGTH_MASK = 0x3fffffff;
/** RECORD_STRINGS_BYTES of record.bpf.h, above which the probe counts a record as too large. */
const MAX_RECORD_BYTES = 32_768;

/** Takes one record. It must keep nothing of the memory past the call. @returns false to take no further one now */
export type Take = (memory: Memory, at: number) => boolean;

/** Walks the records of several rings in the order of time, in place. */
export class RingReader {
  readonly #memories: readonly Memory[];
  readonly #wrapped = new Memory(new ArrayBuffer(MAX_RECORD_BYTES));

  /** @param rings the data of each: a power of two */
  constructor(rings: readonly ArrayBuffer[]) {
    this.#memories = rings.map((ring) => new Memory(ring));
  }

  /**
   * Takes every record up to the complete positions and no newer than the time behind them, oldest first, until `take` wants no more.
   * @param positions for each ring, read up to (moved on here) and complete up to; then that time
   */
  read(positions: Float64Array, take: Take): void {
    const until = positions[2 * this.#memories.length]!;
    for (;;) {
      let ring = -1;
      let time = Number.POSITIVE_INFINITY;
      let limit = until;
      for (let i = 0; i < this.#memories.length; i++) {
        if (positions[2 * i] === positions[2 * i + 1]) continue;
        const memory = this.#memories[i]!;
        const head = memory.u64(((positions[2 * i]! + RECORD_HEADER_BYTES) % memory.bytes.length) + HEADER.time_ns);
        if (head < time) {
          if (time < limit) limit = time;
          time = head;
          ring = i;
        } else if (head < limit) {
          limit = head;
        }
      }
      if (ring < 0 || time > until) return;
      if (!this.#readUntil(ring, positions, limit, take)) return;
    }
  }

  /** The ring with the oldest record goes on until another has an older one. */
  #readUntil(ring: number, positions: Float64Array, limit: number, take: Take): boolean {
    const memory = this.#memories[ring]!;
    const end = positions[2 * ring + 1]!;
    const { length: byteLength } = memory.bytes;
    const mask = byteLength - 1;
    let position = positions[2 * ring]!;
    let offset = position % byteLength; // positions outgrow 32 bits, offsets do not: the loop goes by these
    let first = true;
    let goesOn = true;
    while (position < end && goesOn) {
      const at = (offset + RECORD_HEADER_BYTES) & mask;
      if (!first && memory.u64(at + HEADER.time_ns) > limit) break;
      const length = memory.u32[offset >>> 2]! & LENGTH_MASK;
      goesOn = at + length <= byteLength ? take(memory, at) : this.#takeWrapped(memory, at, length, take);
      const size = (length + RECORD_HEADER_BYTES + 7) & ~7;
      offset = (offset + size) & mask;
      position += size;
      first = false;
    }
    positions[2 * ring] = position;
    return goesOn;
  }

  /** Once in a ring's length a record goes on at the beginning: it is put together aside. */
  #takeWrapped(memory: Memory, at: number, length: number, take: Take): boolean {
    const first = memory.bytes.length - at;
    this.#wrapped.bytes.set(memory.bytes.subarray(at), 0);
    this.#wrapped.bytes.set(memory.bytes.subarray(0, length - first), first);
    return take(this.#wrapped, 0);
  }
}
