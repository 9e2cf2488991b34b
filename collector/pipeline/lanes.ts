import type { Logger as OtelLogger } from '@opentelemetry/api';
import { LoggerProvider, type LogRecordProcessor } from '@opentelemetry/sdk-logs';
import { StoreProcessor } from '../../exporters/store/processor.ts';
import type { Store } from '../../exporters/store/store.ts';
import type { Detection } from '../detection/detection.ts';
import { parseExact } from '../detection/json.ts';
import { SCHEMA_URL, SCOPE_NAME, toLogRecord, withDetection } from '../detection/log-record.ts';
import type { Redaction } from '../redaction/index.ts';
import type { ForeignRecord, RecordOrigin } from '../sources/receiver.ts';
import { BoundedLabel } from '../telemetry/bounded-label.ts';
import { AttributesInPlace, emitInPlace } from './attributes-in-place.ts';
import type { Chain } from './contracts.ts';
import type { PipelineSettings } from './settings.ts';

/** One way through processors into the store. */
export interface Lane {
  /** What it was made of. */
  readonly plan: string;
  readonly receivers: ReadonlySet<string>;
  readonly provider: LoggerProvider;
  readonly logger: OtelLogger;
  /** A logger of the same way for records of somebody else, by {@link RecordOrigin.key}. */
  readonly foreign: Map<string, OtelLogger>;
  readonly first: LogRecordProcessor;
}

/** A detection on its way into the lanes. */
interface Given {
  readonly detection: Detection;
  /** Its text, if it was written already. */
  readonly written?: string;
  /** The record that it was restored from. */
  readonly foreign?: ForeignRecord | undefined;
}

/** A fleet's nodes have one each. Those that were not heard of for longest are made again when they come. */
const MOST_ORIGINS = 2000;
/** Of {@link RecordOrigin.key}. What is longer somebody makes up, and as many of these would fill the memory. */
const LONGEST_KEPT_KEY = 8192;
/** Sources are written by who sends; they must not make series without end. */
const MOST_SOURCES = 32;

/** All ways into the store. Swapped as a whole between two detections, those that stay as they are with all that their processors know. */
export class Lanes {
  readonly #settings: Omit<PipelineSettings, 'config'>;
  readonly #store: Store;
  readonly #losses: () => { readonly events: number; readonly dropped: number };
  readonly #sources = new BoundedLabel(MOST_SOURCES);
  #lanes: readonly Lane[] = [];
  #redaction: Redaction | undefined;
  #closed = false;

  constructor(
    settings: Omit<PipelineSettings, 'config'>,
    store: Store,
    losses: () => { readonly events: number; readonly dropped: number },
  ) {
    this.#settings = settings;
    this.#store = store;
    this.#losses = losses;
  }

  /** Makes what is not there yet. Nothing goes through it before {@link adopt}. */
  plan(chains: readonly Chain[]): Lane[] {
    return chains.map((chain) => {
      const plan = JSON.stringify([chain.name, chain.receivers, chain.processors]);
      return this.#lanes.find((lane) => lane.plan === plan) ?? this.#create(chain, plan);
    });
  }

