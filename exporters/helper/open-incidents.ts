import type { Logger } from '../../collector/telemetry/logger.ts';
import type { ExportOutcome } from './outcome.ts';

export interface OpenIncidentsSettings {
  /** So long without a repeat, and an incident is over. 0: never. */
  readonly quietMillis: number;
  readonly logger: Logger;
  /** Tells the receiver that it is over. What may pass is tried again. */
  resolve(key: string): Promise<ExportOutcome>;
}

const MOST_OPEN = 1000;
const LONGEST_TICK_MILLIS = 15_000;

/**
 * Remembers which incidents are open at a receiver that does not close them by itself, and closes each after a quiet time. In memory: what is open when
 * the agent ends stays open there.
 */
export class OpenIncidents {
  readonly #settings: OpenIncidentsSettings;
  /** The longest quiet first. */
  readonly #lastSeen = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  constructor(settings: OpenIncidentsSettings) {
    this.#settings = settings;
  }

  start(): void {
    const { quietMillis } = this.#settings;
    if (quietMillis === 0) return;
    this.#timer ??= setInterval(() => void this.#tick(), Math.min(LONGEST_TICK_MILLIS, Math.max(10, quietMillis / 4)));
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#lastSeen.clear();
  }

  seen(key: string): void {
    if (this.#settings.quietMillis === 0) return;
    this.#lastSeen.delete(key);
    this.#lastSeen.set(key, Date.now());
    if (this.#lastSeen.size <= MOST_OPEN) return;
    const [oldest] = this.#lastSeen.keys();
    this.#lastSeen.delete(oldest!);
    this.#settings.logger.warn(
      { key: oldest },
      `more than ${MOST_OPEN} incidents are open: the oldest is not closed by Shikra`,
    );
  }

  async #tick(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (const [key, at] of [...this.#lastSeen]) {
        if (Date.now() - at < this.#settings.quietMillis) break;
        if (!(await this.#close(key))) break;
        if (this.#lastSeen.get(key) === at) this.#lastSeen.delete(key);
      }
    } finally {
      this.#busy = false;
    }
  }

  /** @returns false if it may work later */
  async #close(key: string): Promise<boolean> {
    const outcome = await this.#settings
      .resolve(key)
      .catch((error: unknown): ExportOutcome => ({ status: 'retryable', reason: String(error) }));
    if (outcome.status === 'permanent')
      this.#settings.logger.warn({ key, reason: outcome.reason }, 'the receiver refused to close an incident');
    return outcome.status !== 'retryable';
  }
}
