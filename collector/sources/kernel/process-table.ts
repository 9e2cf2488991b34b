import { Verdicts } from '../../../rules/runtime.ts';
import type { Container, ContainerTable } from '../../event/container-table.ts';
import { CgroupNames } from './cgroup-names.ts';
import { ImageCache } from './image.ts';
import { FORK, HEADER, PROCESS } from './layout.ts';
import { Memory } from './memory.ts';
import { adopt, type Process, unknownProcess } from './process.ts';

/**
 * An exited process stays this long, in the time of events. Events are merged by time, so nothing of it comes after its exit but what another
 * CPU's ring was a moment late with.
 */
const LINGER_NS = 0.2e9;
/** A process table that cannot keep up must not spend its time on asking: so many look-ups in the kernel a second. */
const HEALS_PER_SECOND = 500;

export interface ProcessTableOptions {
  readonly capacity: number;
  /** Names of the environment variables to keep. */
  readonly captureEnv: ReadonlySet<string>;
  readonly containers: ContainerTable;
  /** Process records of one process, or of all with pid 0: the kernel's task iterator. Empty if there is no such process. */
  readonly read: (pid: number) => Uint8Array;
}

/** What the table did, cumulative. */
export interface ProcessTableCounts {
  healed: number;
  evicted: number;
  missed: number;
}

/**
 * The processes of this machine, by pid: filled from the running system, kept by fork, execution and exit events. Every event carries
 * the start time and the execution count of its process, so an entry that a lost event made stale is seen, and read again.
 */
export class ProcessTable {
  readonly counts: ProcessTableCounts = { healed: 0, evicted: 0, missed: 0 };
  /** Rises with every change of a name: what was derived from names is stale then. */
  generation = 0;
  readonly #processes = new Map<number, Process>();
  readonly #exited: Process[] = [];
  readonly #cgroups = new CgroupNames();
  readonly #capacity: number;
  readonly #images: ImageCache;
  readonly #read: (pid: number) => Uint8Array;
  /** Of the last event: events come in bursts of one process. */
  #latest = unknownProcess(0, 0, 0);
  #healsLeft = HEALS_PER_SECOND;

  constructor(options: ProcessTableOptions) {
    this.#capacity = options.capacity;
    this.#images = new ImageCache(options.captureEnv, options.containers);
    this.#read = options.read;
  }

