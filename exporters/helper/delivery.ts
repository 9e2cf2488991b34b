import type { Logger } from '../../collector/telemetry/logger.ts';
import type { Metrics } from '../../collector/telemetry/metrics.ts';
import type { Refused } from '../store/dead-letters.ts';
import type { Store } from '../store/store.ts';
import type { StoredDetection } from '../store/stored-detection.ts';
import { BatchSender, type Note, type SendResult } from './batch-sender.ts';
import { type Clock, SYSTEM_CLOCK } from './clock.ts';
import { isDoubling } from './doubling.ts';
import type { DeliveringExporter } from './exporter.ts';
import { DELIVERY_DEFAULTS, type DeliverySettings } from './settings.ts';

export interface DeliveryDeps {
  readonly id: string;
  readonly exporter: DeliveringExporter;
  readonly store: Store;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Which detections it gets. Default: all. */
  readonly accepts?: ((item: StoredDetection) => boolean) | undefined;
  readonly settings?: Partial<DeliverySettings>;
  readonly clock?: Clock;
  /** True while much waits to be stored: then batches go two seconds apart. Default: never. */
  readonly givesWay?: (() => boolean) | undefined;
}

type State = 'new' | 'running' | 'draining' | 'stopped';

/** Rows that are looked at together when some of them are for other exporters. */
const FILTER_WINDOW = 1000;
/** So many rows may be looked at again after a crash. */
const PASSED_OVER_UNNOTED = 10_000;
const JITTER = 0.2;
const LEAST_SHUTDOWN_MILLIS = 1000;
/** How often is looked whether the way is free, and how long that is waited for: in a flood without end something is delivered, too. */
const WAY_LOOK_MILLIS = 20;
const WAY_MILLIS = 2000;
/** Even a receiver that asks for an hour is asked again after this. */
const LONGEST_WAIT_MILLIS = 5 * 60_000;

/**
 * Brings everything in the store to one exporter, at least once and in order: reads from the cursor on, sends one batch at a time, moves the cursor
 * when the receiver has it. Retries without end as long as the failure may pass; halves a batch that is refused until the record at fault is
 * alone, which is then parked as a dead letter. A stop or a crash at any point leads to a repetition at most, with the same `log.record.uid`.
 */
export class Delivery {
  readonly #id: string;
  readonly #exporter: DeliveringExporter;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #settings: DeliverySettings;
  readonly #clock: Clock;
  readonly #accepts: ((item: StoredDetection) => boolean) | undefined;
  readonly #givesWay: () => boolean;
  readonly #sender: BatchSender;
  #state: State = 'new';
  #cursor = 0;
  /** The cursor as the disk has it. */
  #notedCursor = 0;
  #failures = 0;
  #lastOutcome: SendResult['status'] | 'none' = 'none';
  #loop: Promise<void> = Promise.resolve();
  #ending: Promise<void> | undefined;
  #afterMillis: number | undefined;
  #unsubscribe = () => {};
  #wake = Promise.withResolvers<void>();
  #idle = Promise.withResolvers<void>();
  /** Aborts pauses when a flush or the end wants work done now. */
  #hurry = new AbortController();
  /** Aborts what is in flight when the time at the end is over. */
  readonly #stop = new AbortController();