  /** From now on detections go these ways. Settles when the others have passed on what they held. */
  async adopt(lanes: readonly Lane[], redaction: Redaction | undefined): Promise<void> {
    const before = this.#lanes;
    this.#lanes = lanes;
    this.#redaction = redaction;
    await Promise.all(before.filter((lane) => !lanes.includes(lane)).map((lane) => this.#end(lane)));
  }

  /** Never throws. @returns false if the detection is lost */
  emit(detection: Detection, receiver?: string, foreign?: ForeignRecord): boolean {
    return this.#emitInto(this.#lanesOf(receiver), { detection, foreign });
  }

  /** The same for one that is written already, as {@link parseExact} reads it. */
  emitWritten(written: string, receiver: string): boolean {
    return this.#emitInto(this.#lanesOf(receiver), { detection: parseExact(written) as Detection, written });
  }

  /** @throws if the store cannot write */
  async forceFlush(): Promise<void> {
    await Promise.all(this.#lanes.map(({ provider }) => provider.forceFlush()));
  }

  async shutdown(): Promise<void> {
    this.#closed = true;
    for (const lane of this.#lanes) await this.#end(lane);
  }

  #lanesOf(receiver: string | undefined): readonly Lane[] {
    return receiver === undefined ? this.#lanes : this.#lanes.filter(({ receivers }) => receivers.has(receiver));
  }

  #emitInto(lanes: readonly Lane[], given: Given): boolean {
    const { metrics, logger } = this.#settings;
    let { detection } = given;
    try {
      detection = this.#redaction?.detection(detection) ?? detection;
      const foreign = given.foreign && (this.#redaction?.foreign(given.foreign) ?? given.foreign);
      if (this.#closed) throw new Error('it has shut down');
      if (lanes.length === 0) throw new Error('no pipeline names its receiver');
      metrics.detections.inc({ priority: detection.priority, source: this.#sources.of(detection.source) });
      if (foreign === undefined) {
        const record = toLogRecord(detection, detection === given.detection ? given.written : undefined);
        for (const lane of lanes) emitInPlace(lane.logger, record);
      } else {
        const record = withDetection(foreign.record, detection);
        for (const lane of lanes) foreignLogger(lane, foreign.origin).emit(record);
      }
      return true;
    } catch (error) {
      metrics.pipelineErrors.inc();
      logger.error(
        { err: error, uuid: detection.uuid, rule: detection.rule },
        'a detection was lost: the pipeline failed',
      );
      return false;
    }
  }

  #create({ name, receivers, processors }: Chain, plan: string): Lane {
    const { factories, logger, metrics, resource, version } = this.#settings;
    // What a processor says of the agent itself goes through its own chain: each chain's processor says it.
    let self: readonly Lane[] = [];
    let next: LogRecordProcessor = new StoreProcessor(this.#store, name);
    for (const { id, type, config: own } of [...processors].reverse()) {
      const context = {
        id,
        logger: logger.child({ processor: id }),
        metrics,
        losses: this.#losses,
        raise: (detection: Detection) => this.#emitInto(self, { detection }),
      };
      next = factories.processors[type]!.create(own as never, context, next);
    }
    next = new AttributesInPlace(next);
    const provider = new LoggerProvider({ resource, processors: [next] });
    const otelLogger = provider.getLogger(SCOPE_NAME, version, { schemaUrl: SCHEMA_URL });
    const lane = {
      plan,
      receivers: new Set(receivers),
      provider,
      logger: otelLogger,
      foreign: new Map<string, OtelLogger>(),
      first: next,
    };
    self = [lane];
    return lane;
  }

  async #end({ provider }: Lane): Promise<void> {
    await provider
      .shutdown()
      .catch((error: unknown) => this.#settings.logger.error({ err: error }, 'a processor did not shut down cleanly'));
  }
}

/** The same processors under the resource and scope of who made the record. Never shut down: the lane's own provider does that for both. */
function foreignLogger({ foreign, first }: Lane, { key, resource, scope }: RecordOrigin): OtelLogger {
  const known = foreign.get(key);
  if (known !== undefined) {
    foreign.delete(key);
    foreign.set(key, known);
    return known;
  }
  const provider = new LoggerProvider({ resource, processors: [first] });
  const logger = provider.getLogger(
    scope.name,
    scope.version,
    scope.schemaUrl === undefined ? {} : { schemaUrl: scope.schemaUrl },
  );
  if (key.length > LONGEST_KEPT_KEY) return logger;
  foreign.set(key, logger);
  const [oldest] = foreign.keys();
  if (foreign.size > MOST_ORIGINS && oldest !== undefined) foreign.delete(oldest);
  return logger;
}
