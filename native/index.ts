/**
 * The typed face of the native part: the probe's life, its rings, its self-test. Everything that a user can get wrong is checked
 * here and told as a {@link ShikraError}; the addon below only moves bytes.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ShikraError } from '../collector/errors.ts';
import { type Btf, elfSection, parseBtf } from './btf.ts';
import { checkRequirements, checkRingMemory, explain } from './requirements.ts';

const OBJECT_URL = new URL('./build/probe.bpf.o', import.meta.url);
const ADDON_URL = new URL('./build/shikra.node', import.meta.url);
const CANARY = new URL('./build/shikra-canary', import.meta.url).pathname;

interface OpenProbe {
  readonly probe: unique symbol;
}

interface Addon {
  open(object: Uint8Array): Promise<OpenProbe>;
  configure(probe: OpenProbe, options: AddonOptions): void;
  rings(probe: OpenProbe): ArrayBuffer[];
  attach(probe: OpenProbe, onData: () => void): void;
  want(probe: OpenProbe, interests: Uint8Array, wantsCalls: boolean): void;
  detach(probe: OpenProbe): void;
  advance(probe: OpenProbe, positions: Float64Array): boolean;
  waitingBytes(probe: OpenProbe): number;
  drops(probe: OpenProbe): Float64Array;
  refusals(probe: OpenProbe): Float64Array;
  processes(probe: OpenProbe, pid: number): Buffer;
  clockOffset(): bigint;
  trim(): void;
  close(probe: OpenProbe): void;
  test(object: Uint8Array): ProgramTest[];
  provoke(probe: OpenProbe, provocation: AddonProvocation, program: string): Provoked;
  reap(probe: OpenProbe): boolean;
  interests(probe: OpenProbe): Buffer;
  programs(probe: OpenProbe): ProgramState[];
  mend(probe: OpenProbe): void;
  countRuns(probe: OpenProbe): void;
  running(): RunningProgram[];
  resolve(pid: number, mountNamespace: number, base: string, path: string, isFolder: boolean): string | undefined;
}

interface AddonProvocation {
  readonly token: number;
  readonly families: number;
  readonly turn: number;
  readonly operation: number;
}

interface AddonOptions {
  readonly ringBytes: number;
  readonly processRingBytes: number;
  readonly cpusPerRing: number;
  readonly env: number;
}

export interface ProbeOptions {
  /** Of each ring for system calls; a power of two, at least a page. */
  readonly ringBytes: number;
  /** Of each ring for what processes are told by: executions, forks, exits. The same. */
  readonly processRingBytes: number;
  readonly cpusPerRing: number;
  /** Whether an execution's record brings the environment. */
  readonly captureEnv: boolean;
}

/** What the probe is to collect. */
export interface Interests {
  /** Content of the probe's table `interests`: a `struct interest` for each ABI and system call number. */
  readonly interests: Uint8Array;
  /** Whether any system call is in the table. Until one is, none is slowed down. */
  readonly wantsCalls: boolean;
}

export interface ProgramTest {
  readonly program: string;
  readonly ok: boolean;
  /** Why not: the kernel's error and the end of its log. */
  readonly detail: string;
  /** What the verifier looked at; 0 if it refused. */
  readonly verifiedInstructions: number;
}

/** What the agent is to do itself, so that its programs have something to tell. */
export interface Provocation {
  /** By which it is known again; the highest of its 32 bits is set. */
  readonly token: number;
  /** Families whose program a call is made for: a bit for each. */
  readonly families: number;
  /** Rises by one with each: each of the processors that may be used gets its turn. */
  readonly turn: number;
  /** Whether an operation of io_uring is made. */
  readonly operation: boolean;
  /** Whether a process is made that executes something and ends. */
  readonly process: boolean;
}

export interface Provoked {
  /** The number of the process that was made, as this process sees it; 0: none was wanted; below 0: errno, negative. */
  readonly child: number;
  /** 0, or errno, negative: of the calls for families, and of the operation. */
  readonly calls: number;
  readonly operation: number;
}

