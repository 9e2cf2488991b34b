import type { Logger as OtelLogger } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import { LoggerProvider, type LogRecordProcessor } from '@opentelemetry/sdk-logs';
import { type Clock, SYSTEM_CLOCK } from '../../exporters/helper/clock.ts';
import { Delivery } from '../../exporters/helper/delivery.ts';
import type { LiveExporter, Readiness } from '../../exporters/helper/exporter.ts';
import { StoreProcessor } from '../../exporters/store/processor.ts';
import { Store } from '../../exporters/store/store.ts';
import type { StoredDetection } from '../../exporters/store/stored-detection.ts';
import type { Detection } from '../detection/detection.ts';
import { SCHEMA_URL, SCOPE_NAME, toLogRecord } from '../detection/log-record.ts';
import type { CollectorStats } from '../telemetry/collector-stats.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Chain, Exporter, Factories, PipelineConfig } from './contracts.ts';
import { createFilter, type FilterConfig } from './filter.ts';

export interface PipelineSettings {
  readonly config: PipelineConfig;
  readonly factories: Factories;
  readonly resource: Resource;
  readonly version: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** What else must be ready (the collector thread) for `/readyz`. */
  readonly alsoReady?: () => Readiness;
  readonly clock?: Clock;
}

export interface Pipeline {
  /**
   * Sends a detection on its way; it is on disk at the end of this turn of the event loop. Never throws.
   * @param receiver the id of the receiver that it came from: it goes the way of the pipelines that name it. Left out, it goes all ways.
   */
  emit(detection: Detection, receiver?: string): void;
  /** Takes the collector's counts: for the metrics, and for the processor that tells of losses. */
  loss(stats: CollectorStats): void;
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

const LIVE_BATCH = 1000;
/** How often the store is asked whether someone wants dead letters sent again. */
const DEAD_LETTERS_MILLIS = 2000;

/** One way through processors into the store. */
interface Lane {
  readonly receivers: ReadonlySet<string>;
  readonly provider: LoggerProvider;
  readonly logger: OtelLogger;
}

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
    await pipeline.start();
    return pipeline;
  } catch (error) {
    await pipeline?.shutdown(0);
    store.close();
    throw error;
  }
}

class RunningPipeline implements Pipeline {
  readonly store: Store;
  readonly exporters: ReadonlyMap<string, Exporter>;
  readonly #settings: PipelineSettings;
  readonly #lanes: readonly Lane[];
  readonly #deliveries: readonly Delivery[];
  readonly #deliveryIds: readonly string[];
  readonly #losses = { events: 0, dropped: 0 };
  readonly #unsubscribe: (() => void)[] = [];
  #deadLetterTimer: NodeJS.Timeout | undefined;
  #ending: Promise<void> | undefined;
  #started = false;

