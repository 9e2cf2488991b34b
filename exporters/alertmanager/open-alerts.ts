import type { Clock } from '../helper/clock.ts';
import { isDoubling } from '../helper/doubling.ts';
import type { ExporterContext } from '../helper/exporter.ts';
import type { ExportOutcome } from '../helper/outcome.ts';

/** An alert of Alertmanager's API v2. */
export interface Alert {
  /** What makes it this alert. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL?: string;
}

export interface OpenAlertsSettings {
  readonly peers: readonly string[];
  /** From one time of sending them to the next. 0: never. */
  readonly intervalMillis: number;
  /** At most so many alerts in one request. */
  readonly batchCount: number;
  readonly context: Pick<ExporterContext, 'id' | 'logger' | 'metrics' | 'incidents'>;
  readonly clock: Clock;
  /** Brings a list of alerts to one peer. Does not reject. */
  send(peer: string, alerts: string): Promise<ExportOutcome>;
}

/** As text, which is what is sent and kept. */
interface OpenAlert {
  readonly text: string;
  readonly startsAt: string;
  readonly endMillis: number;
}

const MOST_OPEN = 1000;

/**
 * Sends what is open again and again, as Prometheus does: an Alertmanager has alerts in memory only, and one that starts anew knows what it is sent from then
 * on. Beside delivery: what fails here is neither counted there nor holds it up. What is open is in the store too, as of the last round.
 */
export class OpenAlerts {
  readonly #settings: OpenAlertsSettings;
  /** By labels. */
  readonly #open = new Map<string, OpenAlert>();
  /** The texts that the store has. */
  #kept = new Set<string>();
  /** In a row, by peer. */
  readonly #failures = new Map<string, number>();
  #stop: AbortController | undefined;
  #tooMany = 0;

  constructor(settings: OpenAlertsSettings) {
    this.#settings = settings;
  }

  start(): void {
    if (this.#stop !== undefined) return;
    this.#kept = new Set(this.#settings.context.incidents.open().keys());
    this.note([...this.#kept].map((text) => JSON.parse(text) as Alert));
    this.#stop = new AbortController();
    if (this.#settings.intervalMillis === 0) this.#keep();
    else void this.#run(this.#stop.signal);
  }

  stop(): void {
    if (this.#stop === undefined) return;
    this.#stop.abort();
    this.#stop = undefined;
    this.#keep();
  }

  /** Alertmanager has taken these. One that was open already goes on from its start. */
  note(alerts: readonly Alert[]): void {
    if (this.#settings.intervalMillis === 0) return;
    this.#forgetEnded();
    for (const alert of alerts) {
      const key = JSON.stringify(alert.labels);
      const { startsAt } = this.#open.get(key) ?? alert;
      const text = JSON.stringify({ ...alert, startsAt });
      this.#open.set(key, { text, startsAt, endMillis: Date.parse(alert.endsAt) });
    }
    if (this.#open.size > MOST_OPEN) this.#forgetFirstToEnd(this.#open.size - MOST_OPEN);
  }

  async #run(stop: AbortSignal): Promise<void> {
    for (;;) {
      await this.#settings.clock.sleep(this.#settings.intervalMillis, stop);
      if (stop.aborted) return;
      this.#forgetEnded();
      this.#keep();
      const lists = this.#lists();
      await Promise.all(this.#settings.peers.map((peer) => this.#sendTo(peer, lists, stop)));
    }
  }

  #lists(): string[] {
    const texts = [...this.#open.values()].map(({ text }) => text);
    const { batchCount } = this.#settings;
    const count = Math.ceil(texts.length / batchCount);
    return Array.from({ length: count }, (_, i) => `[${texts.slice(i * batchCount, (i + 1) * batchCount).join(',')}]`);
  }

  /** Up to the first failure: what is left would most likely wait for the same end. */
  async #sendTo(peer: string, lists: readonly string[], stop: AbortSignal): Promise<void> {
    for (const list of lists) {
      const outcome = await this.#settings.send(peer, list);
      if (stop.aborted) return;
      if (outcome.status !== 'success') return this.#failed(peer, outcome.reason);
    }
    if (lists.length > 0) this.#failures.delete(peer);
  }

  #failed(peer: string, reason: string): void {
    const failures = (this.#failures.get(peer) ?? 0) + 1;
    this.#failures.set(peer, failures);
    if (isDoubling(failures))
      this.#settings.context.logger.warn({ peer, reason, failures }, 'open alerts could not be sent again');
  }

  #forgetEnded(): void {
    const now = this.#settings.clock.now();
    for (const [key, { endMillis }] of this.#open) if (endMillis <= now) this.#open.delete(key);
  }

  #forgetFirstToEnd(count: number): void {
    const byEnd = [...this.#open].sort(([, one], [, other]) => one.endMillis - other.endMillis);
    for (const [key] of byEnd.slice(0, count)) {
      this.#open.delete(key);
      if (!isDoubling(++this.#tooMany)) continue;
      const message = `more than ${MOST_OPEN} alerts are open: those that end first are not sent again`;
      this.#settings.context.logger.warn({ not_sent_again: this.#tooMany }, message);
    }
  }

  /** Brings the store up to date. A disk that fails costs what a restart would have known. */
  #keep(): void {
    const { incidents, metrics, logger } = this.#settings.context;
    const now = this.#settings.clock.now();
    const texts = new Set([...this.#open.values()].map(({ text }) => text));
    try {
      for (const text of this.#kept.difference(texts)) {
        incidents.closed(text);
        this.#kept.delete(text);
      }
      for (const text of texts.difference(this.#kept)) {
        incidents.seen(text, now);
        this.#kept.add(text);
      }
    } catch (error) {
      metrics.storeErrors.inc({ operation: 'write' });
      logger.warn({ err: error }, 'the store cannot note which alerts are open');
    }
  }
}