/** What the kernel counts for a program. Runs and their time only while somebody has it do so. */
interface ProgramCounts {
  readonly name: string;
  /** It was called while it ran on the same processor, and was not run. */
  readonly missedRuns: number;
  readonly runs: number;
  readonly runNanos: number;
}

export interface ProgramState extends ProgramCounts {
  /** False: this kernel has no place for it. */
  readonly loaded: boolean;
  readonly attached: boolean;
  /** It was attached, and is not any more. */
  readonly lost: boolean;
  /** What the verifier looked at. */
  readonly verifiedInstructions: number;
}

/** A program of this machine; its name is what the kernel kept of it: 15 characters. */
export type RunningProgram = ProgramCounts;

let loaded: Addon | undefined;

function addon(): Addon {
  if (loaded !== undefined) return loaded;
  if (!existsSync(ADDON_URL)) throw new ShikraError('PROBE_NOT_BUILT', `no file ${ADDON_URL.pathname}`);
  try {
    loaded = createRequire(import.meta.url)(ADDON_URL.pathname) as Addon;
  } catch (error) {
    throw new ShikraError('PROBE_NOT_BUILT', (error as Error).message, { cause: error });
  }
  return loaded;
}

function object(): Buffer {
  if (!existsSync(OBJECT_URL)) throw new ShikraError('PROBE_NOT_BUILT', `no file ${OBJECT_URL.pathname}`);
  return readFileSync(OBJECT_URL);
}

/** The type information of the compiled probe: the layout of every record. */
export function wireFormat(): Btf {
  // A copy: the section alone would keep the whole file in memory.
  return parseBtf(Buffer.from(elfSection(object(), '.BTF')));
}

/** Loads each program of the probe by itself and says which the kernel takes. Attaches nothing. */
export function probeSelfTest(): ProgramTest[] {
  return addon().test(object());
}

/** The tracing programs that are loaded on this machine, by whoever. Without CAP_SYS_ADMIN the kernel names none. */
export function runningPrograms(): RunningProgram[] {
  return addon().running();
}

/** Nanoseconds to add to a kernel time (CLOCK_BOOTTIME) to get wall clock. */
export function clockOffsetNs(): bigint {
  return addon().clockOffset();
}

/** Gives back to the machine what the C allocator of this process keeps free. */
export function releaseFreeMemory(): void {
  addon().trim();
}

/** Where a path begins. */
export interface PathRoot {
  /** Of a process whose root it is; 0: that of this one. */
  readonly pid: number;
  /** That the process must be in. Of no account if pid is 0. */
  readonly mountNamespace: number;
  /** A folder below it that is the root instead; '' if there is none. */
  readonly base: string;
}

/**
 * Where a path leads, with every link on the way followed, if the kernel knows it by heart: nothing is waited for, neither disk nor server nor a program that is
 * a file system. Undefined if it does not, if nothing is there, or before Linux 5.12.
 * @param path from the root, as text; no link and no `..` leads out of it
 * @param isFolder whether only a folder will do
 */
export function resolvePath(
  { pid, mountNamespace, base }: PathRoot,
  path: string,
  isFolder: boolean,
): string | undefined {
  return addon().resolve(pid, mountNamespace, base, path, isFolder);
}

/** The probe: load, configure, attach, drain, detach. Rings and positions are used in place: see {@link Probe.advance}. */
export class Probe {
  /**
   * The data of each ring, first of those for system calls, then, as many, of those for processes: a record that begins near the end goes on at the
   * beginning. Must not be written.
   */
  rings: readonly ArrayBuffer[] = [];
  /**
   * For each ring: position read up to (set by the reader), position up to which records are complete (set by advance). Behind them the time of the
   * kernel's clock up to which these are all records there are: what is newer may follow on one that is not among them. Behind it for each ring the bytes in use.
   */
  positions = new Float64Array(0);
  readonly #probe: OpenProbe;

