import { HEADER } from './layout.ts';
import type { Memory } from './memory.ts';
import type { Process } from './process.ts';

const SLOTS = 256;
const KEY_WORDS = 3;
const PID = HEADER.pid >>> 2;
const START = HEADER.start_time_ns >>> 2;
const EXEC_ID = HEADER.exec_id >>> 2;

/**
 * The processes of the last events, by what their records say of them: three words to compare, where the table itself has to look up a number and to make
 * a time of two. Direct-mapped: a process pushes out the one in its place.
 */
export class RecentProcesses {
  readonly #keys = new Uint32Array(KEY_WORDS * SLOTS);
  readonly #processes = new Array<Process | undefined>(SLOTS).fill(undefined);

  /** The process of a record, if it is one of these and has not executed anything since that was not seen. */
  of(memory: Memory, at: number): Process | undefined {
    const { u32 } = memory;
    const word = at >>> 2;
    const pid = u32[word + PID]!;
    const slot = pid % SLOTS;
    const key = KEY_WORDS * slot;
    const keys = this.#keys;
    const isSame = keys[key] === pid && keys[key + 1] === u32[word + START] && keys[key + 2] === u32[word + START + 1];
    const process = this.#processes[slot];
    return isSame && process !== undefined && u32[word + EXEC_ID]! <= process.execId ? process : undefined;
  }

  add(process: Process, { u32 }: Memory, at: number): void {
    const word = at >>> 2;
    const slot = process.pid % SLOTS;
    this.#keys.set([process.pid, u32[word + START]!, u32[word + START + 1]!], KEY_WORDS * slot);
    this.#processes[slot] = process;
  }

  /** The number means something else from now on, or nothing. */
  drop(pid: number): void {
    const slot = pid % SLOTS;
    if (this.#processes[slot]?.pid === pid) this.#processes[slot] = undefined;
  }
}
