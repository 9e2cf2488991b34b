import { SYSTEM_CLOCK } from '../../exporters/helper/clock.ts';
import { Delivery } from '../../exporters/helper/delivery.ts';
import type { LiveExporter, Readiness } from '../../exporters/helper/exporter.ts';
import type { Store } from '../../exporters/store/store.ts';
import type { StoredDetection } from '../../exporters/store/stored-detection.ts';
import type { ConfiguredExporter, Exporter, PipelineConfig } from './contracts.ts';
import { createFilter, type FilterConfig } from './filter.ts';
import type { PipelineSettings } from './settings.ts';

const LIVE_BATCH = 1000;

/** What exporters ask of the pipeline. */
interface Asked {
  readonly ready: () => Readiness;
  /** Much waits to be stored. */
  readonly inHurry: () => boolean;
}

/** An exporter with what brings detections to it. */
interface Part {
  readonly id: string;
  /** What it was made of. */
  readonly plan: string;
  readonly exporter: Exporter;
  readonly accepts: ((item: StoredDetection) => boolean) | undefined;
  readonly delivery: Delivery | undefined;
  /** Of a live exporter: how far it has shown, and how to stop showing. */
  shown: number | undefined;
  unfollow: () => void;
}

/** All exporters. Those that a new configuration leaves as they are go on undisturbed; one that it changes goes on where it was. */
export class ExporterSet {
  readonly #settings: Omit<PipelineSettings, 'config'>;
  readonly #store: Store;
  readonly #asked: Asked;
  #parts: readonly Part[] = [];

  constructor(settings: Omit<PipelineSettings, 'config'>, store: Store, asked: Asked) {
    this.#settings = settings;
    this.#store = store;
    this.#asked = asked;
  }

  get exporters(): ReadonlyMap<string, Exporter> {
    return new Map(this.#parts.map(({ id, exporter }) => [id, exporter]));
  }

  get deliveries(): readonly { readonly id: string; readonly delivery: Delivery }[] {
    return this.#parts.flatMap(({ id, delivery }) => (delivery === undefined ? [] : [{ id, delivery }]));
  }

  /** Makes what is not there yet; nothing runs. */
  plan(config: PipelineConfig): Part[] {
    return config.exporters.map((exporter) => {
      const chains = config.chains.map(({ name }) => name);
      const plan = JSON.stringify([exporter.type, exporter.config, exporter.signals, exporter.chains, chains]);
      const same = this.#parts.find((part) => part.id === exporter.id && part.plan === plan);
      return same ?? this.#create(exporter, chains, plan);
    });
  }

  /**
   * Stops those that are not among these, and gives the cursors of those that come to them: what is stored from now on is before every one of them.
   * @param deadlineMillis for what is on its way
   */
  async stopOthers(parts: readonly Part[], deadlineMillis: number): Promise<void> {
    const before = this.#parts;
    const staying = before.filter((part) => parts.includes(part));
    this.#parts = staying;
    for (const { id, delivery } of parts) {
      const isNew = delivery !== undefined && !before.some((part) => part.id === id);
      if (isNew) this.#store.openCursor(id);
    }
    const going = before.filter((part) => !parts.includes(part));
    await Promise.all(going.map((part) => this.#replace(part, parts, deadlineMillis)));
  }

  /** Starts those that do not run yet. @throws ShikraError if one cannot; those before it run */
  async start(parts: readonly Part[]): Promise<void> {
    try {
      for (const part of parts) if (!this.#parts.includes(part)) await this.#start(part);
      this.#parts = parts;
    } catch (error) {
      // Retention must not wait for those that were not started.
      for (const { id } of parts) if (!this.#parts.some((part) => part.id === id)) this.#store.closeCursor(id);
      throw error;
    }
  }

  async shutdown(deadlineMillis: number): Promise<void> {
    await Promise.all(this.deliveries.map(({ delivery }) => delivery.shutdown(deadlineMillis)));
    for (const { unfollow } of this.#parts) unfollow();
    for (const { exporter } of this.#parts) if (exporter.kind !== 'delivering') await exporter.shutdown();
  }

  async #start(part: Part): Promise<void> {
    const { exporter, delivery } = part;
    this.#parts = [...this.#parts, part];
    await (delivery ?? exporter).start();
    if (exporter.kind === 'live') this.#follow(part, exporter);
  }

  async #replace(part: Part, parts: readonly Part[], deadlineMillis: number): Promise<void> {
    const { id, exporter, delivery, unfollow } = part;
    const next = parts.find((each) => each.id === id);
    unfollow();
    if (next !== undefined) next.shown = part.shown;
    if (delivery === undefined) await exporter.shutdown();
    else await delivery.shutdown(deadlineMillis);
    // At once: retention must not take what the next one has yet to send.
    if (next?.delivery !== undefined) this.#store.openCursor(id);
    else this.#settings.metrics.forgetExporter(id);
  }

  #create(configured: ConfiguredExporter, chains: readonly string[], plan: string): Part {
    const { factories, logger, metrics, resource, clock = SYSTEM_CLOCK } = this.#settings;
    const { id, type, config, signals } = configured;
    const context = {
      id,
      signals,
      logger: logger.child({ exporter: id }),
      metrics,
      resource,
      ready: this.#asked.ready,
      incidents: this.#store.incidents.of(id),
    };
    const exporter = factories.exporters[type]!.create(config as never, context);
    const accepts = acceptance(configured, chains);
    const delivery =
      exporter.kind === 'delivering'
        ? new Delivery({
            id,
            exporter,
            accepts,
            store: this.#store,
            logger,
            metrics,
            clock,
            givesWay: this.#asked.inHurry,
          })
        : undefined;
    return { id, plan, exporter, accepts, delivery, shown: undefined, unfollow: () => {} };
  }

  /** Shows what is stored from now on, or from where the one before it was; a detection is seen only after it is safe. */
  #follow(part: Part, exporter: LiveExporter): void {
    const { accepts = () => true } = part;
    const show = (last: number): void => {
      let shown = part.shown ?? last;
      while (shown < last) {
        const batch = this.#store.read(shown, LIVE_BATCH, Number.POSITIVE_INFINITY);
        if (batch.length === 0) break;
        const accepted = batch.filter(accepts);
        if (accepted.length > 0) exporter.show(accepted);
        shown = batch.at(-1)!.seq;
        part.shown = shown;
      }
    };
    part.shown ??= this.#store.lastSeq;
    part.unfollow = this.#store.onStored(show);
    show(this.#store.lastSeq);
  }
}

/**
 * Which stored detections are for an exporter: those of its chains that its filter lets pass. What was stored under a chain that the
 * configuration had before, and an exporter had yet to send, is for every exporter: it must not be passed over in silence.
 * Undefined: all of them.
 */
function acceptance(exporter: ConfiguredExporter, chains: readonly string[]) {
  const { filter } = exporter.config as { filter?: FilterConfig };
  const passes = filter === undefined ? undefined : createFilter(filter);
  const others = new Set(chains.filter((name) => !exporter.chains.includes(name)));
  if (others.size === 0 && passes === undefined) return undefined;
  return (item: StoredDetection) => !others.has(item.chain) && (passes === undefined || passes(item.detection));
}
