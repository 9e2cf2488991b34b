import type { Probe } from '../../../native/index.ts';
import { type ContainerRequest, ContainerTable } from '../../event/container-table.ts';
import { NameFile } from '../../event/name-file.ts';
import {
  type CanaryReport,
  type CollectorStats,
  DROP_REASONS,
  EVENT_CLASSES,
  type EventClass,
  type Refusals,
  RING_KINDS,
} from '../../telemetry/collector-stats.ts';
import { Canaries } from './canaries.ts';
import { addCanaries } from './canary-calls.ts';
import { KernelClock } from './clock.ts';
import { EventStream } from './event-stream.ts';
import { EventView } from './event-view.ts';
import type { Memory } from './memory.ts';
import { isOwn } from './own-events.ts';
import { PathLinks } from './path-links.ts';
import { unknownProcess } from './process.ts';
import type { ProcessTable } from './process-table.ts';
import { rehearse } from './rehearsal.ts';
import { RingReader } from './ring-reader.ts';
import { type RingSizes, ringSizes } from './ring-sizes.ts';
import { interestsFor, type WantedEvents } from './system-calls.ts';

/** Fewer waiting bytes than this part of a ring are left to the next notice: small batches cost more than they bring. */
const WORTH_A_TURN = 16;
/** With more than this part of a ring waiting, a standstill may soon cost events. */
const BEHIND = 8;

/** Is told what the process table goes by beside the events, in the order in which it does: enough to make the table again. */
export interface SourceTap {
  /** Process records as the kernel gave them: of one process, or of all if pid is 0. */
  processes(pid: number, records: Uint8Array): void;
  /** After each {@link KernelSource.tick}. @param nowNs of the kernel's clock @param offsetNs from it to the wall clock */
  tick(nowNs: number, offsetNs: bigint): void;
}

export interface KernelSourceOptions {
  /** Preset n is 2^(n-1) MiB for each ring for system calls. */
  readonly ringPreset: number;
  /** 0: one ring for all CPUs. */
  readonly cpusPerRing: number;
  readonly processTableEntries: number;
  /** Names of environment variables to record at an execution. */
  readonly captureEnv: readonly string[];
  /** How container engines are asked, if there are any. */
  readonly hasContainerEngines?: boolean;
  readonly onContainerWanted?: (request: ContainerRequest) => void;
  readonly tap?: SourceTap;
  /** Whether {@link KernelSource.nextCanaries} will be called. */
  readonly hasCanaries?: boolean;
}

/** Rules that made-up events are shown to. */
export interface Rehearsing {
  /** The first one, which meets code that never ran: some of it at each step. */
  rehearseInSteps(event: EventView): Generator<undefined, void>;
  rehearse(event: EventView): void;
}

/**
 * System call events of this machine. Works the probe, keeps the process table, and shows each event to `onEvent` in the order of time.
 * The view that it shows is the same object each time: nothing of it may be kept.
 */
export class KernelSource {
  readonly containers: ContainerTable;
  readonly clock = new KernelClock();
  readonly users = new NameFile('/etc/passwd', () => this.#tickMillis);
  readonly groups = new NameFile('/etc/group', () => this.#tickMillis);
  readonly #options: KernelSourceOptions;
  #opened: Probe | undefined;
  readonly #ringBytes: RingSizes;
  readonly #cpusPerRing: number;
  readonly #stream: EventStream;
  readonly #takeRecord = (memory: Memory, at: number): boolean => {
    const event = this.#stream.take(memory, at);
    if (event !== undefined) this.#onEvent(event);
    return !this.#paused;
  };
  readonly #links = new PathLinks();
  readonly #own: { readonly lookingPid: number; canaries: Canaries | undefined } = {
    lookingPid: this.#links.isAble ? process.pid : -1,
    canaries: undefined,
  };
  #paused = false;
  #wanted: ReturnType<typeof interestsIn> | undefined;
  #reader = new RingReader([]);
  /** The most bytes that waited in each ring since the last look at the statistics. */
  #peaks = new Float64Array(0);
  #lostProcessEvents = 0;
  /** The clock of what may be a second old. */
  #tickMillis = 0;
  #onEvent: (event: EventView) => void = () => {};

