import { Verdicts } from '../../../rules/runtime.ts';
import { type Container, type ContainerTable, HOST_CONTAINER } from '../../event/container-table.ts';
import { HEADER, PROCESS } from './layout.ts';
import type { Memory } from './memory.ts';

/** TASK_COMM_LEN (linux/sched.h). */
const COMM_BYTES = 16;
const SLOTS = 1024;
/** Records longer than this are not remembered: an image of theirs is made anew each time. */
const MOST_WORDS = 512;

/**
 * What an execution brought: the program, its arguments, and what it was given. Processes that were started in the same way share one: most
 * executions on a machine are of a kind that was seen, and what rules decided about it holds for all of them.
 */
export interface Image {
  readonly comm: string;
  readonly exePath: string | undefined;
  readonly argv: readonly string[];
  /** The arguments after the first: proc.args. */
  readonly args: string;
  /** comm and the arguments after the first, joined by blanks: proc.cmdline. */
  readonly cmdline: string;
  readonly env: readonly string[];
  readonly cwd: string | undefined;
  readonly cgroup: string | undefined;
  readonly container: Container;
  /** Real ones; the effective ones are in each event. */
  readonly uid: number;
  readonly gid: number;
  /** 4294967295 if unset. */
  readonly loginuid: number;
  readonly tty: number;
  readonly capInheritable: bigint;
  readonly capPermitted: bigint;
  readonly capEffective: bigint;
  readonly exeIno: bigint;
  readonly exeCtimeNs: bigint;
  readonly exeMtimeNs: bigint;
  readonly exeFlags: number;
  /** enum file_kind of descriptors 0, 1, 2 at the start. */
  readonly stdioKinds: readonly [number, number, number];
  /** Bits for the strings that could not be read, or were cut: as in the record. */
  readonly unreadable: number;
  readonly truncated: number;
  /** What rules decided about it; undefined as long as it may still turn out to be in a container. */
  verdicts: Verdicts | undefined;
}

/** Of a process of which nothing is known. */
export const NO_IMAGE: Image = {
  comm: '',
  exePath: undefined,
  argv: [],
  args: '',
  cmdline: '',
  env: [],
  cwd: undefined,
  cgroup: undefined,
  container: HOST_CONTAINER,
  uid: 0,
  gid: 0,
  loginuid: 0xffffffff,
  tty: 0,
  capInheritable: 0n,
  capPermitted: 0n,
  capEffective: 0n,
  exeIno: 0n,
  exeCtimeNs: 0n,
  exeMtimeNs: 0n,
  exeFlags: 0,
  stdioKinds: [0, 0, 0],
  unreadable: 0,
  truncated: 0,
  verdicts: new Verdicts(),
};

/** The same of a process that counts to another container than its cgroup says. */
export function inContainer(image: Image, container: Container): Image {
  return { ...image, container, verdicts: container.isDecided ? new Verdicts() : undefined };
}

/** The parts of a process record that are the image's and not the process's own, by first and last offset; the last goes on to the end. */
const SHARED_PARTS = [
  [PROCESS.exe_ino, PROCESS.parent_pid],
  [PROCESS.uid, PROCESS.exe_dev],
  [PROCESS.exe_flags, PROCESS.lineage],
  [PROCESS.lineage + 4, -1],
] as const;

/** Gives the image of a process record; one that was seen lately is found by the record's words, without decoding it. Of fixed size. */
export class ImageCache {
  readonly #captureEnv: ReadonlySet<string>;
  readonly #containers: ContainerTable;
  readonly #keys: (Uint32Array | undefined)[] = new Array<Uint32Array | undefined>(SLOTS);
  readonly #images: Image[] = new Array<Image>(SLOTS).fill(NO_IMAGE);
  readonly #key = new Uint32Array(MOST_WORDS);

  /** @param captureEnv names of the environment variables to keep */
  constructor(captureEnv: ReadonlySet<string>, containers: ContainerTable) {
    this.#captureEnv = captureEnv;
    this.#containers = containers;
  }

  /** Those that are remembered. */
  all(): readonly Image[] {
    return this.#images;
  }

