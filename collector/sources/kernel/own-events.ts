import { FAMILY_CANARIES, OPERATION_CANARY } from './canary-calls.ts';
import { DESCRIPTOR, EVENT_TYPES, FORK, HEADER, OPEN, PATH, PROCESS, SCALAR, SOCKET } from './layout.ts';
import type { Memory } from './memory.ts';

const FORKS = new Set(['fork', 'vfork', 'clone', 'clone3'].map((name) => EVENT_TYPES.get(name)!));
const EXECVE = EVENT_TYPES.get('execve')!;
const PROCEXIT = EVENT_TYPES.get('procexit')!;
const BPF = EVENT_TYPES.get('bpf')!;
const OPENAT2 = EVENT_TYPES.get('openat2')!;
const IO_URING_ENTER = EVENT_TYPES.get('io_uring_enter')!;
const [OPENED, PATHS, DESCRIPTORS, SOCKETS, SCALARS, SOCKETCALLS] = FAMILY_CANARIES.map(({ type }) => type);
/** linux/bpf.h, BPF_OBJ_GET_INFO_BY_FD */
const GET_INFO = 15;
/** The argument of io_uring_enter that carries the token: the size of a signal mask that is not there. */
const SIGNAL_MASK_BYTES = 5;

/** The types of which some are of the agent's own making. */
export const POSSIBLY_OWN: readonly number[] = [
  ...FORKS,
  EXECVE,
  PROCEXIT,
  BPF,
  OPENAT2,
  IO_URING_ENTER,
  ...FAMILY_CANARIES.map(({ type }) => type),
  OPERATION_CANARY,
];

/** linux/fcntl.h: what is opened so can be neither read nor written. */
const O_PATH = 0o10000000;

/** What knows the agent's own events. */
export interface Own {
  /** This process, if it looks at where paths lead (native/addon/resolve.c): nothing else in it calls openat2. Else no process. */
  readonly lookingPid: number;
  /** Those of canaries, if any are made. */
  readonly canaries: Pick<OwnEvents, 'take'> | undefined;
}

/** Whether an event of the types above is of the agent's own making, and nobody is to see it. */
export function isOwn({ lookingPid, canaries }: Own, type: number, memory: Memory, at: number): boolean {
  if (type !== OPENAT2) return canaries?.take(type, memory, at) ?? false;
  return memory.u32[(at + HEADER.pid) >>> 2] === lookingPid && (memory.u32[(at + OPEN.flags) >>> 2]! & O_PATH) !== 0;
}

export interface OwnEventsOptions {
  readonly token: number;
  /** The process that was made, as this process sees it; below 0: none. */
  readonly child: number;
  /** This process in the first pid namespace. */
  readonly selfPid: number;
  /** Where its children get their numbers. */
  readonly pidNamespace: number;
}

/**
 * Knows the events that one round of canaries made. Each is taken once: a number that is given to another process later hides nothing of it.
 */
export class OwnEvents {
  /** Programs that told what they were to tell. */
  readonly seen = new Set<string>();
  readonly #options: OwnEventsOptions;
  readonly #argument: string;
  #childPid = -1;
  #childStartNs = -1;

  constructor(options: OwnEventsOptions) {
    this.#options = options;
    this.#argument = options.token.toString(16).padStart(8, '0');
  }

  /** @returns true if it is the agent's own, or another agent's canary */
  take(type: number, memory: Memory, at: number): boolean {
    if (FORKS.has(type)) return this.#takeFork(memory, at);
    if (type === EXECVE) return this.#takeExec(memory, at);
    if (type === PROCEXIT) return this.#takeExit(memory, at);
    if (type === BPF) return this.#isOurs(memory, at) && memory.u64(at + SCALAR.arguments) === GET_INFO;
    if (type === IO_URING_ENTER)
      return (
        this.#isOurs(memory, at) && memory.u64(at + SCALAR.arguments + 8 * SIGNAL_MASK_BYTES) === this.#options.token
      );
    this.#takeCanary(type, memory, at);
    return true;
  }

  #takeFork(memory: Memory, at: number): boolean {
    const u32 = (offset: number): number => memory.u32[(at + offset) >>> 2]!;
    const { child, pidNamespace } = this.#options;
    if (u32(FORK.child_vpid) !== child || u32(FORK.child_pid_namespace) !== pidNamespace) return false;
    return this.#takeChild('collect_fork', u32(FORK.child_pid), memory.u64(at + FORK.child_start_time_ns));
  }

  #takeExec(memory: Memory, at: number): boolean {
    const u32 = (offset: number): number => memory.u32[(at + offset) >>> 2]!;
    const { child, pidNamespace } = this.#options;
    if (u32(PROCESS.vpid) !== child || u32(PROCESS.pid_namespace) !== pidNamespace) return false;
    if (!text(memory, at, PROCESS.argv).includes(this.#argument)) return false;
    return this.#takeChild('collect_exec', u32(HEADER.pid), memory.u64(at + HEADER.start_time_ns));
  }

  #takeExit(memory: Memory, at: number): boolean {
    const isChild =
      memory.u32[(at + HEADER.pid) >>> 2] === this.#childPid &&
      memory.u64(at + HEADER.start_time_ns) === this.#childStartNs;
    return isChild && this.#once('collect_exit');
  }

  #takeChild(program: string, pid: number, startNs: number): boolean {
    if (!this.#once(program)) return false;
    this.#childPid = pid;
    this.#childStartNs = startNs;
    return true;
  }

  #once(program: string): boolean {
    const isFirst = !this.seen.has(program);
    this.seen.add(program);
    return isFirst;
  }

  #isOurs(memory: Memory, at: number): boolean {
    return memory.u32[(at + HEADER.pid) >>> 2] === this.#options.selfPid;
  }

  #takeCanary(type: number, memory: Memory, at: number): void {
    if (!this.#isOurs(memory, at) || tokenOf(type, memory, at) !== this.#options.token) return;
    if (type === OPERATION_CANARY) {
      this.seen.add('submit_operation').add('complete_operation');
      return;
    }
    const { program } = FAMILY_CANARIES.find((canary) => canary.type === type)!;
    this.seen.add('dispatch_sys_exit').add(program);
    if (type !== PATHS) return;
    // What was noted at the beginning is told beside what stands there at the end.
    const path = text(memory, at, PATH.path_raw);
    if (path.includes(this.#argument) && text(memory, at, PATH.path_before) === path) this.seen.add('note_paths');
  }
}

/** Where native/bpf/event.h says that it stands. */
function tokenOf(type: number, memory: Memory, at: number): number {
  switch (type) {
    case OPENED:
      return memory.u32[(at + OPEN.flags) >>> 2]!;
    case PATHS:
      return memory.u32[(at + PATH.argument) >>> 2]!;
    case DESCRIPTORS:
      return memory.u32[(at + DESCRIPTOR.argument) >>> 2]!;
    case SOCKETS:
    case SOCKETCALLS:
      return memory.u32[(at + SOCKET.fd) >>> 2]!;
    case SCALARS:
    case OPERATION_CANARY:
      return memory.u32[(at + SCALAR.arguments) >>> 2]!;
    default:
      return 0;
  }
}

function text(memory: Memory, at: number, ref: number): string {
  const start = at + memory.u16[(at + ref) >>> 1]!;
  return memory.bytes.toString('latin1', start, start + memory.u16[((at + ref) >>> 1) + 1]!);
}
