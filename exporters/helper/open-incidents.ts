import type { ExporterContext } from './exporter.ts';
import type { ExportOutcome } from './outcome.ts';

export interface OpenIncidentsSettings {
  /** So long without a repeat, and an incident is over. 0: never. */
  readonly quietMillis: number;
  readonly context: Pick<ExporterContext, 'id' | 'logger' | 'metrics' | 'incidents'>;
  /** Tells the receiver that it is over. What may pass is tried again. */
  resolve(key: string): Promise<ExportOutcome>;
}

type IncidentOutcome = 'closed' | 'refused' | 'forgotten';

const MOST_OPEN = 1000;
const LONGEST_TICK_MILLIS = 15_000;

/**
 * Remembers which incidents are open at a receiver that does not close them by itself, and closes each after a quiet time. What is open is in the store: the
 * agent closes it after its next start, be it stopped or killed. An agent that is killed while it closes one closes it again.
 */
export class OpenIncidents {
  readonly #settings: OpenIncidentsSettings;
  /** As the store has it, if the disk does not fail. The longest quiet first. */
  #lastSeen = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  constructor(settings: OpenIncidentsSettings) {
    this.#settings = settings;
  }

  start(): void {
    const { quietMillis, context } = this.#settings;
    if (this.#timer !== undefined) return;
    this.#lastSeen = new Map(context.incidents.open());
    if (quietMillis === 0) {
      // People close them from now on.
      for (const key of this.#lastSeen.keys()) this.#forget(key);
      return;
    }
    this.#showOpen();
    this.#timer = setInterval(() => void this.#tick(), Math.min(LONGEST_TICK_MILLIS, Math.max(10, quietMillis / 4)));
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  seen(key: string): void {
    if (this.#settings.quietMillis === 0) return;
    const now = Date.now();
    this.#lastSeen.delete(key);
    this.#lastSeen.set(key, now);
    this.#note(() => this.#settings.context.incidents.seen(key, now));
    const [oldest] = this.#lastSeen.keys();
    if (this.#lastSeen.size > MOST_OPEN) {
      this.#end(oldest!, 'forgotten');
      this.#settings.context.logger.warn(
        { key: oldest },
        `more than ${MOST_OPEN} incidents are open: the oldest is not closed by Shikra`,
      );
    }
    this.#showOpen();
  }

  async #tick(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (const [key, at] of [...this.#lastSeen]) {
        if (Date.now() - at < this.#settings.quietMillis) break;
        const outcome = await this.#close(key);
        if (outcome === undefined || this.#timer === undefined) break;
        if (this.#lastSeen.get(key) === at) this.#end(key, outcome);
      }
    } finally {
      this.#busy = false;
    }
  }

  /** @returns undefined if it may work later */
  async #close(key: string): Promise<IncidentOutcome | undefined> {
    const outcome = await this.#settings
      .resolve(key)
      .catch((error: unknown): ExportOutcome => ({ status: 'retryable', reason: String(error) }));
    if (outcome.status === 'retryable') return undefined;
    if (outcome.status === 'success') return 'closed';
    this.#settings.context.logger.warn({ key, reason: outcome.reason }, 'the receiver refused to close an incident');
    return 'refused';
  }

  #end(key: string, outcome: IncidentOutcome): void {
    const { id, metrics } = this.#settings.context;
    this.#forget(key);
    metrics.exporterIncidents.inc({ exporter: id, outcome });
    this.#showOpen();
  }

  #forget(key: string): void {
    this.#lastSeen.delete(key);
    this.#note(() => this.#settings.context.incidents.closed(key));
  }

  /** A disk that fails costs what a restart would have known, not the delivery. */
  #note(write: () => void): void {
    const { logger, metrics } = this.#settings.context;
    try {
      write();
    } catch (error) {
      metrics.storeErrors.inc({ operation: 'write' });
      logger.warn({ err: error }, 'the store cannot note which incidents are open');
    }
  }

  #showOpen(): void {
    const { id, metrics } = this.#settings.context;
    metrics.exporterOpenIncidents.set({ exporter: id }, this.#lastSeen.size);
  }
}