  get size(): number {
    return this.#processes.size;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Takes in every running process. Parents come before their children: links are made in a second pass. */
  fill(): void {
    const found: { process: Process; parentPid: number }[] = [];
    this.#eachRecord(0, (memory, at) => {
      const process = this.#fromRecord(memory, at);
      this.#put(process);
      found.push({ process, parentPid: memory.u32[(at + PROCESS.parent_pid) >>> 2]! });
    });
    for (const { process, parentPid } of found) {
      const parent = this.#processes.get(parentPid);
      if (parent !== process) process.parent = parent;
    }
    for (const { process } of found) process.depth = depthOf(process);
  }

  /** The process of an event: from the table if the entry is the right one, else asked of the kernel. */
  of(memory: Memory, at: number): Process {
    const pid = memory.u32[(at + HEADER.pid) >>> 2]!;
    const startTimeNs = memory.u64(at + HEADER.start_time_ns);
    const execId = memory.u32[(at + HEADER.exec_id) >>> 2]!;
    const process = pid === this.#latest.pid ? this.#latest : this.#processes.get(pid);
    if (
      process !== undefined &&
      process.startTimeNs === startTimeNs &&
      (process.execId === execId || execId < process.execId)
    ) {
      this.#latest = process;
      return process;
    }
    return this.#heal(pid, startTimeNs, execId);
  }

  /** An execution: the process has a new image. */
  onExec(memory: Memory, at: number): Process {
    const fresh = this.#fromRecord(memory, at);
    const before = this.#processes.get(fresh.pid);
    const same = before !== undefined && before.startTimeNs === fresh.startTimeNs;
    this.#put(fresh);
    adopt(fresh, same && before.parent !== undefined ? before.parent : this.#parentOf(memory, at));
    fresh.execTimeNs = memory.u64(at + HEADER.time_ns);
    this.generation++;
    return fresh;
  }

  /** A new process: a copy of the caller until it executes something else. */
  onFork(memory: Memory, at: number, caller: Process): void {
    const parentPid = memory.u32[(at + FORK.parent_pid) >>> 2]!;
    const parentStartNs = memory.u64(at + FORK.parent_start_time_ns);
    const parent = parentPid === caller.pid ? caller : this.#known(parentPid, parentStartNs);
    const child: Process = {
      ...caller,
      pid: memory.u32[(at + FORK.child_pid) >>> 2]!,
      startTimeNs: memory.u64(at + FORK.child_start_time_ns),
      execTimeNs: memory.u64(at + FORK.child_start_time_ns),
      vpid: memory.u32[(at + FORK.child_vpid) >>> 2]!,
      pidNamespace: memory.u32[(at + FORK.child_pid_namespace) >>> 2]!,
      parentPid,
      vparentPid: caller.vpid,
      exitTimeNs: 0,
      ancestorGeneration: -1,
    };
    this.#put(child);
    adopt(child, parent);
  }

  onExit(process: Process, timeNs: number): void {
    process.exitTimeNs = timeNs;
    this.#exited.push(process);
    this.#forget(timeNs);
  }

  /** Once a second: allows look-ups again. @param nowNs of the kernel's clock */
  tick(nowNs: number): void {
    this.#healsLeft = HEALS_PER_SECOND;
    this.#forget(nowNs);
  }

  /** Drops the processes that ended a while ago. */
  #forget(nowNs: number): void {
    let gone = 0;
    for (const process of this.#exited) {
      if (process.exitTimeNs > nowNs - LINGER_NS) break;
      if (this.#processes.get(process.pid) === process) this.#processes.delete(process.pid);
      gone++;
    }
    if (gone > 0) this.#exited.splice(0, gone);
  }

  /** Names of all ancestors, nearest first. The array is made again only after a name changed. */
  ancestorNames(process: Process): readonly string[] {
    if (process.ancestorGeneration === this.generation) return process.ancestorNames;
    const names: string[] = [];
    for (let at = process.parent; at !== undefined; at = at.parent) names.push(at.image.comm);
    process.ancestorNames = names;
    process.ancestorGeneration = this.generation;
    return names;
  }

  /** It is known now whether this is a container: what rules decided about its programs may be kept from now on, or holds no more. */
  decided(container: Container): void {
    const running = [...this.#processes.values()].map(({ image }) => image);
    for (const image of new Set([...running, ...this.#images.all()]))
      if (image.container === container) image.verdicts = new Verdicts();
  }

  /** The path of a cgroup: of one in which something was executed lately, or runs. Asks the kernel if it is not known. */
  cgroupPath(id: number): string | undefined {
    if (this.#cgroups.get(id) === undefined) this.#eachRecord(0, (memory, at) => this.#fromRecord(memory, at));
    return this.#cgroups.get(id);
  }

  /** The containers that processes are in. */
  containers(): ReadonlySet<Container> {
    const containers = new Set<Container>();
    for (const { exitTimeNs, image } of this.#processes.values()) if (exitTimeNs === 0) containers.add(image.container);
    return containers;
  }

  /** The entry of a pid as it stands, stale or not. */
  known(pid: number): Process | undefined {
    return this.#processes.get(pid);
  }

  #known(pid: number, startTimeNs: number): Process | undefined {
    const process = this.#processes.get(pid);
    return process !== undefined && process.startTimeNs === startTimeNs ? process : undefined;
  }

  #parentOf(memory: Memory, at: number): Process | undefined {
    return this.#known(memory.u32[(at + PROCESS.parent_pid) >>> 2]!, memory.u64(at + PROCESS.parent_start_time_ns));
  }

  #heal(pid: number, startTimeNs: number, execId: number): Process {
    this.counts.missed++;
    // The idle task is no process, and asking for 0 would be asking for all.
    if (this.#healsLeft > 0 && pid !== 0) {
      this.#healsLeft--;
      const healed = this.#readOne(pid);
      if (healed !== undefined && healed.startTimeNs === startTimeNs) {
        this.counts.healed++;
        return healed;
      }
    }
    const unknown = unknownProcess(pid, startTimeNs, execId);
    this.#put(unknown);
    return unknown;
  }

  #readOne(pid: number): Process | undefined {
    let found: Process | undefined;
    this.#eachRecord(pid, (memory, at) => {
      found = this.#fromRecord(memory, at);
      this.#put(found);
      adopt(found, this.#parentOf(memory, at));
      this.generation++;
    });
    return found;
  }

  #put(process: Process): void {
    if (process.pid === this.#latest.pid) this.#latest = process;
    this.#processes.delete(process.pid);
    if (this.#processes.size >= this.#capacity) this.#evict();
    this.#processes.set(process.pid, process);
  }

  /** The table is full: the longest dead goes, else the entry longest unchanged; if it still lives, its next event brings it back. */
  #evict(): void {
    const dead = this.#exited.shift();
    if (dead !== undefined && this.#processes.get(dead.pid) === dead) {
      this.#processes.delete(dead.pid);
      return;
    }
    for (const pid of this.#processes.keys()) {
      this.#processes.delete(pid);
      this.counts.evicted++;
      return;
    }
  }

  #eachRecord(pid: number, visit: (memory: Memory, at: number) => void): void {
    const bytes = this.#read(pid);
    const memory = new Memory(new Uint8Array(bytes).buffer);
    for (let at = 0; at < bytes.length; at += memory.u16[(at + HEADER.size) >>> 1]!) visit(memory, at);
  }

  #fromRecord(memory: Memory, at: number): Process {
    const u32 = (offset: number): number => memory.u32[(at + offset) >>> 2]!;
    const startTimeNs = memory.u64(at + HEADER.start_time_ns);
    const image = this.#images.of(memory, at);
    if (image.cgroup !== undefined) this.#cgroups.note(memory.u64(at + HEADER.cgroup_id), image.cgroup);
    return {
      pid: u32(HEADER.pid),
      startTimeNs,
      execId: u32(HEADER.exec_id),
      execTimeNs: startTimeNs,
      image,
      known: true,
      parent: undefined,
      parentPid: u32(PROCESS.parent_pid),
      depth: 0,
      vpid: u32(PROCESS.vpid),
      vparentPid: u32(PROCESS.vparent_pid),
      sessionId: u32(PROCESS.session_id),
      processGroupId: u32(PROCESS.process_group_id),
      pidNamespace: u32(PROCESS.pid_namespace),
      mntNamespace: u32(PROCESS.mnt_namespace),
      exitTimeNs: 0,
      ancestorNames: [],
      ancestorGeneration: -1,
    };
  }
}

function depthOf(process: Process): number {
  let depth = 0;
  for (let at = process.parent; at !== undefined && depth < 1000; at = at.parent) depth++;
  return depth;
}
