import type { Logger } from '../../collector/telemetry/logger.ts';
import type { ExporterOutcome, Metrics } from '../../collector/telemetry/metrics.ts';
import type { Refused } from '../store/dead-letters.ts';
import type { StoredDetection } from '../store/stored-detection.ts';
import type { Clock } from './clock.ts';
import type { DeliveringExporter } from './exporter.ts';
import type { ExportOutcome } from './outcome.ts';

export interface BatchSenderSettings {
  readonly id: string;
  readonly exporter: DeliveringExporter;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly timeoutMillis: number;
  /** Aborts what is in flight. */
  readonly stop: AbortSignal;
}

/** Writes down how a part of a batch ended. What it throws is the disk's failure: the part comes again then. */
export type Note = (items: readonly StoredDetection[], refused: readonly Refused[]) => void;

/** `done`: every part is noted. Otherwise what is left comes again. */
export type SendResult =
  | { readonly status: 'done' }
  | { readonly status: 'retryable'; readonly reason: string; readonly afterMillis?: number }
  | { readonly status: 'not noted'; readonly error: unknown }
  | { readonly status: 'stopped' };

/** Sends one batch within a time limit; halves it as long as it is refused, until the record at fault is alone. Counts how that ended. */
export class BatchSender {
  readonly #settings: BatchSenderSettings;

  constructor(settings: BatchSenderSettings) {
    this.#settings = settings;
  }

  async send(batch: readonly StoredDetection[], note: Note): Promise<SendResult> {
    const todo = batch.length === 0 ? [] : [batch];
    for (let items = todo.pop(); items !== undefined; items = todo.pop()) {
      const outcome = await this.#attempt(items);
      if (outcome.status === 'retryable') {
        this.#showOldest(items[0]!);
        return outcome;
      }
      if (outcome.status === 'permanent' && items.length > 1 && outcome.splittable !== false) {
        const middle = items.length >> 1;
        todo.push(items.slice(middle), items.slice(0, middle));
        continue;
      }
      const refused = refusedOf(items, outcome);
      try {
        note(items, refused);
      } catch (error) {
        return { status: 'not noted', error };
      }
      this.#settled(items.length, refused, outcome);
      if (this.#settings.stop.aborted) return { status: 'stopped' };
    }
    return { status: 'done' };
  }

  async #attempt(items: readonly StoredDetection[]): Promise<ExportOutcome> {
    const { exporter, clock, timeoutMillis, stop } = this.#settings;
    const limit = new AbortController();
    const signal = AbortSignal.any([limit.signal, stop]);
    const timedOut = clock.sleep(timeoutMillis, signal).then((): ExportOutcome => {
      limit.abort();
      const reason = stop.aborted ? 'the agent stops' : `no answer within ${timeoutMillis} ms`;
      return { status: 'retryable', reason };
    });
    try {
      return await Promise.race([exporter.export(items, signal), timedOut]);
    } catch (error) {
      return { status: 'retryable', reason: error instanceof Error ? error.message : String(error) };
    } finally {
      limit.abort();
    }
  }

  #settled(count: number, refused: readonly Refused[], outcome: ExportOutcome): void {
    const { id, metrics, logger } = this.#settings;
    metrics.exporterOldest.set({ exporter: id }, 0);
    if (outcome.status === 'success') this.#countSuccess(count - refused.length, outcome.rejected);
    this.#count('dead_letter', refused.length);
    if (refused.length > 0)
      logger.error(
        { count: refused.length, uid: refused[0]!.item.uid, reason: refused[0]!.reason },
        'the receiver refused detections; they are kept as dead letters',
      );
  }

  #countSuccess(count: number, rejected: { count: number; reason: string } | undefined): void {
    const { id, metrics, logger, clock } = this.#settings;
    const refused = Math.min(count, rejected?.count ?? 0);
    this.#count('delivered', count - refused);
    this.#count('rejected', refused);
    metrics.exporterLastSuccess.set({ exporter: id }, clock.now() / 1000);
    if (rejected !== undefined)
      logger.warn({ rejected: refused, reason: rejected.reason }, 'the receiver took the batch but not all of it');
  }

  #showOldest({ detection }: StoredDetection): void {
    const { id, metrics, clock } = this.#settings;
    const ageMillis = clock.now() - Date.parse(detection.observed_time);
    metrics.exporterOldest.set({ exporter: id }, Math.max(0, ageMillis / 1000));
  }

  #count(outcome: ExporterOutcome, count: number): void {
    const { id, metrics } = this.#settings;
    if (count > 0) metrics.exporterRecords.inc({ exporter: id, outcome }, count);
  }
}

function refusedOf(items: readonly StoredDetection[], outcome: ExportOutcome): Refused[] {
  if (outcome.status === 'permanent') return items.map((item) => ({ item, reason: outcome.reason }));
  const refused = outcome.status === 'success' ? (outcome.refused ?? []) : [];
  return refused.flatMap(({ index, reason }) => (items[index] === undefined ? [] : [{ item: items[index], reason }]));
}
