import { Verdicts } from '../../../rules/runtime.ts';
import type { Memory } from './memory.ts';

const SLOT_BITS = 14;
const SLOT_WORDS = 64;
/** Slots that a string may lie in. */
const WAY_BITS = 2;
const WAYS = 1 << WAY_BITS;

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
 * Turns bytes of a record into strings without allocating for those seen lately: paths repeat. Its size is fixed (by default 16,384 strings of up to
 * 256 bytes, 4 MiB of keys). A string has its place in one of four slots and pushes one of those out in turn: with a slot alone, of some thousand paths in
 * use every tenth would lose its place to another again and again, and with it what was decided about it.
 *
 * Strings in records begin at a multiple of 8 and are padded with zeros (event.h), so that hashing and comparing go by words.
 */
export class StringCache {
  readonly #shift: number;
  readonly #hashes: Int32Array;
  readonly #lengths: Uint16Array;
  readonly #keys: Uint32Array;
  readonly #strings: CachedString[];
  #turn = 0;

  /** @param slotBits 2^slotBits strings are kept */
  constructor(slotBits = SLOT_BITS) {
    const slots = 1 << slotBits;
    this.#shift = 32 - slotBits + WAY_BITS;
    this.#hashes = new Int32Array(slots);
    this.#lengths = new Uint16Array(slots);
    this.#keys = new Uint32Array(slots * SLOT_WORDS);
    this.#strings = new Array<CachedString>(slots).fill(NO_STRING);
  }

  /**
   * @param at offset of the first byte in `memory`
   * @param length in bytes, not 0
   * @returns the bytes as UTF-8; what is not UTF-8 becomes U+FFFD
   */
  get(memory: Memory, at: number, length: number): CachedString {
    const words = (length + 3) >>> 2;
    if (words > SLOT_WORDS) return new CachedString(memory.bytes.toString('utf8', at, at + length));
    const u32 = memory.u32;
    const first = at >>> 2;
    // Multiplied before they are mixed: what waits for nothing runs side by side.
    let mixed = length;
    for (let i = first; i < first + words; i++)
      mixed = ((mixed << 5) | (mixed >>> 27)) ^ Math.imul(u32[i]!, 0x9e3779b1);
    const hash = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
    const set = (hash >>> this.#shift) << WAY_BITS;
    const keys = this.#keys;
    for (let slot = set; slot < set + WAYS; slot++) {
      if (this.#hashes[slot] !== hash || this.#lengths[slot] !== length) continue;
      const key = slot * SLOT_WORDS;
      let i = 0;
      while (i < words && keys[key + i] === u32[first + i]) i++;
      if (i === words) return this.#strings[slot]!;
    }
    const slot = this.#vacate(set);
    this.#hashes[slot] = hash;
    this.#lengths[slot] = length;
    keys.set(u32.subarray(first, first + words), slot * SLOT_WORDS);
    const fresh = new CachedString(memory.bytes.toString('utf8', at, at + length));
    this.#strings[slot] = fresh;
    return fresh;
  }

  /** A slot that nothing is in any more, or was yet. */
  #vacate(set: number): number {
    for (let slot = set; slot < set + WAYS; slot++) if (this.#lengths[slot] === 0) return slot;
    this.#turn = (this.#turn + 1) % WAYS;
    return set + this.#turn;
  }
}