  private constructor(probe: OpenProbe) {
    this.#probe = probe;
  }

  /**
   * Loads the programs, in a thread aside: the verifier takes its time. Nothing runs in the kernel yet, and nothing is wanted.
   * @throws ShikraError PROBE_* naming what is missing
   */
  static async load(): Promise<Probe> {
    checkRequirements();
    try {
      return new Probe(await addon().open(object()));
    } catch (error) {
      throw explain(error as Error);
    }
  }

  /** Makes the rings. Once, before {@link attach}. @throws ShikraError PROBE_* */
  configure({ captureEnv, ...rings }: ProbeOptions): void {
    checkRingMemory(rings);
    try {
      addon().configure(this.#probe, { ...rings, env: captureEnv ? 1 : 0 });
    } catch (error) {
      throw explain(error as Error);
    }
    this.rings = addon().rings(this.#probe);
    this.positions = new Float64Array(3 * this.rings.length + 1);
  }

  /**
   * Attaches the programs. `onData` is called when records wait, then not again before the next {@link advance}.
   * @throws ShikraError PROBE_*
   */
  attach(onData: () => void): void {
    try {
      addon().attach(this.#probe, onData);
    } catch (error) {
      throw explain(error as Error);
    }
  }

  /**
   * Replaces the table of interests; what runs in the kernel goes by it from now on.
   * @throws ShikraError PROBE_*
   */
  want({ interests, wantsCalls }: Interests): void {
    try {
      addon().want(this.#probe, interests, wantsCalls);
    } catch (error) {
      throw explain(error as Error);
    }
  }

  /** Gives back what was read and brings `positions` up to date, by a sixteenth of each ring at most. @returns true if records wait */
  advance(): boolean {
    return addon().advance(this.#probe, this.positions);
  }

  /** What is in the rings and was not given back; unlike `positions` it knows of records that a program has not finished. */
  get waitingBytes(): number {
    return addon().waitingBytes(this.#probe);
  }

  /** Counts of loss by CPU, reason and class, in this order. */
  drops(): Float64Array {
    return addon().drops(this.#probe);
  }

  /**
   * Cgroups of which events were refused because they had more than their share of a ring that was nearly full: for each its id, then the count of each
   * class. The counts only grow, but of a thousand cgroups the one that was refused longest ago is forgotten.
   */
  refusals(): Float64Array {
    return addon().refusals(this.#probe);
  }

  /** Process records (`struct process_event`, one after the other) of every process, or of one. @throws ShikraError */
  processes(pid = 0): Buffer {
    try {
      return addon().processes(this.#probe, pid);
    } catch (error) {
      throw explain(error as Error);
    }
  }

  /** Makes a few harmless calls that the programs must tell of, on one processor. */
  provoke({ operation, process, ...rest }: Provocation): Provoked {
    return addon().provoke(this.#probe, { ...rest, operation: operation ? 1 : 0 }, process ? CANARY : '');
  }

  /** Takes the end of the process that {@link provoke} made. @returns true if there is none left */
  reap(): boolean {
    return addon().reap(this.#probe);
  }

  /** The table of interests as the programs have it. */
  interests(): Buffer {
    return addon().interests(this.#probe);
  }

  /** What the kernel tells of each program. */
  programs(): ProgramState[] {
    return addon().programs(this.#probe);
  }

  /** Attaches again what somebody detached. @throws ShikraError PROBE_* */
  mend(): void {
    try {
      addon().mend(this.#probe);
    } catch (error) {
      throw explain(error as Error);
    }
  }

  /** Has the kernel count runs of programs and their time, until the probe is closed. @throws Error if it refuses */
  countRuns(): void {
    addon().countRuns(this.#probe);
  }

  /** Ends all work in the kernel; the rings' content stays readable. Twice is fine. */
  detach(): void {
    addon().detach(this.#probe);
  }

  /** Detaches, and frees what the kernel holds. Twice is fine. */
  close(): void {
    addon().close(this.#probe);
  }
}
