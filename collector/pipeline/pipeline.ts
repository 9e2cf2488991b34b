import type { Readiness } from '../../exporters/helper/exporter.ts';
import { Store } from '../../exporters/store/store.ts';
import type { Detection } from '../detection/detection.ts';
import { createRedaction } from '../redaction/index.ts';
import type { ForeignRecord } from '../sources/receiver.ts';
import type { CollectorStats } from '../telemetry/collector-stats.ts';
import type { Exporter, PipelineConfig } from './contracts.ts';
import { ExporterSet } from './exporter-set.ts';
import { Lanes } from './lanes.ts';
import type { PipelineSettings } from './settings.ts';

export interface Pipeline {
  /**
   * Sends a detection on its way; it is on disk at the end of this turn of the event loop. Never throws.
   * @param receiver the id of the receiver that it came from: it goes the way of the pipelines that name it. Left out, it goes all ways.
   * @param foreign the record that it was restored from, which goes on in place of one made here
   * @returns false if it is lost, which is counted and logged
   */
  emit(detection: Detection, receiver?: string, foreign?: ForeignRecord): boolean;
  /** The same for one that is written already (`stringifyExact`): it goes to disk as it is. */
  emitWritten(detection: string, receiver: string): boolean;
  /** Whether much waits to be emitted: exporters give way then. To be said again at least once a second. */
  hurry(behind: boolean): void;
  /** Takes the collector's counts: for the metrics, and for the processor that tells of losses. */
  loss(stats: CollectorStats): void;
  /**
   * Takes another configuration while it runs: what it leaves as it is goes on undisturbed, a changed exporter goes on at its cursor. The store stays as it is.
   * @throws ShikraError if a part cannot start; take the configuration from before again then
   */
  reconfigure(config: PipelineConfig): Promise<void>;
  /** Everything stored and, within the time, delivered. @returns false if an exporter could not deliver all */
  forceFlush(deadlineMillis?: number): Promise<boolean>;
  /** Takes no more, delivers what it can within the time, closes the store. Calling it twice is fine. */
  shutdown(deadlineMillis?: number): Promise<void>;
  ready(): Readiness;
  /** For the web page. */
  readonly store: Store;
  /** By id; e.g. to learn which port `prometheus` listens on. */
  readonly exporters: ReadonlyMap<string, Exporter>;
}

/** How often the store is asked whether someone wants dead letters sent again. */
const DEAD_LETTERS_MILLIS = 2000;

/** What is not said again for so long holds no more. */
const HURRY_MILLIS = 1000;

/** For what a changed exporter has on its way. */
const REPLACE_MILLIS = 2000;

/**
 * Joins the parts: for each chain logger provider -> processors in the order given -> store; from there each exporter takes what is for it.
 * @throws ShikraError if the store or an exporter cannot start; whatever was started is stopped again
 */
export async function createPipeline(settings: PipelineSettings): Promise<Pipeline> {
  const { config, metrics, logger } = settings;
  const store = new Store(config.store, { logger, metrics });
  let pipeline: RunningPipeline | undefined;
  try {
    pipeline = new RunningPipeline(settings, store);
    await pipeline.reconfigure(config);
    pipeline.started();
    return pipeline;
  } catch (error) {
    await pipeline?.shutdown(0);
    store.close();
    throw error;
  }
}

class RunningPipeline implements Pipeline {
  readonly store: Store;
  readonly #settings: PipelineSettings;
  readonly #lanes: Lanes;
  readonly #exporters: ExporterSet;
  readonly #losses = { events: 0, dropped: 0 };
  #deadLetterTimer: NodeJS.Timeout | undefined;
  #ending: Promise<void> | undefined;
  #hurryUntil = 0;
  #started = false;

  constructor(settings: PipelineSettings, store: Store) {
    this.#settings = settings;
    this.store = store;
    this.#lanes = new Lanes(settings, store, () => this.#losses);
    this.#exporters = new ExporterSet(settings, store, {
      ready: () => this.ready(),
      inHurry: () => performance.now() < this.#hurryUntil,
    });
  }

  get exporters(): ReadonlyMap<string, Exporter> {
    return this.#exporters.exporters;
  }

  started(): void {
    this.#deadLetterTimer = setInterval(() => this.#checkDeadLetters(), DEAD_LETTERS_MILLIS);
    this.#deadLetterTimer.unref();
    this.#started = true;
  }

  async reconfigure(config: PipelineConfig): Promise<void> {
    const lanes = this.#lanes.plan(config.chains);
    const exporters = this.#exporters.plan(config);
    const redaction = config.redaction && createRedaction(config.redaction);
    await this.#exporters.stopOthers(exporters, REPLACE_MILLIS);
    await this.#lanes.adopt(lanes, redaction);
    await this.#exporters.start(exporters);
  }

  emit(detection: Detection, receiver?: string, foreign?: ForeignRecord): boolean {
    return this.#lanes.emit(detection, receiver, foreign);
  }

  emitWritten(detection: string, receiver: string): boolean {
    return this.#lanes.emitWritten(detection, receiver);
  }

  hurry(behind: boolean): void {
    this.#hurryUntil = behind ? performance.now() + HURRY_MILLIS : 0;
  }

  loss(stats: CollectorStats): void {
    this.#settings.metrics.recordCollectorStats(stats);
    let events = 0;
    for (const count of Object.values(stats.events)) events += count;
    let dropped = 0;
    // An event with a gap did arrive: it is counted as an event, not as lost.
    for (const drop of stats.drops) if (drop.reason !== 'read_failed') dropped += drop.count;
    this.#losses.events = events;
    this.#losses.dropped = dropped;
  }

  async forceFlush(deadlineMillis = 10_000): Promise<boolean> {
    const stored = await this.#lanes.forceFlush().then(
      () => true,
      () => false,
    );
    const { deliveries } = this.#exporters;
    const delivered = await Promise.all(deliveries.map(({ delivery }) => delivery.forceFlush(deadlineMillis)));
    return stored && delivered.every(Boolean);
  }

  shutdown(deadlineMillis = 5000): Promise<void> {
    this.#ending ??= this.#end(deadlineMillis);
    return this.#ending;
  }

  ready(): Readiness {
    const also = this.#settings.alsoReady?.() ?? { ready: true, parts: {} };
    const storeWaits = this.store.pending > 0 && this.store.failing;
    const parts: Record<string, string> = {
      pipeline: this.#started ? 'ok' : 'starting',
      store: storeWaits ? 'failing' : 'ok',
      ...also.parts,
    };
    for (const { id, delivery } of this.#exporters.deliveries) parts[id] = delivery.status;
    // A receiver that is away does not make the agent unready: detections are kept, and a restart would help nobody.
    return { ready: this.#started && this.#ending === undefined && !storeWaits && also.ready, parts };
  }

  async #end(deadlineMillis: number): Promise<void> {
    clearInterval(this.#deadLetterTimer);
    await this.#lanes.shutdown();
    await this.#exporters.shutdown(deadlineMillis);
    this.store.close();
  }

  #checkDeadLetters(): void {
    for (const { delivery } of this.#exporters.deliveries) delivery.checkDeadLetters();
  }
}