  constructor(options: KernelSourceOptions) {
    this.#options = options;
    this.#ringBytes = ringSizes(options.ringPreset);
    this.#cpusPerRing = options.cpusPerRing === 0 ? 512 : options.cpusPerRing;
    this.containers = new ContainerTable({
      hasEngines: options.hasContainerEngines ?? false,
      onWanted: options.onContainerWanted ?? (() => {}),
      onDecided: (container) => this.table.decided(container),
    });
    this.#stream = new EventStream({
      ...options,
      containers: this.containers,
      read: (pid) => this.#processes(pid),
      isOwn: (type, memory, at) => isOwn(this.#own, type, memory, at),
      links: this.#links,
    });
  }

  get table(): ProcessTable {
    return this.#stream.table;
  }

  /** Takes a loaded probe, which is this source's from now on, and makes its rings. Before all else. @throws ShikraError PROBE_* */
  open(probe: Probe): void {
    this.#opened = probe;
    probe.configure({
      ringBytes: this.#ringBytes.calls,
      processRingBytes: this.#ringBytes.processes,
      cpusPerRing: this.#cpusPerRing,
      captureEnv: this.#options.captureEnv.length > 0,
    });
    this.#reader = new RingReader(probe.rings);
    this.#peaks = new Float64Array(probe.rings.length);
  }

  get #probe(): Probe {
    if (this.#opened === undefined) throw new Error('the source has no probe');
    return this.#opened;
  }

  /** Collects these events from now on. @throws ShikraError PROBE_* */
  want(wanted: WantedEvents): void {
    const interests = interestsIn(wanted, this.#options.hasCanaries ?? false);
    this.#probe.want(interests);
    this.#wanted = interests;
    this.#own.canaries?.want(interests);
  }

  /**
   * Goes through the motions with made-up events of this process, so that the first real ones meet compiled code. Counts nothing. Stops after
   * every few.
   */
  *rehearse(rules: Rehearsing): Generator<undefined, void> {
    const view = new EventView();
    if (this.table.known(process.pid) === undefined) this.table.fill();
    const self = this.table.known(process.pid) ?? unknownProcess(process.pid, 1e9, 1);
    const show = (memory: Memory, at: number): EventView => {
      view.select(memory, at, self.known ? this.table.of(memory, at) : self);
      return view;
    };
    yield* rehearse(self, this.clock.nowNs(), {
      first: (memory, at) => rules.rehearseInSteps(show(memory, at)),
      next: (memory, at) => rules.rehearse(show(memory, at)),
    });
  }

  /** Attaches the probe, then fills the table: what happens between the two is in the rings. @throws ShikraError PROBE_* */
  start(onEvent: (event: EventView) => void, onData: () => void): void {
    this.#onEvent = onEvent;
    this.#probe.attach(onData);
    this.table.fill();
    if (this.#options.hasCanaries && this.#wanted !== undefined)
      this.#own.canaries = new Canaries(this.#probe, this.#wanted, () => this.#lostEvents());
  }

  /** What came of the last canaries, and sends the next. Between two calls the rings must have been drained. */
  nextCanaries(): CanaryReport | undefined {
    return this.#own.canaries?.next();
  }

  /** A while after {@link nextCanaries}: nothing is left of them then. */
  endCanaries(): void {
    this.#own.canaries?.reap();
  }

  /** Has the kernel count runs of programs and the time that they take. @throws Error if it refuses */
  countRuns(): void {
    this.#probe.countRuns();
  }

  /**
   * Works through what the rings held when it was called, or until {@link pause}, and gives it back.
   * @returns true if so much came meanwhile that waiting for the next call of onData (within 10 ms) is not worth it
   */
  drain(): boolean {
    this.#paused = false;
    if (!this.#probe.advance()) return false;
    // By parts, each of which is given back at once: a flood meanwhile finds room.
    let left = this.#notePeaks();
    do {
      left -= this.#handedOut();
      this.#reader.read(this.#probe.positions, this.#takeRecord);
    } while (this.#probe.advance() && left > 0 && !this.#paused);
    return this.waitingBytes > this.#ringBytes.calls / WORTH_A_TURN;
  }

  /** Called from `onEvent`: drain() returns after this event. */
  pause(): void {
    this.#paused = true;
  }

  /** The same until nothing is left. */
  drainAll(): void {
    do this.drain();
    while (this.waitingBytes > 0);
  }

  /** @returns the bytes in use, of all rings */
  #notePeaks(): number {
    const { positions, rings } = this.#probe;
    let sum = 0;
    for (let i = 0; i < rings.length; i++) {
      const used = positions[2 * rings.length + 1 + i]!;
      if (used > this.#peaks[i]!) this.#peaks[i] = used;
      sum += used;
    }
    return sum;
  }

  /** Bytes that {@link Probe.advance} says are there to be read. */
  #handedOut(): number {
    const { positions, rings } = this.#probe;
    let sum = 0;
    for (let i = 0; i < rings.length; i++) sum += positions[2 * i + 1]! - positions[2 * i]!;
    return sum;
  }

  /** What drain() left in the rings, and what the kernel is still writing into them. */
  get waitingBytes(): number {
    return this.#probe.waitingBytes;
  }

  /** So much waits that reading on is what matters most. */
  get isBehind(): boolean {
    return this.waitingBytes > this.#ringBytes.calls / BEHIND;
  }

  /** Lets go of everything in the kernel. What was not drained is lost. */
  close(): void {
    this.#opened?.close();
  }

  /** Nothing more happens in the kernel; what is in the rings can still be drained. */
  detach(): void {
    this.#probe.detach();
  }

  /** Once a second. */
  tick(): void {
    this.clock.refresh();
    this.#tickMillis = performance.now();
    const nowNs = this.clock.nowNs();
    this.#recover();
    this.table.tick(nowNs);
    this.#links.tick();
    this.containers.retry(this.#tickMillis, () => this.table.containers());
    if (this.containers.sweep(this.#tickMillis, () => this.table.containers())) this.table.forgetImages();
    this.#options.tap?.tick(nowNs, this.clock.offsetNs);
  }

  /** The process table lives on events: when some were lost, it is compared with the kernel. */
  #recover(): void {
    const { process: lost } = this.#lostEvents();
    if (lost === this.#lostProcessEvents && !this.table.isBehind) return;
    if (this.table.recover()) this.#lostProcessEvents = lost;
  }

  /** Events that did not arrive; one with a gap did. */
  #lostEvents(): Record<EventClass, number> {
    const lost: Record<EventClass, number> = { process: 0, file: 0, network: 0, other: 0 };
    for (const { reason, class: ofClass, count } of this.#drops()) if (reason !== 'read_failed') lost[ofClass] += count;
    return lost;
  }

  stats(): Pick<CollectorStats, 'events' | 'drops' | 'rings' | 'processTable'> {
    return {
      events: this.#stream.counts(),
      drops: this.#drops(),
      rings: this.#rings(),
      processTable: { size: this.table.size, capacity: this.table.capacity, ...this.table.counts },
    };
  }

  /** Cgroups of which events were refused, those refused in the last seconds for certain. */
  refusals(): Refusals[] {
    const rows = this.#probe.refusals();
    const columns = 1 + EVENT_CLASSES.length;
    return Array.from({ length: rows.length / columns }, (_, row) => ({
      cgroupId: rows[row * columns]!,
      counts: Object.fromEntries(
        EVENT_CLASSES.map((ofClass, index) => [ofClass, rows[row * columns + 1 + index]!]),
      ) as Record<EventClass, number>,
    }));
  }

  #processes(pid: number): Uint8Array {
    const records = this.#probe.processes(pid);
    this.#options.tap?.processes(pid, records);
    return records;
  }

  #rings(): CollectorStats['rings'] {
    const each = this.#peaks.length / RING_KINDS.length;
    const rings = Array.from(this.#peaks, (usedBytes, index) => {
      const kind = RING_KINDS[Math.floor(index / each)]!;
      return { cpu: (index % each) * this.#cpusPerRing, kind, capacityBytes: this.#ringBytes[kind], usedBytes };
    });
    this.#peaks.fill(0);
    return rings;
  }

  #drops(): CollectorStats['drops'] {
    const counts = this.#probe.drops();
    const drops: {
      reason: (typeof DROP_REASONS)[number];
      class: (typeof EVENT_CLASSES)[number];
      cpu: number;
      count: number;
    }[] = [];
    const cpus = counts.length / (DROP_REASONS.length * EVENT_CLASSES.length);
    for (let cpu = 0; cpu < cpus; cpu++) {
      DROP_REASONS.forEach((reason, r) => {
        EVENT_CLASSES.forEach((ofClass, c) => {
          drops.push({
            reason,
            class: ofClass,
            cpu,
            count: counts[(cpu * DROP_REASONS.length + r) * EVENT_CLASSES.length + c]!,
          });
        });
      });
    }
    return drops;
  }
}

function interestsIn(wanted: WantedEvents, hasCanaries: boolean) {
  const { interests, families } = interestsFor(wanted);
  if (hasCanaries) addCanaries(interests, families);
  return { interests, families, wantsCalls: families !== 0 };
}