  constructor(deps: DeliveryDeps) {
    this.#id = deps.id;
    this.#exporter = deps.exporter;
    this.#store = deps.store;
    this.#logger = deps.logger.child({ exporter: deps.id });
    this.#metrics = deps.metrics;
    this.#settings = { ...DELIVERY_DEFAULTS, ...deps.exporter.delivery, ...deps.settings };
    this.#clock = deps.clock ?? SYSTEM_CLOCK;
    this.#accepts = deps.accepts;
    this.#givesWay = deps.givesWay ?? (() => false);
    const { timeoutMillis } = this.#settings;
    this.#sender = new BatchSender({
      ...deps,
      logger: this.#logger,
      clock: this.#clock,
      timeoutMillis,
      stop: this.#stop.signal,
    });
  }

  /** `ok`, or `retrying` while the receiver does not take anything; `new`, `draining` and `stopped` around that. */
  get status(): string {
    if (this.#state !== 'running') return this.#state;
    return this.#failures > 0 ? `retrying (${this.#failures} failures)` : 'ok';
  }

  /** Starts the exporter and the loop. Calling it again does nothing. */
  async start(): Promise<void> {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    this.#metrics.declareExporter(this.#id);
    this.#cursor = this.#store.openCursor(this.#id);
    this.#notedCursor = this.#cursor;
    this.#showQueue();
    await this.#exporter.start();
    this.#unsubscribe = this.#store.onStored(() => this.#wakeUp());
    this.#loop = this.#run();
  }

  /** Looks whether dead letters are to be sent again. */
  checkDeadLetters(): void {
    if (this.#state === 'running') this.#wakeUp();
  }

  /** Resolves true when all that was stored before is delivered or parked, false at a failure or after `deadlineMillis`. */
  async forceFlush(deadlineMillis = 10_000): Promise<boolean> {
    if (this.#state !== 'running') return this.#store.backlog(this.#id) === 0;
    const target = this.#store.lastSeq;
    const end = this.#clock.now() + deadlineMillis;
    this.#hurryUp();
    while (
      this.#cursor < target &&
      this.#store.backlog(this.#id) > 0 &&
      this.#clock.now() < end &&
      this.#state === 'running'
    ) {
      const timeout = new AbortController();
      await Promise.race([this.#idle.promise, this.#clock.sleep(end - this.#clock.now(), timeout.signal)]);
      timeout.abort();
      if (this.#lastOutcome === 'retryable') break;
    }
    return this.#cursor >= target || this.#store.backlog(this.#id) === 0;
  }

  /** Delivers what is there until all is done, the receiver fails, or the deadline passes; the rest waits in the store for the next start. */
  shutdown(deadlineMillis = 5000): Promise<void> {
    this.#ending ??= this.#end(deadlineMillis);
    return this.#ending;
  }

  async #end(deadlineMillis: number): Promise<void> {
    const started = this.#state === 'running';
    this.#state = 'draining';
    this.#hurryUp();
    this.#wakeUp();
    if (started) {
      const timeout = new AbortController();
      void this.#clock.sleep(deadlineMillis, timeout.signal).then(() => this.#stop.abort());
      await this.#loop;
      timeout.abort();
    }
    this.#state = 'stopped';
    this.#unsubscribe();
    this.#noteCursor();
    await this.#shutDownExporter(Math.max(LEAST_SHUTDOWN_MILLIS, deadlineMillis));
    this.#store.closeCursor(this.#id);
  }

  /** The official OTLP exporter waits for its own retries when it shuts down; the agent does not wait for them. */
  async #shutDownExporter(limitMillis: number): Promise<void> {
    const limit = new AbortController();
    const done = this.#exporter
      .shutdown()
      .catch((error: unknown) => this.#logger.warn({ err: error }, 'the exporter did not shut down cleanly'));
    await Promise.race([done, this.#clock.sleep(limitMillis, limit.signal)]);
    limit.abort();
  }

  async #run(): Promise<void> {
    while (this.#state === 'running' || this.#state === 'draining') {
      if (this.#givesWay()) await this.#giveWay();
      const wake = this.#wake.promise;
      const rows = this.#read();
      if (rows.length > 0) await this.#deliver(rows);
      else await this.#deliverDeadLetters();
      const stopNow =
        this.#stop.signal.aborted || (this.#state === 'draining' && (rows.length === 0 || this.#failures > 0));
      if (stopNow) return;
      if (this.#failures > 0) await this.#pause();
      else if (rows.length === 0) {
        this.#settle();
        await wake;
      }
    }
  }

  /** With a filter in larger steps than batches: what it holds back should not cost a transaction for every few. */
  #read(): StoredDetection[] {
    const { batchCount, batchBytes } = this.#settings;
    const count = this.#accepts === undefined ? batchCount : Math.max(batchCount, FILTER_WINDOW);
    return this.#reading(() => this.#store.read(this.#cursor, count, batchBytes));
  }

  #reading(read: () => StoredDetection[]): StoredDetection[] {
    try {
      return read();
    } catch (error) {
      this.#failed('the store cannot be read', undefined, error);
      this.#metrics.storeErrors.inc({ operation: 'read' });
      return [];
    }
  }

  /** Sends what of the rows is for this exporter, and passes over the others. */
  async #deliver(rows: readonly StoredDetection[]): Promise<void> {
    const last = rows.at(-1)!.seq;
    const accepts = this.#accepts;
    const accepted = accepts === undefined ? rows : rows.filter((row) => accepts(row));
    const { batchCount } = this.#settings;
    for (let first = 0; first < accepted.length; first += batchCount) {
      const batch = accepted.slice(first, first + batchCount);
      const isLast = first + batchCount >= accepted.length;
      const sent = await this.#send(batch, (items, refused) =>
        this.#advance(isLast && items === batch ? last : items.at(-1)!.seq, refused),
      );
      if (!sent) break;
    }
    if (accepted.length === 0 || this.#cursor >= accepted.at(-1)!.seq) this.#passOver(last);
    if (accepted.length < rows.length) {
      const isAccepted = new Set(accepted);
      const passed = rows.filter((row) => row.seq <= this.#cursor && !isAccepted.has(row)).length;
      this.#metrics.exporterRecords.inc({ exporter: this.#id, outcome: 'filtered' }, passed);
    }
    this.#showQueue();
  }

  /** One batch of those that someone wants sent again. They are behind the cursor: their order among the others is lost. */
  async #deliverDeadLetters(): Promise<void> {
    const { batchCount } = this.#settings;
    const items = this.#reading(() => this.#store.deadLetters.requested(this.#id, batchCount));
    if (items.length === 0) return;
    const sent = await this.#send(items, (part, refused) => this.#store.retried(this.#id, part, refused));
    if (sent) this.#wakeUp(); // there may be more
  }

  /** @returns false if what is left comes again */
  async #send(batch: readonly StoredDetection[], note: Note): Promise<boolean> {
    const result = await this.#sender.send(batch, (items, refused) => {
      note(items, refused);
      this.#failures = 0;
      this.#showQueue();
    });
    this.#lastOutcome = result.status;
    if (result.status === 'retryable') this.#failed(result.reason, result.afterMillis);
    if (result.status === 'not noted') this.#notNoted(result.error);
    return result.status === 'done';
  }

  #notNoted(error: unknown): void {
    this.#metrics.storeErrors.inc({ operation: 'write' });
    this.#failed('the store cannot note what was delivered', undefined, error);
  }

  #advance(seq: number, refused: readonly Refused[]): void {
    this.#store.advance(this.#id, seq, refused);
    this.#cursor = seq;
    this.#notedCursor = seq;
  }

  /** Written to disk from time to time: after a crash the same rows are passed over again. */
  #passOver(seq: number): void {
    if (seq <= this.#cursor) return;
    this.#store.passOver(this.#id, seq);
    this.#cursor = seq;
    this.#failures = 0;
    if (seq - this.#notedCursor >= PASSED_OVER_UNNOTED) this.#noteCursor();
  }

  #noteCursor(): void {
    if (this.#cursor === this.#notedCursor) return;
    try {
      this.#advance(this.#cursor, []);
    } catch (error) {
      this.#notNoted(error);
    }
  }

  #failed(reason: string, afterMillis?: number, error?: unknown): void {
    this.#failures++;
    this.#afterMillis = afterMillis;
    this.#metrics.exporterRetries.inc({ exporter: this.#id });
    const details = {
      reason,
      failures: this.#failures,
      waiting: this.#store.backlog(this.#id),
      ...(error !== undefined && { err: error }),
    };
    if (isDoubling(this.#failures)) this.#logger.warn(details, 'delivery failed, it will be tried again');
    this.#settle();
  }

  /** What is not on disk may be lost, what is can wait. */
  async #giveWay(): Promise<void> {
    const { signal } = this.#hurry;
    const end = this.#clock.now() + WAY_MILLIS;
    while (this.#state === 'running' && !signal.aborted && this.#givesWay() && this.#clock.now() < end)
      await this.#clock.sleep(WAY_LOOK_MILLIS, signal);
  }

  async #pause(): Promise<void> {
    const { initialBackoffMillis, maxBackoffMillis } = this.#settings;
    const backoff = Math.min(maxBackoffMillis, initialBackoffMillis * 2 ** Math.min(this.#failures - 1, 30));
    const jittered = backoff * (1 - JITTER + 2 * JITTER * this.#clock.random());
    const millis = Math.min(LONGEST_WAIT_MILLIS, Math.max(jittered, this.#afterMillis ?? 0));
    await this.#clock.sleep(millis, AbortSignal.any([this.#hurry.signal, this.#stop.signal]));
  }

  #showQueue(): void {
    this.#metrics.exporterQueueSize.set({ exporter: this.#id }, this.#store.backlog(this.#id));
  }

  #wakeUp(): void {
    this.#showQueue();
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }

  #hurryUp(): void {
    this.#lastOutcome = 'none';
    this.#hurry.abort();
    this.#hurry = new AbortController();
  }

  /** Tells who waits in `forceFlush` that the loop has come to a rest. */
  #settle(): void {
    this.#idle.resolve();
    this.#idle = Promise.withResolvers<void>();
  }
}
