import type { CgroupNames } from './cgroup-names.ts';
import type { ImageCache } from './image.ts';
import { HEADER, LINEAGE_FLAGS, PROCESS } from './layout.ts';
import { Memory } from './memory.ts';
import type { Doubt, Process } from './process.ts';

const ADOPTED = LINEAGE_FLAGS.get('adopted')!;
const EXECUTED = LINEAGE_FLAGS.get('executed')!;
const ENDED = LINEAGE_FLAGS.get('ended')!;

/** A process as a record tells of it: an execution's, or one of the kernel's task iterator. Its parent is to be linked. */
export interface FoundProcess {
  readonly process: Process;
  /** When the kernel looked. */
  readonly timeNs: number;
  /** With `process.parentPid` the parent's identity; of pid 0: there is none. */
  readonly parentStartNs: number;
  /** Bits of enum lineage_flag. */
  readonly lineage: number;
  /** It has no thread left, and is there until its parent asks for it. */
  readonly hasEnded: boolean;
}

/** Reads process records. */
export class ProcessRecords {
  readonly #images: ImageCache;
  readonly #cgroups: CgroupNames;
  readonly #read: (pid: number) => Uint8Array;

  /**
   * @param cgroups learns the path of each process's cgroup
   * @param read process records of one process, or of all with pid 0; empty if there is no such process
   */
  constructor(images: ImageCache, cgroups: CgroupNames, read: (pid: number) => Uint8Array) {
    this.#images = images;
    this.#cgroups = cgroups;
    this.#read = read;
  }

  /** What the kernel has now: one process, or all with pid 0, in the order in which it looked at them. */
  of(pid: number): FoundProcess[] {
    const bytes = this.#read(pid);
    const memory = new Memory(new Uint8Array(bytes).buffer);
    const found: FoundProcess[] = [];
    for (let at = 0; at < bytes.length; at += memory.u16[(at + HEADER.size) >>> 1]!)
      found.push(this.decode(memory, at));
    return found;
  }

  decode(memory: Memory, at: number): FoundProcess {
    const u32 = (offset: number): number => memory.u32[(at + offset) >>> 2]!;
    const startTimeNs = memory.u64(at + HEADER.start_time_ns);
    const lineage = u32(PROCESS.lineage);
    const image = this.#images.of(memory, at);
    if (image.cgroup !== undefined) this.#cgroups.note(memory.u64(at + PROCESS.cgroup_id), image.cgroup);
    const process: Process = {
      pid: u32(HEADER.pid),
      startTimeNs,
      execId: u32(HEADER.exec_id),
      execTimeNs: startTimeNs,
      image,
      known: true,
      parent: undefined,
      doubt: 'none',
      parentPid: u32(PROCESS.parent_pid),
      depth: 0,
      vpid: u32(PROCESS.vpid),
      vparentPid: u32(PROCESS.vparent_pid),
      sessionId: u32(PROCESS.session_id),
      processGroupId: u32(PROCESS.process_group_id),
      pidNamespace: u32(PROCESS.pid_namespace),
      mntNamespace: u32(PROCESS.mnt_namespace),
      origin: image.container,
      exitTimeNs: 0,
      ancestorNames: [],
      ancestorGeneration: -1,
    };
    return {
      process,
      timeNs: memory.u64(at + HEADER.time_ns),
      parentStartNs: memory.u64(at + PROCESS.parent_start_time_ns),
      lineage,
      hasEnded: (lineage & ENDED) !== 0,
    };
  }
}

/** How sure a link is that was made by what the kernel says now, of a process whose birth was not seen. */
export function doubtOf(lineage: number, { parent, parentPid }: Process): Doubt {
  if (parentPid === 0) return 'none';
  if (parent === undefined || lineage & ADOPTED) return 'parent';
  return lineage & EXECUTED ? 'image' : 'none';
}
