import { Verdicts } from '../../../rules/runtime.ts';
import type { Memory } from './memory.ts';

const SLOT_BITS = 14;
const SLOT_WORDS = 64;

/** A string that was seen, and what was found out about it as a path. Nearly every path comes again. */
export class CachedString {
  readonly text: string;
  #verdicts: Verdicts | undefined;
  #verdictsAsWritten: Verdicts | undefined;
  #directory: string | undefined;
  #filename: string | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** What rules decided about it as a path. */
  get verdicts(): Verdicts {
    this.#verdicts ??= new Verdicts();
    return this.#verdicts;
  }

  /** What they decided about it as a caller's spelling of a path. */
  get verdictsAsWritten(): Verdicts {
    this.#verdictsAsWritten ??= new Verdicts();
    return this.#verdictsAsWritten;
  }

  get directory(): string {
    if (this.#directory === undefined) {
      const slash = this.text.lastIndexOf('/');
      this.#directory = slash > 0 ? this.text.slice(0, slash) : '/';
    }
    return this.#directory;
  }

  get filename(): string {
    this.#filename ??= this.text.slice(this.text.lastIndexOf('/') + 1);
    return this.#filename;
  }
}

export const NO_STRING = new CachedString('');

/**
 * Turns bytes of a record into strings without allocating for those seen lately: paths repeat. Direct-mapped, so its size is fixed
 * (by default 16,384 strings of up to 256 bytes, 4 MiB of keys) and a string pushes out the one in its place.
 *
 * Strings in records begin at a multiple of 8 and are padded with zeros (event.h), so that hashing and comparing go by words.
 */
export class StringCache {
  readonly #shift: number;
  readonly #keys: Uint32Array;
  readonly #lengths: Uint16Array;
  readonly #strings: CachedString[];

  /** @param slotBits 2^slotBits strings are kept */
  constructor(slotBits = SLOT_BITS) {
    const slots = 1 << slotBits;
    this.#shift = 32 - slotBits;
    this.#keys = new Uint32Array(slots * SLOT_WORDS);
    this.#lengths = new Uint16Array(slots);
    this.#strings = new Array<CachedString>(slots).fill(NO_STRING);
  }

  /**
   * @param at offset of the first byte in `memory`
   * @param length in bytes
   * @returns the bytes as UTF-8; what is not UTF-8 becomes U+FFFD
   */
  get(memory: Memory, at: number, length: number): CachedString {
    const words = (length + 3) >>> 2;
    if (words > SLOT_WORDS) return new CachedString(memory.bytes.toString('utf8', at, at + length));
    const u32 = memory.u32;
    const first = at >>> 2;
    let hash = length;
    for (let i = first; i < first + words; i++) hash = Math.imul((hash << 5) ^ (hash >>> 27) ^ u32[i]!, 0x9e3779b1);
    const slot = (hash ^ (hash >>> 13)) >>> this.#shift;
    const key = slot * SLOT_WORDS;
    if (this.#lengths[slot] === length) {
      let i = 0;
      while (i < words && this.#keys[key + i] === u32[first + i]) i++;
      if (i === words) return this.#strings[slot]!;
    }
    this.#keys.set(u32.subarray(first, first + words), key);
    this.#lengths[slot] = length;
    const fresh = new CachedString(memory.bytes.toString('utf8', at, at + length));
    this.#strings[slot] = fresh;
    return fresh;
  }
}
