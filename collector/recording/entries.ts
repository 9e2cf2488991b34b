import type { Memory } from '../sources/kernel/memory.ts';
import { ENTRY_HEADER_BYTES, MORE, MOST_JOINED_BYTES, padded } from './format.ts';
import type { Block } from './reader.ts';

/** Takes an entry. It must keep nothing of the memory past the call. @throws Error saying what is wrong with it */
export type TakeEntry = (kind: number, memory: Memory, at: number, length: number) => void;

/** Takes blocks apart, and puts together what goes on over several entries. */
export class Entries {
  readonly #take: TakeEntry;
  readonly #toMemory: (bytes: Uint8Array) => Memory;
  #parts: Buffer[] = [];
  #partsKind = 0;
  #partsBytes = 0;

  /** @param toMemory of bytes that begin at a multiple of 8 */
  constructor(take: TakeEntry, toMemory: (bytes: Uint8Array) => Memory) {
    this.#take = take;
    this.#toMemory = toMemory;
  }

  /** @throws Error saying what is wrong with the block's content */
  read({ memory, length: end }: Block): void {
    let at = 0;
    while (at < end) {
      const length = memory.u32[at >>> 2]!;
      const kind = memory.u32[(at >>> 2) + 1]!;
      const start = at + ENTRY_HEADER_BYTES;
      at = start + padded(length);
      if (length > end || at > end) throw new Error(`an entry of ${length} bytes goes beyond its block`);
      if (kind >= MORE || this.#partsBytes > 0) this.#addPart(kind, memory.bytes.subarray(start, start + length));
      else this.#take(kind, memory, start, length);
    }
  }

  #addPart(kind: number, bytes: Uint8Array): void {
    const bare = kind % MORE;
    if (this.#partsBytes > 0 && bare !== this.#partsKind) throw new Error('an entry does not go on as it began');
    this.#partsKind = bare;
    this.#partsBytes += bytes.length;
    if (this.#partsBytes > MOST_JOINED_BYTES) throw new Error(`an entry has more than ${MOST_JOINED_BYTES} bytes`);
    this.#parts.push(Buffer.from(bytes));
    if (kind >= MORE) return;
    const whole = this.#toMemory(Buffer.concat(this.#parts));
    const length = this.#partsBytes;
    this.#parts = [];
    this.#partsBytes = 0;
    this.#take(bare, whole, 0, length);
  }
}
