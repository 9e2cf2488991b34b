import { Verdicts } from '../../../rules/runtime.ts';
import type { Container, ContainerTable } from '../../event/container-table.ts';
import { CgroupNames } from './cgroup-names.ts';
import { ImageCache } from './image.ts';
import { FORK, HEADER } from './layout.ts';
import type { Memory } from './memory.ts';
import { adopt, descend, type Process, succeed, unknownProcess } from './process.ts';
import { doubtOf, type FoundProcess, ProcessRecords } from './process-records.ts';
import { RecentProcesses } from './recent-processes.ts';

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

/** All processes as the kernel had them from one moment to another, in its own time. */
interface Census {
  readonly found: readonly FoundProcess[];
  readonly fromNs: number;
  readonly untilNs: number;
}

/**
 * The processes of this machine, by pid: filled from the running system, kept by fork, execution and exit events. Every event carries
 * the start time and the execution count of its process, so an entry that a lost event made stale is seen, and read again. After a loss all
 * are read: what ended unseen goes, what began unseen comes.
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
  readonly #records: ProcessRecords;
  /** Taken after a loss. The events before it are still on their way: it takes effect when they are through. */
  #census: Census | undefined;
  #isBehind = false;
  readonly #recent = new RecentProcesses();
  #healsLeft = HEALS_PER_SECOND;

  constructor(options: ProcessTableOptions) {
    this.#capacity = options.capacity;
    this.#images = new ImageCache(options.captureEnv, options.containers);
    this.#records = new ProcessRecords(this.#images, this.#cgroups, options.read);
  }

  get size(): number {
    return this.#processes.size;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** True if processes that were not known came faster than they could be asked about: {@link recover} brings them. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Takes in every running process, in place of what was known. */
  fill(): void {
    for (const pid of this.#processes.keys()) this.#remove(pid);
    const found = this.#records.of(0).filter(({ hasEnded }) => !hasEnded);
    this.#takeIn(found);
    // of what was there before nothing was lost: a parent is whom the kernel names
    for (const { process } of found) process.doubt = 'none';
  }

  /**
   * Events of processes were lost: reads every process again. What ended goes and what is new comes as soon as an event from now on is seen.
   * @returns false if it is on its way from an earlier call
   */
  recover(): boolean {
    if (this.#census !== undefined) return false;
    const found = this.#records.of(0);
    if (found.length > 0) this.#census = { found, fromNs: found[0]!.timeNs, untilNs: found.at(-1)!.timeNs };
    this.#isBehind = false;
    return true;
  }

  /** This record comes next. */
  reach(memory: Memory, at: number): void {
    if (this.#census !== undefined && memory.u64(at + HEADER.time_ns) >= this.#census.untilNs)
      this.#apply(this.#census);
  }

  #apply({ found, fromNs, untilNs }: Census): void {
    this.#census = undefined;
    this.counts.healed += this.#takeIn(found.filter((each) => !each.hasEnded && this.#isNews(each)));
    const alive = new Set(
      found.filter(({ hasEnded }) => !hasEnded).map(({ process: { pid } }) => this.#processes.get(pid)),
    );
    for (const process of this.#processes.values())
      if (process.exitTimeNs === 0 && process.startTimeNs < fromNs && !alive.has(process))
        this.onExit(process, untilNs);
  }

  /** Whether the kernel knows more than the entry says: of another process, or of a later image. */
  #isNews({ process: { pid, startTimeNs, execId } }: FoundProcess): boolean {
    const entry = this.#processes.get(pid);
    if (entry === undefined || entry.startTimeNs !== startTimeNs)
      return entry === undefined || entry.startTimeNs < startTimeNs;
    return entry.exitTimeNs === 0 && (!entry.known || entry.execId < execId);
  }

  /** Parents need not come before their children: links are made in a second pass. @returns how many they were */
  #takeIn(found: readonly FoundProcess[]): number {
    const before = found.map(({ process }) => this.#known(process.pid, process.startTimeNs));
    const entries = found.map(({ process }, i) => {
      const entry = before[i];
      // children that it had meanwhile point to an entry of which nothing was known
      if (entry !== undefined && !entry.known) return Object.assign(entry, process);
      this.#put(process);
      return process;
    });
    entries.forEach((process, i) => {
      const entry = before[i];
      if (entry !== process) succeed(process, entry);
      if (entry?.parent !== undefined && entry !== process)
        Object.assign(process, { parent: entry.parent, doubt: entry.doubt });
      else this.#link(process, found[i]!);
    });
    for (const process of entries) process.depth = depthOf(process);
    const unseen = entries.filter((process, i) => before[i] === undefined || before[i] === process);
    // ancestors first: of several that left a container, each counts to where the one before it does
    for (const process of unseen.sort((a, b) => a.depth - b.depth)) descend(process, process.parent);
    this.generation++;
    return found.length;
  }

  #link(process: Process, { parentStartNs, lineage }: FoundProcess): void {
    process.parent = this.#known(process.parentPid, parentStartNs);
    process.doubt = doubtOf(lineage, process);
  }

  /** The process of an event: from the table if the entry is the right one, else asked of the kernel. */
  of(memory: Memory, at: number): Process {
    const recent = this.#recent.of(memory, at);
    if (recent !== undefined) return recent;
    const pid = memory.u32[(at + HEADER.pid) >>> 2]!;
    const startTimeNs = memory.u64(at + HEADER.start_time_ns);
    const execId = memory.u32[(at + HEADER.exec_id) >>> 2]!;
    const process = this.#known(pid, startTimeNs);
    if (process === undefined || execId > process.execId) return this.#heal(pid, startTimeNs, execId);
    this.#recent.add(process, memory, at);
    return process;
  }

  /** An execution: the process has a new image. */
  onExec(memory: Memory, at: number): Process {
    const process = this.#enter(this.#records.decode(memory, at));
    process.execTimeNs = memory.u64(at + HEADER.time_ns);
    return process;
  }

  /** A new process: a copy of the caller until it executes something else. */
  onFork(memory: Memory, at: number, caller: Process): void {
    if (!caller.known) return; // the child is asked for when something is heard of it
    const parentPid = memory.u32[(at + FORK.parent_pid) >>> 2]!;
    const parentStartNs = memory.u64(at + FORK.parent_start_time_ns);
    const parent = parentPid === caller.pid ? caller : this.#find(parentPid, parentStartNs);
    const child: Process = {
      ...caller,
      pid: memory.u32[(at + FORK.child_pid) >>> 2]!,
      startTimeNs: memory.u64(at + FORK.child_start_time_ns),
      execTimeNs: memory.u64(at + FORK.child_start_time_ns),
      vpid: memory.u32[(at + FORK.child_vpid) >>> 2]!,
      pidNamespace: memory.u32[(at + FORK.child_pid_namespace) >>> 2]!,
      parentPid,
      vparentPid: caller.vpid,
      doubt: parent === undefined && parentPid !== 0 ? 'parent' : 'none',
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
      if (this.#processes.get(process.pid) === process) this.#remove(process.pid);
      gone++;
    }
    if (gone > 0) this.#exited.splice(0, gone);
  }

  /** Names of all ancestors, nearest first. The array is made again only after a name changed. */
  ancestorNames(process: Process): readonly string[] {
    if (process.ancestorGeneration === this.generation) return process.ancestorNames;
    const names: string[] = [];
    for (let at = process.parent; at !== undefined; at = at.parent) if (at.known) names.push(at.image.comm);
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
    if (this.#cgroups.get(id) === undefined) this.#records.of(0);
    return this.#cgroups.get(id);
  }

  /** Containers were forgotten: what was executed in them does not come again. */
  forgetImages(): void {
    this.#images.forget();
  }

  /** The containers that processes are in. */
  containers(): ReadonlySet<Container> {
    const containers = new Set<Container>();
    for (const { exitTimeNs, image } of this.#processes.values()) if (exitTimeNs === 0) containers.add(image.container);
    return containers;
  }

  pids(): Iterable<number> {
    return this.#processes.keys();
  }

  /** The entry of a pid as it stands, stale or not. */
  known(pid: number): Process | undefined {
    return this.#processes.get(pid);
  }

  #known(pid: number, startTimeNs: number): Process | undefined {
    const process = this.#processes.get(pid);
    return process !== undefined && process.startTimeNs === startTimeNs ? process : undefined;
  }

  /** A process that is new, or has another image; who started it is known better than by the kernel's word if its birth was seen. */
  #enter(found: FoundProcess): Process {
    const { process } = found;
    const before = this.#known(process.pid, process.startTimeNs);
    succeed(process, before);
    if (before?.parent === undefined) this.#trace(found);
    else {
      adopt(process, before.parent);
      process.doubt = before.doubt;
    }
    if (!before?.known) descend(process, process.parent);
    this.#put(process); // after its ancestors, which may push out others
    this.generation++;
    return process;
  }

  /** The process of this identity: the entry, or else what the kernel says. */
  #find(pid: number, startTimeNs: number): Process | undefined {
    return this.#known(pid, startTimeNs) ?? this.#ask(pid, startTimeNs);
  }

  /** Hangs a process whose birth was not seen below the parent that the kernel names. */
  #trace({ process, parentStartNs, lineage }: FoundProcess): void {
    adopt(process, process.parentPid === 0 ? undefined : this.#find(process.parentPid, parentStartNs));
    process.doubt = doubtOf(lineage, process);
  }

  #heal(pid: number, startTimeNs: number, execId: number): Process {
    this.counts.missed++;
    const healed = this.#ask(pid, startTimeNs);
    if (healed !== undefined) return healed;
    const unknown = unknownProcess(pid, startTimeNs, execId);
    const entry = this.#processes.get(pid);
    // the number may belong to another by now
    if (entry === undefined || entry.startTimeNs <= startTimeNs) this.#put(unknown);
    return unknown;
  }

  #ask(pid: number, startTimeNs: number): Process | undefined {
    // The idle task is no process, and asking for 0 would be asking for all.
    if (pid === 0) return undefined;
    if (this.#healsLeft === 0) {
      this.#isBehind = true;
      return undefined;
    }
    this.#healsLeft--;
    const found = this.#records.of(pid)[0];
    if (found === undefined) return undefined;
    const process = this.#enter(found);
    if (found.hasEnded) this.onExit(process, found.timeNs);
    if (process.startTimeNs !== startTimeNs) return undefined;
    this.counts.healed++;
    return process;
  }

  #put(process: Process): void {
    this.#remove(process.pid);
    if (this.#processes.size >= this.#capacity) this.#evict();
    this.#processes.set(process.pid, process);
  }

  /** The table is full: the longest dead goes, else the entry longest unchanged; if it still lives, its next event brings it back. */
  #evict(): void {
    const dead = this.#exited.shift();
    if (dead !== undefined && this.#processes.get(dead.pid) === dead) {
      this.#remove(dead.pid);
      return;
    }
    for (const pid of this.#processes.keys()) {
      this.#remove(pid);
      this.counts.evicted++;
      return;
    }
  }

  #remove(pid: number): void {
    this.#processes.delete(pid);
    this.#recent.drop(pid);
  }
}

function depthOf(process: Process): number {
  let depth = 0;
  for (let at = process.parent; at !== undefined && depth < 1000; at = at.parent) depth++;
  return depth;
}
