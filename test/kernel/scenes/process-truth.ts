import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync, statSync } from 'node:fs';

/** starttime of proc(5), counted from the parent's number; in ticks of a hundredth of a second. */
const START_TIME = 18;
const TICK_MILLIS = 10;

/** A process as /proc has it. */
export class ProcessTruth {
  readonly pid: number;
  readonly ppid: number;
  readonly group: number;
  readonly session: number;
  readonly tty: number;
  readonly #startTicks: number;

  constructor(pid: number) {
    this.pid = pid;
    const stat = this.#read('stat');
    const numbers = stat
      .slice(stat.lastIndexOf(')') + ') S '.length)
      .split(' ')
      .map(Number);
    [this.ppid, this.group, this.session, this.tty] = numbers as [number, number, number, number];
    this.#startTicks = numbers[START_TIME]!;
  }

  // What follows is read when it is asked for: not everything of every ancestor may be looked at.

  get comm(): string {
    return this.#read('comm').trimEnd();
  }

  get exe(): string {
    return readlinkSync(`/proc/${this.pid}/exe`).replace(/^\/(memfd:.*) \(deleted\)$/, '$1');
  }

  get argv(): readonly string[] {
    return this.#read('cmdline').split('\0').slice(0, -1);
  }

  get cwd(): string {
    return readlinkSync(`/proc/${this.pid}/cwd`);
  }

  /** -1 if there was no login. */
  get loginuid(): number {
    return Number(this.#read('loginuid')) | 0;
  }

  get cgroup(): string {
    return cgroupOf(String(this.pid));
  }

  /** When it began, in nanoseconds since 1970, to some hundredths of a second. */
  get startedNs(): bigint {
    const uptimeMillis = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
    return BigInt(Math.round(Date.now() - uptimeMillis + this.#startTicks * TICK_MILLIS)) * 1_000_000n;
  }

  get #isShown(): boolean {
    try {
      return this.exe !== '';
    } catch {
      return false;
    }
  }

  #read(name: string): string {
    return readFileSync(`/proc/${this.pid}/${name}`, 'utf8');
  }

  /** A line of `status`: its columns. */
  status(name: string): readonly string[] {
    return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(this.#read('status'))![1]!.split(/\s+/);
  }

  /** A set of capabilities by their names. */
  capabilities(set: 'CapInh' | 'CapPrm' | 'CapEff'): string {
    const bits = BigInt(`0x${this.status(set)[0]}`);
    return CAPABILITIES.filter((_, bit) => (bits >> BigInt(bit)) & 1n).join(' ');
  }

  /** The file of the program, by its inode's number and times. */
  get file() {
    return statSync(`/proc/${this.pid}/exe`, { bigint: true });
  }

  get parent(): ProcessTruth {
    return new ProcessTruth(this.ppid);
  }

  /** Parent, its parent, and so on, as far as they may be looked at: not everywhere may the first process of the machine. */
  get ancestors(): ProcessTruth[] {
    if (this.ppid === 0 || !this.parent.#isShown) return [];
    return [this.parent, ...this.parent.ancestors];
  }

  /** What a standard stream leads to. */
  streamType(fd: 0 | 1 | 2): string {
    const target = readlinkSync(`/proc/${this.pid}/fd/${fd}`);
    const [, kind] = /^(pipe|socket):/.exec(target) ?? [];
    return kind === 'socket' ? 'unix' : (kind ?? 'file');
  }
}

const CAPABILITIES = execFileSync('setpriv', ['--list-caps'], { encoding: 'utf8' })
  .trim()
  .split('\n')
  .map((name) => `CAP_${name.toUpperCase()}`);

/** The unified hierarchy's path where it says something, else that of `pids`, else of `memory`. */
export function cgroupOf(pid: string): string {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  const paths = lines.map((line) => /^\d+:([^:]*):(.*)$/.exec(line)!.slice(1) as [string, string]);
  const of = (controller: string) => paths.find(([names]) => names.split(',').includes(controller))?.[1];
  return [of(''), of('pids'), of('memory')].find((path) => path !== undefined && path !== '/') ?? '/';
}

export function userName(uid: number): string | undefined {
  return nameIn('/etc/passwd', uid);
}

export function groupName(gid: number): string | undefined {
  return nameIn('/etc/group', gid);
}

function nameIn(file: string, id: number): string | undefined {
  return new RegExp(`^([^:]*):[^:]*:${id}:`, 'm').exec(readFileSync(file, 'utf8'))?.[1];
}