  /** Lets go of those in containers that were forgotten: what is kept with them would stay until others need the place. */
  forget(): void {
    this.#images.forEach(({ container }, slot) => {
      if (!container.forgotten) return;
      this.#keys[slot] = undefined;
      this.#images[slot] = NO_IMAGE;
    });
  }

  of(memory: Memory, at: number): Image {
    const words = this.#readKey(memory, at);
    if (words === 0) return this.#decode(memory, at);
    let hash = words;
    for (let i = 0; i < words; i++) hash = Math.imul((hash << 5) ^ (hash >>> 27) ^ this.#key[i]!, 0x9e3779b1);
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    const known = this.#keys[slot];
    if (known !== undefined && known.length === words) {
      let i = 0;
      while (i < words && known[i] === this.#key[i]) i++;
      if (i === words && !this.#images[slot]!.container.forgotten) return this.#images[slot]!;
    }
    const image = this.#decode(memory, at);
    this.#keys[slot] = this.#key.slice(0, words);
    this.#images[slot] = image;
    return image;
  }

  /** @returns how many words of the key are filled; 0 if the record is too long, or has gaps */
  #readKey(memory: Memory, at: number): number {
    const size = memory.u16[(at + HEADER.size) >>> 1]!;
    const gaps = memory.bytes[at + HEADER.unreadable]! | memory.bytes[at + HEADER.truncated]!;
    if (gaps !== 0 || size > MOST_WORDS * 4) return 0;
    let words = 0;
    for (const [from, to] of SHARED_PARTS) {
      const end = (at + (to < 0 ? size : to)) >>> 2;
      for (let i = (at + from) >>> 2; i < end; i++) this.#key[words++] = memory.u32[i]!;
    }
    return words;
  }

  #decode(memory: Memory, at: number): Image {
    const u32 = (offset: number): number => memory.u32[(at + offset) >>> 2]!;
    const text = (offset: number): string => {
      const start = memory.u16[(at + offset) >>> 1]!;
      return memory.bytes.toString('utf8', at + start, at + start + memory.u16[((at + offset) >>> 1) + 1]!);
    };
    const comm = commOf(memory, at + PROCESS.comm);
    const argv = splitStrings(text(PROCESS.argv));
    const args = argv.slice(1).join(' ');
    const cgroup = text(PROCESS.cgroup);
    const container = this.#containers.of(cgroup);
    const isWanted = (entry: string): boolean => this.#captureEnv.has(entry.slice(0, entry.indexOf('=')));
    return {
      comm,
      exePath: text(PROCESS.exe_path) || undefined,
      argv,
      args,
      cmdline: args === '' ? comm : `${comm} ${args}`,
      env: this.#captureEnv.size === 0 ? [] : splitStrings(text(PROCESS.env)).filter(isWanted),
      cwd: text(PROCESS.cwd) || undefined,
      cgroup: cgroup || undefined,
      container,
      uid: u32(PROCESS.uid),
      gid: u32(PROCESS.gid),
      loginuid: u32(PROCESS.loginuid),
      tty: u32(PROCESS.tty),
      capInheritable: memory.big64(at + PROCESS.cap_inheritable),
      capPermitted: memory.big64(at + PROCESS.cap_permitted),
      capEffective: memory.big64(at + PROCESS.cap_effective),
      exeIno: memory.big64(at + PROCESS.exe_ino),
      exeCtimeNs: memory.big64(at + PROCESS.exe_ctime_ns),
      exeMtimeNs: memory.big64(at + PROCESS.exe_mtime_ns),
      exeFlags: u32(PROCESS.exe_flags),
      stdioKinds: [
        memory.bytes[at + PROCESS.stdio_kind]!,
        memory.bytes[at + PROCESS.stdio_kind + 1]!,
        memory.bytes[at + PROCESS.stdio_kind + 2]!,
      ],
      unreadable: memory.bytes[at + HEADER.unreadable]!,
      truncated: memory.bytes[at + HEADER.truncated]!,
      verdicts: container.isDecided ? new Verdicts() : undefined,
    };
  }
}

function commOf(memory: Memory, at: number): string {
  let length = 0;
  while (length < COMM_BYTES && memory.bytes[at + length] !== 0) length++;
  return memory.bytes.toString('utf8', at, at + length);
}

/** Strings that each end in a NUL, the last perhaps without. */
function splitStrings(text: string): string[] {
  if (text === '') return [];
  return (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
}
