import type { ContainerTable } from '../../event/container-table.ts';
import { EventView } from './event-view.ts';
import { EVENT_TYPE_NAMES, EVENT_TYPES, HEADER } from './layout.ts';
import type { Memory } from './memory.ts';
import { POSSIBLY_OWN } from './own-events.ts';
import type { PathResolver, ResolvedPaths } from './path-links.ts';
import { ProcessTable } from './process-table.ts';
import { COLLECTED_EVENT_TYPES } from './system-calls.ts';

/** What is to be done about a record beside showing it; 0 for most, so that those cost one look. */
const FORKS = 1;
const EXECUTES = 2;
const EXITS = 4;
const IS_CANARY = 8;
const MAY_BE_OWN = 16;
/** Changes the process table, whoever sees it. */
const LIVES = FORKS | EXECUTES | EXITS;

const WORK = new Uint8Array(EVENT_TYPE_NAMES.length);
for (const name of ['fork', 'vfork', 'clone', 'clone3']) WORK[EVENT_TYPES.get(name)!] = FORKS;
for (const name of ['execve', 'execveat']) WORK[EVENT_TYPES.get(name)!] = EXECUTES;
WORK[EVENT_TYPES.get('procexit')!] = EXITS;
for (const [type, name] of EVENT_TYPE_NAMES.entries()) if (name.startsWith('canary_')) WORK[type] = IS_CANARY;
for (const type of POSSIBLY_OWN) WORK[type] = WORK[type]! | MAY_BE_OWN;

export interface EventStreamOptions {
  readonly containers: ContainerTable;
  readonly processTableEntries: number;
  /** Names of environment variables to keep. */
  readonly captureEnv: readonly string[];
  /** Process records of one process, or of all with pid 0. */
  readonly read: (pid: number) => Uint8Array;
  /** Is asked about records that may be of the agent's own making. True: it is, and no rule is to see it. */
  readonly isOwn?: (type: number, memory: Memory, at: number) => boolean;
  /** Finds out where links lead. Without one {@link EventStream.take} is told. */
  readonly links?: PathResolver;
}

/** Makes events of records, in the order of time, and keeps the process table by them: of the kernel's records, or of those of a recording. */
export class EventStream {
  readonly table: ProcessTable;
  readonly #view: EventView;
  readonly #counts = new Float64Array(EVENT_TYPE_NAMES.length);

  readonly #isOwn: NonNullable<EventStreamOptions['isOwn']>;

  constructor({ containers, processTableEntries, captureEnv, read, isOwn = () => false, links }: EventStreamOptions) {
    this.#view = new EventView(links);
    this.#isOwn = isOwn;
    this.table = new ProcessTable({
      containers,
      capacity: processTableEntries,
      captureEnv: new Set(captureEnv),
      read,
    });
  }

  /** The event of a record: the same object each time, good until the next record. Undefined if it is the agent's own and nobody is to see it. */
  take(memory: Memory, at: number, resolved?: ResolvedPaths): EventView | undefined {
    const type = memory.u16[(at + HEADER.type) >>> 1]!;
    const work = WORK[type]!;
    const isOwn = work >= IS_CANARY && this.#isOwn(type, memory, at);
    if ((work & IS_CANARY) !== 0 || (isOwn && (work & LIVES) === 0)) return undefined;
    this.table.reach(memory, at);
    const process = (work & EXECUTES) !== 0 ? this.table.onExec(memory, at) : this.table.of(memory, at);
    if ((work & FORKS) !== 0) this.table.onFork(memory, at, process);
    else if ((work & EXITS) !== 0) this.table.onExit(process, memory.u64(at + HEADER.time_ns));
    if (isOwn) return undefined;
    this.#counts[type] = this.#counts[type]! + 1;
    this.#view.select(memory, at, process, resolved);
    return this.#view;
  }

  /** Records so far, by event type. */
  counts(): Record<string, number> {
    return Object.fromEntries(COLLECTED_EVENT_TYPES.map((name) => [name, this.#counts[EVENT_TYPES.get(name)!]!]));
  }
}
