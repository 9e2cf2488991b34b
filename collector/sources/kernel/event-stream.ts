import type { ContainerTable } from '../../event/container-table.ts';
import { EventView } from './event-view.ts';
import { EVENT_TYPE_NAMES, EVENT_TYPES, HEADER } from './layout.ts';
import type { Memory } from './memory.ts';
import { ProcessTable } from './process-table.ts';
import { COLLECTED_EVENT_TYPES } from './system-calls.ts';

const FORK_TYPES = new Set(['fork', 'vfork', 'clone', 'clone3'].map((name) => EVENT_TYPES.get(name)!));
const EXECVE = EVENT_TYPES.get('execve')!;
const EXECVEAT = EVENT_TYPES.get('execveat')!;
const PROCEXIT = EVENT_TYPES.get('procexit')!;

export interface EventStreamOptions {
  readonly containers: ContainerTable;
  readonly processTableEntries: number;
  /** Names of environment variables to keep. */
  readonly captureEnv: readonly string[];
  /** Process records of one process, or of all with pid 0. */
  readonly read: (pid: number) => Uint8Array;
}

/** Makes events of records, in the order of time, and keeps the process table by them: of the kernel's records, or of those of a recording. */
export class EventStream {
  readonly table: ProcessTable;
  readonly #view = new EventView();
  readonly #counts = new Float64Array(EVENT_TYPE_NAMES.length);

  constructor({ containers, processTableEntries, captureEnv, read }: EventStreamOptions) {
    this.table = new ProcessTable({
      containers,
      capacity: processTableEntries,
      captureEnv: new Set(captureEnv),
      read,
    });
  }

  /** The event of a record: the same object each time, good until the next record. */
  take(memory: Memory, at: number): EventView {
    const type = memory.u16[(at + HEADER.type) >>> 1]!;
    this.#counts[type] = this.#counts[type]! + 1;
    const process = type === EXECVE || type === EXECVEAT ? this.table.onExec(memory, at) : this.table.of(memory, at);
    if (FORK_TYPES.has(type)) this.table.onFork(memory, at, process);
    else if (type === PROCEXIT) this.table.onExit(process, memory.u64(at + HEADER.time_ns));
    this.#view.select(memory, at, process);
    return this.#view;
  }

  /** Records so far, by event type. */
  counts(): Record<string, number> {
    return Object.fromEntries(COLLECTED_EVENT_TYPES.map((name) => [name, this.#counts[EVENT_TYPES.get(name)!]!]));
  }
}
