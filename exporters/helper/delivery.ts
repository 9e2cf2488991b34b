import type { Logger } from '../../collector/telemetry/logger.ts';
import type { ExporterOutcome, Metrics } from '../../collector/telemetry/metrics.ts';
import type { Refused } from '../store/dead-letters.ts';
import type { Store } from '../store/store.ts';
import type { StoredDetection } from '../store/stored-detection.ts';
import { type Clock, SYSTEM_CLOCK } from './clock.ts';
import type { DeliveringExporter } from './exporter.ts';
import type { ExportOutcome } from './outcome.ts';
import { DELIVERY_DEFAULTS, type DeliverySettings } from './settings.ts';

export interface DeliveryDeps {
  readonly id: string;
  readonly exporter: DeliveringExporter;
  readonly store: Store;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Which detections it gets. Default: all. */
  readonly accepts?: (item: StoredDetection) => boolean;
  readonly settings?: Partial<DeliverySettings>;
  readonly clock?: Clock;
}

type State = 'new' | 'running' | 'draining' | 'stopped';

const JITTER = 0.2;
const LEAST_SHUTDOWN_MILLIS = 1000;
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
  readonly #accepts: (item: StoredDetection) => boolean;
  #state: State = 'new';
  #cursor = 0;
  #failures = 0;
  #lastOutcome: ExportOutcome['status'] | 'none' = 'none';
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
    this.#accepts = deps.accepts ?? (() => true);
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
      const wake = this.#wake.promise;
      const batch = this.#read();
      if (batch.length > 0) await this.#deliver(batch);
      else await this.#deliverDeadLetters();
      const stopNow =
        this.#stop.signal.aborted || (this.#state === 'draining' && (batch.length === 0 || this.#failures > 0));
      if (stopNow) return;
      if (this.#failures > 0) await this.#pause();
      else if (batch.length === 0) {
        this.#settle();
        await wake;
      }
    }
  }

  #read(): StoredDetection[] {
    try {
      const { batchCount, batchBytes } = this.#settings;
      return this.#store.read(this.#cursor, batchCount, batchBytes);
    } catch (error) {
      this.#failed('the store cannot be read', undefined, error);
      this.#metrics.storeErrors.inc({ operation: 'read' });
      return [];
    }
  }

  /** Sends what of a batch is for this exporter. Those that are not are passed over together with the ones before them. */
  async #deliver(batch: readonly StoredDetection[]): Promise<void> {
    const last = batch.at(-1)!.seq;
    const accepted = batch.filter((item) => this.#accepts(item));
    const finished = await this.#send(accepted, (items, refused) => {
      const seq = items.at(-1)!.seq;
      this.#advance(items === accepted ? last : seq, refused);
    });
    if (finished && this.#cursor < last) this.#note(() => this.#advance(last, []));
    const isAccepted = new Set(accepted);
    this.#count('filtered', batch.filter((item) => item.seq <= this.#cursor && !isAccepted.has(item)).length);
    this.#showQueue();
  }

  /** One batch of those that someone wants sent again. They are behind the cursor: their order among the others is lost. */
  async #deliverDeadLetters(): Promise<void> {
    const items = this.#readDeadLetters();
    if (items.length > 0) await this.#send(items, (sent, refused) => this.#store.retried(this.#id, sent, refused));
    // There may be more.
    if (items.length > 0 && this.#failures === 0) this.#wakeUp();
  }

  /**
   * Sends a batch; halves it as long as it is refused.
   * @param note writes down how a part ended; what it throws is the disk's failure
   * @returns false at a failure that may pass: what is left comes again
   */
  async #send(
    batch: readonly StoredDetection[],
    note: (items: readonly StoredDetection[], refused: readonly Refused[]) => void,
  ): Promise<boolean> {
    const todo = batch.length === 0 ? [] : [batch];
    for (let items = todo.pop(); items !== undefined; items = todo.pop()) {
      const outcome = await this.#attempt(items);
      this.#lastOutcome = outcome.status;
      if (outcome.status === 'retryable') {
        const age = this.#clock.now() - Date.parse(items[0]!.detection.observed_time);
        this.#metrics.exporterOldest.set({ exporter: this.#id }, Math.max(0, age / 1000));
        this.#failed(outcome.reason, outcome.afterMillis);
        return false;
      }
      if (outcome.status === 'permanent' && items.length > 1 && outcome.splittable !== false) {
        const middle = items.length >> 1;
        todo.push(items.slice(middle), items.slice(0, middle));
        continue;
      }
      const part = items;
      const refused = refusedOf(part, outcome);
      if (!this.#note(() => note(part, refused)) || this.#stop.signal.aborted) return false;
      this.#settled(part.length, refused, outcome);
    }
    return true;
  }

  /** @returns false if the disk refused; the same items come again then */
  #note(work: () => void): boolean {
    try {
      work();
      this.#failures = 0;
      return true;
    } catch (error) {
      this.#metrics.storeErrors.inc({ operation: 'write' });
      this.#failed('the store cannot note what was delivered', undefined, error);
      return false;
    }
  }

  #advance(seq: number, refused: readonly Refused[]): void {
    this.#store.advance(this.#id, seq, refused);
    this.#cursor = seq;
  }

  #settled(count: number, refused: readonly Refused[], outcome: ExportOutcome): void {
    this.#metrics.exporterOldest.set({ exporter: this.#id }, 0);
    if (outcome.status === 'success') this.#countSuccess(count - refused.length, outcome.rejected);
    this.#count('dead_letter', refused.length);
    if (refused.length > 0)
      this.#logger.error(
        { count: refused.length, uid: refused[0]!.item.uid, reason: refused[0]!.reason },
        'the receiver refused detections; they are kept as dead letters',
      );
    this.#showQueue();
  }

  #countSuccess(count: number, rejected: { count: number; reason: string } | undefined): void {
    const refused = Math.min(count, rejected?.count ?? 0);
    this.#count('delivered', count - refused);
    this.#count('rejected', refused);
    this.#metrics.exporterLastSuccess.set({ exporter: this.#id }, this.#clock.now() / 1000);
    if (rejected !== undefined)
      this.#logger.warn(
        { rejected: refused, reason: rejected.reason },
        'the receiver took the batch but not all of it',
      );
  }

  #readDeadLetters(): StoredDetection[] {
    try {
      return this.#store.deadLetters.requested(this.#id, this.#settings.batchCount);
    } catch (error) {
      this.#failed('the store cannot be read', undefined, error);
      this.#metrics.storeErrors.inc({ operation: 'read' });
      return [];
    }
  }

  async #attempt(items: readonly StoredDetection[]): Promise<ExportOutcome> {
    const limit = new AbortController();
    const signal = AbortSignal.any([limit.signal, this.#stop.signal]);
    const { timeoutMillis } = this.#settings;
    const timedOut = this.#clock.sleep(timeoutMillis, signal).then((): ExportOutcome => {
      limit.abort();
      const reason = this.#stop.signal.aborted ? 'the agent stops' : `no answer within ${timeoutMillis} ms`;
      return { status: 'retryable', reason };
    });
    try {
      return await Promise.race([this.#exporter.export(items, signal), timedOut]);
    } catch (error) {
      return { status: 'retryable', reason: error instanceof Error ? error.message : String(error) };
    } finally {
      limit.abort();
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
    // The first failure is news; then once for every doubling, so that a night of outage is a screenful.
    if ((this.#failures & (this.#failures - 1)) === 0)
      this.#logger.warn(details, 'delivery failed, it will be tried again');
    this.#settle();
  }

  async #pause(): Promise<void> {
    const { initialBackoffMillis, maxBackoffMillis } = this.#settings;
    const backoff = Math.min(maxBackoffMillis, initialBackoffMillis * 2 ** Math.min(this.#failures - 1, 30));
    const jittered = backoff * (1 - JITTER + 2 * JITTER * this.#clock.random());
    const millis = Math.min(LONGEST_WAIT_MILLIS, Math.max(jittered, this.#afterMillis ?? 0));
    await this.#clock.sleep(millis, AbortSignal.any([this.#hurry.signal, this.#stop.signal]));
  }

  #count(outcome: ExporterOutcome, count: number): void {
    if (count > 0) this.#metrics.exporterRecords.inc({ exporter: this.#id, outcome }, count);
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

function refusedOf(items: readonly StoredDetection[], outcome: ExportOutcome): Refused[] {
  if (outcome.status === 'permanent') return items.map((item) => ({ item, reason: outcome.reason }));
  const refused = outcome.status === 'success' ? (outcome.refused ?? []) : [];
  return refused.flatMap(({ index, reason }) => (items[index] === undefined ? [] : [{ item: items[index], reason }]));
}
