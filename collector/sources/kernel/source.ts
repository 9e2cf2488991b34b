import { Probe } from '../../../native/index.ts';
import { type CollectorStats, DROP_REASONS, EVENT_CLASSES } from '../../telemetry/collector-stats.ts';
import { KernelClock } from './clock.ts';
import { EventView } from './event-view.ts';
import { EVENT_TYPE_NAMES, EVENT_TYPES, HEADER } from './layout.ts';
import { Memory } from './memory.ts';
import { NameTable } from './names.ts';
import { ProcessTable } from './process-table.ts';
import { COLLECTED_EVENT_TYPES, interestsFor } from './system-calls.ts';

const MIB = 1024 * 1024;
/** Bytes before each record in a ring: its length, and where it lies (linux/bpf.h). */
const RECORD_HEADER_BYTES = 8;
const LENGTH_MASK = 0x3fffffff;
/** RECORD_STRINGS_BYTES of record.bpf.h, above which the probe counts a record as too large. */
const MAX_RECORD_BYTES = 32_768;
/** Fewer waiting bytes than this part of a ring are left to the next notice: small batches cost more than they bring. */
const WORTH_A_TURN = 16;

const FORK_TYPES = new Set(['fork', 'vfork', 'clone', 'clone3'].map((name) => EVENT_TYPES.get(name)!));
const EXECVE = EVENT_TYPES.get('execve')!;
const EXECVEAT = EVENT_TYPES.get('execveat')!;
const PROCEXIT = EVENT_TYPES.get('procexit')!;

export interface KernelSourceOptions {
  /** Preset n is 2^(n-1) MiB for each ring. */
  readonly ringPreset: number;
  /** 0: one ring for all CPUs. */
  readonly cpusPerRing: number;
  readonly processTableEntries: number;
  /** Names of environment variables to record at an execution. */
  readonly captureEnv: readonly string[];
}

/**
 * System call events of this machine. Opens the probe, keeps the process table, and shows each event to `onEvent` in the order of time.
 * The view that it shows is the same object each time: nothing of it may be kept.
 */
export class KernelSource {
  readonly table: ProcessTable;
  readonly clock = new KernelClock();
  readonly users = new NameTable('/etc/passwd');
  readonly groups = new NameTable('/etc/group');
  readonly #options: KernelSourceOptions;
  readonly #probe: Probe;
  readonly #ringBytes: number;
  readonly #cpusPerRing: number;
  readonly #view = new EventView();
  readonly #counts = new Float64Array(EVENT_TYPE_NAMES.length);
  readonly #wrapped = new Memory(new ArrayBuffer(MAX_RECORD_BYTES));
  #memories: readonly Memory[] = [];
  #onEvent: (event: EventView) => void = () => {};

  constructor(options: KernelSourceOptions) {
    this.#options = options;
    this.#ringBytes = 2 ** (options.ringPreset - 1) * MIB;
    this.#cpusPerRing = options.cpusPerRing === 0 ? 512 : options.cpusPerRing;
    this.#probe = new Probe();
    this.table = new ProcessTable({
      capacity: options.processTableEntries,
      captureEnv: new Set(options.captureEnv),
      read: (pid) => this.#probe.processes(pid),
    });
  }

