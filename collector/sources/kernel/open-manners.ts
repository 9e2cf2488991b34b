import { Verdicts } from '../../../rules/runtime.ts';
import type { EventView } from './event-view.ts';
import { HEADER, OPEN } from './layout.ts';

const SLOT_BITS = 8;
const KEY_WORDS = 4;

/**
 * In what manner a file was opened: flags, mode, what kind of file it is, by which convention it was asked for, and success or the error. A machine opens its files in some ten manners, so what
 * rules decide about one comes again at once. Direct-mapped: a manner pushes out the one in its place.
 */
export class OpenManners {
  readonly #keys = new Int32Array(KEY_WORDS << SLOT_BITS);
  readonly #verdicts = Array.from({ length: 1 << SLOT_BITS }, () => new Verdicts());

  /** What rules decided about the manner of an event that opens something; undefined for other events. */
  verdicts(event: EventView): Verdicts | undefined {
    if (event.shape !== 'open') return undefined;
    const flags = event.i32(OPEN.flags);
    const mode = event.u16(OPEN.mode);
    const kind = (event.kind << 8) | event.abi;
    // A descriptor's number says nothing about how it was opened.
    const error = event.i32(HEADER.result + 4) < 0 ? event.i32(HEADER.result) : 0;
    const slot = Math.imul(flags ^ (mode << 20) ^ (kind << 3) ^ (error << 12), 0x9e3779b1) >>> (32 - SLOT_BITS);
    const key = KEY_WORDS * slot;
    const keys = this.#keys;
    if (keys[key] !== flags || keys[key + 1] !== mode || keys[key + 2] !== kind || keys[key + 3] !== error) {
      keys[key] = flags;
      keys[key + 1] = mode;
      keys[key + 2] = kind;
      keys[key + 3] = error;
      this.#verdicts[slot] = new Verdicts();
    }
    return this.#verdicts[slot];
  }
}
