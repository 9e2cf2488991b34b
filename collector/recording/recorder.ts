import { readFileSync } from 'node:fs';
import { arch, hostname, release } from 'node:os';
import type { ContainerNews } from '../containers/news.ts';
import type { NameFile } from '../event/name-file.ts';
import type { EventView } from '../sources/kernel/event-view.ts';
import { HEADER } from '../sources/kernel/layout.ts';
import type { KernelSource, SourceTap } from '../sources/kernel/source.ts';
import { newsToJson } from './container-news.ts';
import { KIND, type Losses } from './format.ts';
import type { RecordingHeader, RecordingSummary } from './header.ts';
import { recordLayout } from './record-layout.ts';
import { RecordingWriter } from './writer.ts';

/** So precisely is it recorded when an event came that may have to wait for its container. */
const CLOCK_STEP_MILLIS = 1;

export interface RecorderOptions
  extends Pick<
    RecordingHeader,
    'version' | 'eventTypes' | 'captureEnv' | 'processTableEntries' | 'hasContainerEngines' | 'containerHoldMillis'
  > {
  readonly path: string;
  readonly force?: boolean;
}

/**
 * Writes what a {@link KernelSource} and a detector go by, in the order in which they do: given to the source as its `tap`, then told of each event before the
 * detector is. Throws ShikraError RECORDING_UNWRITABLE wherever it writes.
 */
export class Recorder implements SourceTap {
  readonly #options: RecorderOptions;
  #writer: RecordingWriter | undefined;
  #source: KernelSource | undefined;
  #users: ReadonlyMap<number, string> | undefined;
  #groups: ReadonlyMap<number, string> | undefined;
  #losses = '{}';
  #domainNames = '{}';
  #isClosed = false;
  #events = 0;
  #clockMillis = 0;
  #startedMillis = 0;
  readonly #clock = Buffer.alloc(16);

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** Makes the file. After the source has its probe, before it starts. */
  begin(source: KernelSource): void {
    const { path, force, ...options } = this.#options;
    this.#source = source;
    this.#startedMillis = performance.now();
    const header: RecordingHeader = {
      ...options,
      startedAt: new Date().toISOString(),
      hostname: hostname(),
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      kernel: release(),
      arch: arch(),
      clockOffsetNs: String(source.clock.offsetNs),
      layout: recordLayout(),
    };
    this.#writer = new RecordingWriter(path, header, force);
    this.#names(source.users, source.groups);
    this.turn();
  }

  get events(): number {
    return this.#events;
  }

  /** Written so far. */
  get bytes(): number {
    return this.#writer?.bytes ?? 0;
  }

  get losses(): Losses {
    return JSON.parse(this.#losses) as Losses;
  }

  /** The clock for a detector that sees the same events: a replay has no other. */
  get nowMillis(): number {
    return this.#clockMillis;
  }

  event({ memory, at, process, resolved }: EventView): void {
    if (process.image.container.pending) this.#noteTime();
    this.#events++;
    if (resolved.path !== undefined || resolved.path2 !== undefined)
      this.#open.append(KIND.RESOLVED, Buffer.from(JSON.stringify(resolved)));
    this.#open.appendRecord(KIND.EVENT, memory.bytes, at, memory.u16[(at + HEADER.size) >>> 1]!);
  }

  /** Before the events of a turn, and before a detector lets go what waits. */
  turn(): void {
    this.#writeClock(performance.now(), true);
  }

  processes(pid: number, records: Uint8Array): void {
    if (this.#writer === undefined) return; // a rehearsal, before anything is recorded
    const head = Buffer.alloc(8);
    head.writeUInt32LE(pid);
    this.#writer.append(KIND.PROCESSES, Buffer.concat([head, records]));
  }

  tick(nowNs: number, offsetNs: bigint): void {
    const tick = Buffer.alloc(16);
    tick.writeBigUInt64LE(BigInt(Math.round(nowNs)));
    tick.writeBigInt64LE(offsetNs, 8);
    this.#open.append(KIND.TICK, tick);
    this.#names(this.#begun.users, this.#begun.groups);
    this.#noteLosses();
    this.#open.flush();
  }

  news(told: ContainerNews): void {
    this.#open.append(KIND.CONTAINER, Buffer.from(newsToJson(told)));
  }

  /** What the names in rules stand for. */
  domainNames(addresses: Readonly<Record<string, readonly string[]>>): void {
    const text = JSON.stringify(addresses);
    if (text === this.#domainNames) return;
    this.#domainNames = text;
    this.#open.append(KIND.DOMAIN_NAMES, Buffer.from(text));
  }

  /** Writes the summary and closes the file. @param leftBytes of events that were not looked at */
  end(leftBytes: number): RecordingSummary {
    this.#noteLosses(leftBytes);
    const seconds = Math.round(performance.now() - this.#startedMillis) / 1000;
    const summary = { events: this.#events, seconds, losses: this.losses };
    this.#open.append(KIND.END, Buffer.from(JSON.stringify(summary)));
    this.close();
    return summary;
  }

  /** Closes the file as it is. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#writer?.close();
  }

  get #open(): RecordingWriter {
    if (this.#writer === undefined || this.#isClosed) throw new Error('the recording has not begun, or was ended');
    return this.#writer;
  }

  get #begun(): KernelSource {
    if (this.#source === undefined) throw new Error('the recording has not begun');
    return this.#source;
  }

  #noteTime(): void {
    const now = performance.now();
    if (now - this.#clockMillis >= CLOCK_STEP_MILLIS) this.#writeClock(now, false);
  }

  #writeClock(millis: number, isTurn: boolean): void {
    this.#clockMillis = millis;
    this.#clock.writeDoubleLE(millis);
    this.#clock.writeUInt32LE(isTurn ? 1 : 0, 8);
    this.#open.append(KIND.CLOCK, this.#clock);
  }

  #names(users: NameFile, groups: NameFile): void {
    if (users.all() === this.#users && groups.all() === this.#groups) return;
    this.#users = users.all();
    this.#groups = groups.all();
    const names = { users: Object.fromEntries(this.#users), groups: Object.fromEntries(this.#groups) };
    this.#open.append(KIND.NAMES, Buffer.from(JSON.stringify(names)));
  }

  #noteLosses(leftBytes = 0): void {
    const losses: Record<string, number> = {};
    for (const { reason, count } of this.#begun.stats().drops)
      if (count > 0) losses[reason] = (losses[reason] ?? 0) + count;
    if (leftBytes > 0) losses.left_in_rings = leftBytes;
    const text = JSON.stringify(losses);
    if (text === this.#losses) return;
    this.#losses = text;
    this.#open.append(KIND.LOSSES, Buffer.from(text));
  }
}
