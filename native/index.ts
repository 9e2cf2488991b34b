/**
 * The typed face of the native part: the probe's life, its rings, its self-test. Everything that a user can get wrong is checked
 * here and told as a {@link ShikraError}; the addon below only moves bytes.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ShikraError } from '../collector/errors.ts';
import { type Btf, elfSection, parseBtf } from './btf.ts';

const OBJECT_URL = new URL('./build/probe.bpf.o', import.meta.url);
const ADDON_URL = new URL('./build/shikra.node', import.meta.url);
const KERNEL_BTF = '/sys/kernel/btf/vmlinux';

interface OpenProbe {
  readonly probe: unique symbol;
}

interface Addon {
  open(options: AddonOptions): OpenProbe;
  rings(probe: OpenProbe): ArrayBuffer[];
  attach(probe: OpenProbe, onData: () => void): void;
  detach(probe: OpenProbe): void;
  advance(probe: OpenProbe, positions: Float64Array): boolean;
  drops(probe: OpenProbe): Float64Array;
  processes(probe: OpenProbe, pid: number): Buffer;
  clockOffset(): bigint;
  close(probe: OpenProbe): void;
  test(object: Uint8Array): ProgramTest[];
}

interface AddonOptions {
  readonly object: Uint8Array;
  readonly interests: Uint8Array;
  readonly ringBytes: number;
  readonly cpusPerRing: number;
  readonly wakeupBytes: number;
  readonly env: number;
  readonly families: number;
}

/** What the addon throws: errno's name, the step that failed (open, load, rings, attach, processes), and libbpf's log. */
export interface NativeError extends Error {
  readonly code: string;
  readonly step: string;
  readonly log: string;
}

export interface ProbeOptions {
  /** Content of the probe's table `interests`: a `struct interest` for each ABI and system call number. */
  readonly interests: Uint8Array;
  /** Bit n set: programs of family n (enum event_family) are loaded. */
  readonly families: number;
  /** Of each ring; a power of two, at least a page. */
  readonly ringBytes: number;
  readonly cpusPerRing: number;
  /** Whether an execution's record brings the environment. */
  readonly captureEnv: boolean;
}

export interface ProgramTest {
  readonly program: string;
  readonly ok: boolean;
  /** Why not: the kernel's error and the end of its log. */
  readonly detail: string;
}

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
  return parseBtf(elfSection(object(), '.BTF'));
}

/** Loads each program of the probe by itself and says which the kernel takes. Attaches nothing. */
export function probeSelfTest(): ProgramTest[] {
  return addon().test(object());
}

/** Nanoseconds to add to a kernel time (CLOCK_BOOTTIME) to get wall clock. */
export function clockOffsetNs(): bigint {
  return addon().clockOffset();
}

/** The probe: load, attach, drain, detach. Rings and positions are used in place: see {@link Probe.advance}. */
export class Probe {
  /** The data of each ring: a record that begins near the end goes on at the beginning. Must not be written. */
  rings: readonly ArrayBuffer[] = [];
  /** For each ring: position read up to (set by the reader), position up to which records are complete (set by advance). */
  positions = new Float64Array(0);
  #open: OpenProbe | undefined;

  /**
   * Loads the programs and makes the rings; nothing runs in the kernel yet.
   * @throws ShikraError PROBE_* naming what is missing
   */
  load(options: ProbeOptions): void {
    if (!existsSync(KERNEL_BTF)) throw new ShikraError('PROBE_NO_BTF', `no file ${KERNEL_BTF}`);
    try {
      this.#open = addon().open({
        object: object(),
        interests: options.interests,
        families: options.families,
        ringBytes: options.ringBytes,
        cpusPerRing: options.cpusPerRing,
        wakeupBytes: Math.floor(options.ringBytes / 8),
        env: options.captureEnv ? 1 : 0,
      });
    } catch (error) {
      throw explain(error as Error);
    }
    this.rings = addon().rings(this.#open);
    this.positions = new Float64Array(2 * this.rings.length);
  }

  get #probe(): OpenProbe {
    if (this.#open === undefined) throw new Error('the probe is not loaded');
    return this.#open;
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

  /** Gives back what was read and brings `positions` up to date. @returns true if records wait */
  advance(): boolean {
    return addon().advance(this.#probe, this.positions);
  }

  /** Counts of loss by CPU, reason and class, in this order. */
  drops(): Float64Array {
    return addon().drops(this.#probe);
  }

  /** Process records (`struct process_event`, one after the other) of every process, or of one. @throws ShikraError */
  processes(pid = 0): Buffer {
    try {
      return addon().processes(this.#probe, pid);
    } catch (error) {
      throw explain(error as Error);
    }
  }

  /** Ends all work in the kernel; the rings' content stays readable. Twice is fine. */
  detach(): void {
    addon().detach(this.#probe);
  }

  /** Detaches, and frees what the kernel holds. Before load() and twice is fine. */
  close(): void {
    if (this.#open !== undefined) addon().close(this.#open);
  }
}

const LOCKDOWN_FILE = '/sys/kernel/security/lockdown';

function lockdownMode(): string | undefined {
  try {
    return /\[(\w+)\]/.exec(readFileSync(LOCKDOWN_FILE, 'utf8'))?.[1];
  } catch {
    return undefined; // securityfs is not mounted, or the kernel has no lockdown: nothing to say
  }
}

function explain(error: Error): Error {
  if (error instanceof ShikraError || !('step' in error)) return error;
  const native = error as NativeError;
  if (native.code === 'EPERM' || native.code === 'EACCES') {
    const mode = lockdownMode();
    if (mode === 'confidentiality') return new ShikraError('PROBE_LOCKDOWN', `mode ${mode}`, { cause: error });
    if (!refusedByVerifier(native.log))
      return new ShikraError('PROBE_PRIVILEGE', missingCapabilities() ?? native.message, { cause: error });
  }
  return new ShikraError('PROBE_LOAD', [native.message, ...native.log.trim().split('\n').slice(-6)].join('\n  '), {
    cause: error,
  });
}

/** The verifier answers EACCES too; its log tells it from missing privilege. */
function refusedByVerifier(log: string): boolean {
  return /processed \d+ insns/.test(log);
}

/** Bits of include/uapi/linux/capability.h. */
const NEEDED_CAPABILITIES = { CAP_DAC_READ_SEARCH: 2n, CAP_SYS_PTRACE: 19n, CAP_PERFMON: 38n, CAP_BPF: 39n } as const;

function missingCapabilities(): string | undefined {
  const effective = BigInt(
    `0x${/^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`,
  );
  const sysAdmin = (effective >> 21n) & 1n;
  const missing = Object.entries(NEEDED_CAPABILITIES)
    .filter(
      ([name, bit]) =>
        ((effective >> bit) & 1n) === 0n && !(sysAdmin && (name === 'CAP_BPF' || name === 'CAP_PERFMON')),
    )
    .map(([name]) => name);
  return missing.length > 0 ? `missing ${missing.join(', ')}` : undefined;
}