  constructor(settings: PipelineSettings, store: Store) {
    const { config, metrics, logger, clock = SYSTEM_CLOCK } = settings;
    this.#settings = settings;
    this.store = store;
    this.#lanes = config.chains.map((chain) => this.#lane(chain));
    this.exporters = this.#createExporters();
    const delivering = [...this.exporters].flatMap(([id, exporter]) =>
      exporter.kind === 'delivering' ? [{ id, exporter }] : [],
    );
    this.#deliveries = delivering.map(
      (one) => new Delivery({ ...one, accepts: this.#acceptance(one.id), store, logger, metrics, clock }),
    );
    this.#deliveryIds = delivering.map(({ id }) => id);
  }

  async start(): Promise<void> {
    // Cursors first: a detection that is stored from now on is before every exporter, however long one takes to start.
    for (const id of this.#deliveryIds) this.store.openCursor(id);
    for (const delivery of this.#deliveries) await delivery.start();
    for (const [id, exporter] of this.exporters) {
      if (exporter.kind === 'delivering') continue;
      await exporter.start();
      if (exporter.kind === 'live') this.#follow(exporter, this.#acceptance(id));
    }
    this.#deadLetterTimer = setInterval(() => this.#checkDeadLetters(), DEAD_LETTERS_MILLIS);
    this.#deadLetterTimer.unref();
    this.#started = true;
  }

  emit(detection: Detection, receiver?: string): void {
    this.#emitInto(
      receiver === undefined ? this.#lanes : this.#lanes.filter(({ receivers }) => receivers.has(receiver)),
      detection,
    );
  }

  #emitInto(lanes: readonly Lane[], detection: Detection): void {
    const { metrics, logger } = this.#settings;
    try {
      if (this.#ending !== undefined) throw new Error('it has shut down');
      metrics.detections.inc({ priority: detection.priority, source: detection.source });
      const record = toLogRecord(detection);
      for (const lane of lanes) lane.logger.emit(record);
    } catch (error) {
      metrics.pipelineErrors.inc();
      logger.error(
        { err: error, uuid: detection.uuid, rule: detection.rule },
        'a detection was lost: the pipeline failed',
      );
    }
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
    const stored = await Promise.all(this.#lanes.map(({ provider }) => provider.forceFlush())).then(
      () => true,
      () => false,
    );
    const delivered = await Promise.all(this.#deliveries.map((delivery) => delivery.forceFlush(deadlineMillis)));
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
    this.#deliveries.forEach((delivery, index) => {
      parts[this.#deliveryIds[index]!] = delivery.status;
    });
    // A receiver that is away does not make the agent unready: detections are kept, and a restart would help nobody.
    return { ready: this.#started && this.#ending === undefined && !storeWaits && also.ready, parts };
  }

  async #end(deadlineMillis: number): Promise<void> {
    clearInterval(this.#deadLetterTimer);
    for (const { provider } of this.#lanes) {
      await provider
        .shutdown()
        .catch((error: unknown) =>
          this.#settings.logger.error({ err: error }, 'a processor did not shut down cleanly'),
        );
    }
    await Promise.all(this.#deliveries.map((delivery) => delivery.shutdown(deadlineMillis)));
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const exporter of this.exporters.values()) if (exporter.kind !== 'delivering') await exporter.shutdown();
    this.store.close();
  }

  #lane({ name, receivers, processors }: Chain): Lane {
    const { factories, logger, metrics, resource, version } = this.#settings;
    // What a processor says of the agent itself goes through its own chain: each chain's processor says it.
    let self: readonly Lane[] = [];
    let next: LogRecordProcessor = new StoreProcessor(this.store, name);
    for (const { id, type, config: own } of [...processors].reverse()) {
      const context = {
        id,
        logger: logger.child({ processor: id }),
        metrics,
        losses: () => this.#losses,
        raise: (detection: Detection) => this.#emitInto(self, detection),
      };
      next = factories.processors[type]!.create(own as never, context, next);
    }
    const provider = new LoggerProvider({ resource, processors: [next] });
    const otelLogger = provider.getLogger(SCOPE_NAME, version, { schemaUrl: SCHEMA_URL });
    const lane = { receivers: new Set(receivers), provider, logger: otelLogger };
    self = [lane];
    return lane;
  }

  /**
   * Which stored detections are for an exporter: those of its chains that its filter lets pass. What was stored under a chain that the
   * configuration had before, and an exporter had yet to send, is for every exporter: it must not be passed over in silence.
   * Undefined: all of them.
   */
  #acceptance(id: string): ((item: StoredDetection) => boolean) | undefined {
    const { config } = this.#settings;
    const exporter = config.exporters.find((each) => each.id === id)!;
    const { filter } = exporter.config as { filter?: FilterConfig };
    const passes = filter === undefined ? undefined : createFilter(filter);
    const others = new Set(config.chains.map(({ name }) => name).filter((name) => !exporter.chains.includes(name)));
    if (others.size === 0 && passes === undefined) return undefined;
    return (item) => !others.has(item.chain) && (passes === undefined || passes(item.detection));
  }

  #checkDeadLetters(): void {
    for (const delivery of this.#deliveries) delivery.checkDeadLetters();
  }

  #createExporters(): Map<string, Exporter> {
    const { config, factories, logger, metrics, resource } = this.#settings;
    return new Map(
      config.exporters.map(({ id, type, config: own, signals }) => {
        const context = {
          id,
          signals,
          logger: logger.child({ exporter: id }),
          metrics,
          resource,
          ready: () => this.ready(),
          incidents: this.store.incidents.of(id),
        };
        return [id, factories.exporters[type]!.create(own as never, context)];
      }),
    );
  }

  /** Shows what is stored from now on; a detection is seen only after it is safe. */
  #follow(exporter: LiveExporter, accepts: (item: StoredDetection) => boolean = () => true): void {
    let shown = this.store.lastSeq;
    const unsubscribe = this.store.onStored((last) => {
      while (shown < last) {
        const batch = this.store.read(shown, LIVE_BATCH, Number.POSITIVE_INFINITY);
        if (batch.length === 0) break;
        const accepted = batch.filter(accepts);
        if (accepted.length > 0) exporter.show(accepted);
        shown = batch.at(-1)!.seq;
      }
    });
    this.#unsubscribe.push(unsubscribe);
  }
}
