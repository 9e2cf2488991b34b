import type { CheckedRule, CompiledRule } from '../../rules/runtime.ts';
import type { ContainerNews } from '../containers/news.ts';
import type { Detection } from '../detection/detection.ts';
import { formatTime } from '../detection/time.ts';
import type { ContainerTable } from '../event/container-table.ts';
import type { EventView } from '../sources/kernel/event-view.ts';
import { onFailedCall } from '../sources/kernel/failed-calls.ts';
import type { FieldContext } from '../sources/kernel/fields/context.ts';
import { Evidence, KernelFields, METADATA_FIELD } from '../sources/kernel/fields/index.ts';
import { EVENT_TYPE_NAMES, HEADER } from '../sources/kernel/layout.ts';
import { COLLECTED_EVENT_TYPES, type WantedEvents } from '../sources/kernel/system-calls.ts';
import { type HeldOutcome, MISSING_REASONS, type MissingReason } from '../telemetry/collector-stats.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { HeldBack } from './held-back.ts';

/** Which detection it is, and when it was made. */
export interface DetectionStamp {
  readonly uuid: string;
  /** Nanoseconds since 1970. */
  readonly observedNs: bigint;
}

export interface DetectorOptions {
  /** What fields are taken from beside the event. */
  readonly context: FieldContext;
  readonly containers: ContainerTable;
  readonly rules: readonly CheckedRule[];
  readonly matching: 'first' | 'all';
  /** How long an event waits for the metadata of its container. */
  readonly holdMillis: number;
  /** The clock of waiting. */
  readonly now: () => number;
  /** Something waits: {@link Detector.release} is to be called in so many milliseconds at the latest. Undefined: nothing waits for a time any more. */
  readonly wakeIn: (millis: number | undefined) => void;
  /** False while no detection can be taken. */
  readonly hasRoom: () => boolean;
  /** @param timeNs of the event, in nanoseconds since 1970 */
  readonly stamp: (timeNs: bigint, event: EventView, rule: CompiledRule<EventView>) => DetectionStamp;
  readonly onDetection: (detection: Detection) => void;
}

/** Makes detections of the kernel's events: the same of a recording as when they happened. */
export class Detector {
  /** The rules in force. */
  engine: Engine<EventView>;
  readonly #options: Omit<DetectorOptions, 'rules'>;
  readonly #engineOptions: Omit<EngineOptions<EventView>, 'rules'>;
  readonly #evidence: Evidence;
  readonly #heldBack: HeldBack;
  readonly #missing = new Map<MissingReason, number>(MISSING_REASONS.map((reason) => [reason, 0]));
  readonly #onMatch = (rule: CompiledRule<EventView>, event: EventView): void => this.#detect(rule, event);

  constructor({ rules, ...options }: DetectorOptions) {
    this.#options = options;
    this.#evidence = new Evidence(options.context);
    this.#engineOptions = {
      resolver: new KernelFields(options.context),
      eventTypeNames: EVENT_TYPE_NAMES,
      collected: COLLECTED_EVENT_TYPES,
      matching: options.matching,
      timeNs: (event) => event.u64(HEADER.time_ns),
    };
    this.engine = this.engineFor(rules);
    this.#heldBack = new HeldBack({
      ...options,
      engine: () => this.engine,
      evaluate: (event) => this.engine.evaluate(event, this.#onMatch),
    });
  }

  /** For other rules, which are in force when it is made {@link engine}. */
  engineFor(rules: readonly CheckedRule[]): Engine<EventView> {
    return new Engine({ ...this.#engineOptions, rules });
  }

  /** What the rules in force need of the kernel. */
  get wanted(): WantedEvents {
    return wantedBy(this.engine);
  }

  /** Evaluates an event now, or when its container is known. */
  see(event: EventView): void {
    if (event.process.image.container.pending || this.#heldBack.isWaiting) this.#heldBack.see(event);
    else this.engine.evaluate(event, this.#onMatch);
  }

  /** A container engine told something. @returns true if events wait that {@link release} may let go now */
  hear(news: ContainerNews): boolean {
    tellContainers(this.#options.containers, news);
    return this.#heldBack.isWaiting;
  }

  /** Lets go what waits no longer. */
  release(): void {
    this.#heldBack.release();
  }

  /** At the end: nothing is waited for any more. */
  releaseAll(): void {
    this.#heldBack.releaseAll();
  }

  /** Events that waited, by how that ended. */
  get held(): Readonly<Record<HeldOutcome, number>> {
    return this.#heldBack.outcomes;
  }

  /** Detections without metadata of their container, by why. */
  get detectionsWithout(): Readonly<Record<MissingReason, number>> {
    return Object.fromEntries(this.#missing) as Record<MissingReason, number>;
  }

  #detect(rule: CompiledRule<EventView>, event: EventView): void {
    const { context, stamp, onDetection } = this.#options;
    const timeNs = context.clock.wallNs(event.u64(HEADER.time_ns));
    const { uuid, observedNs } = stamp(timeNs, event, rule);
    const { output, fields } = rule.render(event);
    const evidence = this.#evidence.of(event);
    const missing = evidence[METADATA_FIELD] as MissingReason | undefined;
    if (missing !== undefined) this.#missing.set(missing, this.#missing.get(missing)! + 1);
    onDetection({
      uuid,
      time: formatTime(timeNs),
      observed_time: formatTime(observedNs),
      rule: rule.name,
      priority: rule.priority,
      source: rule.source,
      tags: rule.tags,
      hostname: context.hostname,
      output,
      output_fields: { 'evt.time': timeNs, ...fields },
      evidence,
      description: rule.description,
      ruleset: rule.ruleset,
    });
  }
}

const wantedByEngine = new WeakMap<Engine<EventView>, WantedEvents>();

/** What the rules of some engines need of the kernel. */
export function wantedBy(...engines: readonly Engine<EventView>[]): WantedEvents {
  const wanted = engines.map((engine) => {
    for (const _ of wantedInSteps(engine));
    return wantedByEngine.get(engine)!;
  });
  return {
    types: new Set(wanted.flatMap(({ types }) => [...types])),
    failed: new Set(wanted.flatMap(({ failed }) => [...failed])),
  };
}

/** Finds it out beforehand in small steps, for a thread that has events to look at in between. */
export function* wantedInSteps(engine: Engine<EventView>): Generator<undefined, void> {
  if (wantedByEngine.has(engine)) return;
  const types = new Set<string>();
  const failed = new Set<string>();
  for (const name of EVENT_TYPE_NAMES) {
    if (!engine.wants(name)) continue;
    types.add(name);
    if (engine.ruleset.couldMatch(name, (check) => onFailedCall(check, name))) failed.add(name);
    yield;
  }
  wantedByEngine.set(engine, { types, failed });
}

/** Hands on what a container engine told. */
export function tellContainers(containers: ContainerTable, news: ContainerNews): void {
  if (news.type === 'engines') containers.engines(news.present);
  else if (news.type === 'known') containers.apply(news.metadata, news.owner);
  else if (news.type === 'gone') containers.remove(news.request);
  else containers.unknown(news.request);
}