  /**
   * Loads the programs that these event types need.
   * @throws ShikraError PROBE_* if the probe cannot run here
   */
  load(eventTypes: ReadonlySet<string>): void {
    this.#probe.load({
      ...interestsFor(eventTypes),
      ringBytes: this.#ringBytes,
      cpusPerRing: this.#cpusPerRing,
      captureEnv: this.#options.captureEnv.length > 0,
    });
    this.#memories = this.#probe.rings.map((ring) => new Memory(ring));
  }

  /** Attaches the probe, then fills the table: what happens between the two is in the rings. @throws ShikraError PROBE_* */
  start(onEvent: (event: EventView) => void, onData: () => void): void {
    this.#onEvent = onEvent;
    this.#probe.attach(onData);
    this.table.fill();
  }

  /**
   * Works through what the rings held when it was called, and gives it back.
   * @returns true if so much came meanwhile that waiting for the next call of onData (within 10 ms) is not worth it
   */
  drain(): boolean {
    if (!this.#probe.advance()) return false;
    this.#merge(this.#probe.positions);
    this.#probe.advance();
    return this.#waitingBytes() > this.#ringBytes / WORTH_A_TURN;
  }

  /** The same until nothing is left. */
  drainAll(): void {
    do this.drain();
    while (this.#waitingBytes() > 0);
  }

  #waitingBytes(): number {
    const { positions } = this.#probe;
    let waiting = 0;
    for (let i = 0; i < positions.length; i += 2) waiting += positions[i + 1]! - positions[i]!;
    return waiting;
  }

  /** Lets go of everything in the kernel. What was not drained is lost. */
  close(): void {
    this.#probe.close();
  }

  /** Nothing more happens in the kernel; what is in the rings can still be drained. */
  detach(): void {
    this.#probe.detach();
  }

  /** Once a second. */
  tick(): void {
    this.clock.refresh();
    this.users.refresh();
    this.groups.refresh();
    this.table.tick(this.clock.nowNs());
  }

  stats(): Pick<CollectorStats, 'events' | 'drops' | 'rings' | 'processTable'> {
    return {
      events: Object.fromEntries(COLLECTED_EVENT_TYPES.map((name) => [name, this.#counts[EVENT_TYPES.get(name)!]!])),
      drops: this.#drops(),
      rings: this.#probe.rings.map((_, index) => ({
        cpu: index * this.#cpusPerRing,
        capacityBytes: this.#ringBytes,
        usedBytes: this.#probe.positions[2 * index + 1]! - this.#probe.positions[2 * index]!,
      })),
      processTable: { size: this.table.size, capacity: this.table.capacity, ...this.table.counts },
    };
  }

  /** Takes the records of all rings up to their complete positions, oldest first. */
  #merge(positions: Float64Array): void {
    for (;;) {
      let ring = -1;
      let time = Number.POSITIVE_INFINITY;
      let limit = Number.POSITIVE_INFINITY;
      for (let i = 0; i < this.#memories.length; i++) {
        if (positions[2 * i] === positions[2 * i + 1]) continue;
        const head = this.#memories[i]!.u64(this.#record(positions[2 * i]!) + HEADER.time_ns);
        if (head < time) {
          limit = time;
          time = head;
          ring = i;
        } else if (head < limit) {
          limit = head;
        }
      }
      if (ring < 0) return;
      this.#takeUntil(ring, positions, limit);
    }
  }

  /** The ring with the oldest record goes on until another has an older one. */
  #takeUntil(ring: number, positions: Float64Array, limit: number): void {
    const memory = this.#memories[ring]!;
    const end = positions[2 * ring + 1]!;
    const mask = this.#ringBytes - 1;
    let position = positions[2 * ring]!;
    let offset = position % this.#ringBytes; // positions grow past 2^53 never, past 2^32 soon: the loop goes by offsets
    let first = true;
    while (position < end) {
      const at = (offset + RECORD_HEADER_BYTES) & mask;
      if (!first && memory.u64(at + HEADER.time_ns) > limit) break;
      const length = memory.u32[offset >>> 2]! & LENGTH_MASK;
      if (at + length <= this.#ringBytes) this.#take(memory, at);
      else this.#takeWrapped(memory, at, length);
      const size = (length + RECORD_HEADER_BYTES + 7) & ~7;
      offset = (offset + size) & mask;
      position += size;
      first = false;
    }
    positions[2 * ring] = position;
  }

  /** Where a record's data begin; its header is before them, on the other side of the end perhaps. */
  #record(position: number): number {
    return (position + RECORD_HEADER_BYTES) % this.#ringBytes;
  }

  /** Once in a ring's length a record goes on at the beginning: it is put together aside. */
  #takeWrapped(memory: Memory, at: number, length: number): void {
    const first = this.#ringBytes - at;
    this.#wrapped.bytes.set(memory.bytes.subarray(at, this.#ringBytes), 0);
    this.#wrapped.bytes.set(memory.bytes.subarray(0, length - first), first);
    this.#take(this.#wrapped, 0);
  }

  #take(memory: Memory, at: number): void {
    const type = memory.u16[(at + HEADER.type) >>> 1]!;
    this.#counts[type] = this.#counts[type]! + 1;
    const process = type === EXECVE || type === EXECVEAT ? this.table.onExec(memory, at) : this.table.of(memory, at);
    if (FORK_TYPES.has(type)) this.table.onFork(memory, at, process);
    else if (type === PROCEXIT) this.table.onExit(process, memory.u64(at + HEADER.time_ns));
    this.#view.select(memory, at, process);
    this.#onEvent(this.#view);
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
