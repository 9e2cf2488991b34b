import type { Context } from '@opentelemetry/api';
import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { ATTRIBUTES } from '../../collector/detection/log-record.ts';
import { type Loss, type LossCounts, LossWindow } from './loss-window.ts';

export { type DropRateConfig, dropRateConfigSchema } from './config.ts';
export type { Loss, LossCounts } from './loss-window.ts';

export const DROP_RATE_DROP_REASONS = ['shutdown'] as const;

export interface DropRateSettings {
  /** The time over which events and losses are counted together. Default 10 s. */
  readonly windowMillis?: number;
  /** Above this part of lost events `onLoss` is told. Default 0.01. */
  readonly threshold?: number;
  /** `onLoss` is told at most once in this time. Default 60 s. */
  readonly intervalMillis?: number;
  /** Where the counts come from. Called once for each record and once a second; without it every record says 0. */
  readonly source?: () => LossCounts;
  /** Told when the loss is above the threshold, at most once per `interval`. */
  readonly onLoss?: (loss: Loss & { readonly windowMillis: number }) => void;
  readonly onDrop?: (reason: (typeof DROP_RATE_DROP_REASONS)[number]) => void;
  /** Milliseconds; default the monotonic clock. */
  readonly now?: () => number;
}

const CHECK_MILLIS = 1000;

/**
 * Stamps on every record how many events were lost around it (`shikra.events.dropped`, `shikra.events.drop_ratio`): who reads a detection
 * sees whether others may be missing. Above a threshold it tells `onLoss`, even when there is no record to stamp.
 */
export class DropRateProcessor implements LogRecordProcessor {
  dropped = 0;
  readonly #next: LogRecordProcessor;
  readonly #window: LossWindow;
  readonly #windowMillis: number;
  readonly #threshold: number;
  readonly #intervalMillis: number;
  readonly #source: () => LossCounts;
  readonly #onLoss: NonNullable<DropRateSettings['onLoss']>;
  readonly #onDrop: NonNullable<DropRateSettings['onDrop']>;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  #lastReport = Number.NEGATIVE_INFINITY;
  #isShutdown = false;

  constructor(settings: DropRateSettings, next: LogRecordProcessor) {
    this.#next = next;
    this.#windowMillis = settings.windowMillis ?? 10_000;
    this.#window = new LossWindow(this.#windowMillis);
    this.#threshold = settings.threshold ?? 0.01;
    this.#intervalMillis = settings.intervalMillis ?? 60_000;
    this.#source = settings.source ?? (() => ({ events: 0, dropped: 0 }));
    this.#onLoss = settings.onLoss ?? (() => {});
    this.#onDrop = settings.onDrop ?? (() => {});
    this.#now = settings.now ?? (() => performance.now());
    this.#timer = setInterval(() => this.check(), CHECK_MILLIS).unref();
  }

  onEmit(record: ReadWriteLogRecord, context?: Context): void {
    if (this.#isShutdown) {
      this.dropped++;
      this.#onDrop('shutdown');
      return;
    }
    const { dropped, ratio } = this.#look();
    record.setAttribute(ATTRIBUTES.eventsDropped, dropped);
    record.setAttribute(ATTRIBUTES.dropRatio, ratio);
    this.#next.onEmit(record, context);
  }

  /** Looks at the counts and reports if they are above the threshold. Done by itself with every record and once a second. */
  check(): void {
    if (!this.#isShutdown) this.#look();
  }

  forceFlush(options?: { timeoutMillis?: number }): Promise<void> {
    return this.#next.forceFlush(options);
  }

  async shutdown(): Promise<void> {
    if (this.#isShutdown) return;
    this.#isShutdown = true;
    clearInterval(this.#timer);
    await this.#next.shutdown();
  }

  #look(): Loss {
    const now = this.#now();
    const loss = this.#window.update(this.#source(), now);
    const isReport = loss.dropped > 0 && loss.ratio > this.#threshold && now - this.#lastReport >= this.#intervalMillis;
    if (isReport) {
      // Before the call: what it raises comes back here as a record.
      this.#lastReport = now;
      this.#onLoss({ ...loss, windowMillis: this.#windowMillis });
    }
    return loss;
  }
}
