import { PRIORITIES } from '../detection/priority.ts';
import {
  AUDIT_REJECTIONS,
  type AuditStats,
  CALLED_PROGRAMS,
  CANARIES,
  type CanaryReport,
  type CollectorStats,
  DROP_REASONS,
  EVENT_CLASSES,
  HELD_OUTCOMES,
  LATENCY_BUCKETS_SECONDS,
  MISSING_REASONS,
  type RuleStats,
} from './collector-stats.ts';
import { CumulativeHistogram } from './cumulative-histogram.ts';
import { METRIC_TABLE, type MetricKey, type MetricRow } from './metric-table.ts';
import { Counter, collectDefaultMetrics, Gauge, Registry } from './prom-client.ts';

type Row<K extends MetricKey> = (typeof METRIC_TABLE)[K];
type LabelOf<K extends MetricKey> = Row<K>['labels'][number];
type KeysOfType<T extends MetricRow['type']> = { [K in MetricKey]: Row<K>['type'] extends T ? K : never }[MetricKey];

type Counters = { readonly [K in KeysOfType<'counter'>]: Counter<LabelOf<K>> };
type Gauges = { readonly [K in KeysOfType<'gauge'>]: Gauge<LabelOf<K>> };

/** What is known of a rule before it ever matches. */
export interface RuleLabels {
  readonly name: string;
  readonly priority: string;
  readonly source: string;
}

export const EXPORTER_OUTCOMES = ['delivered', 'rejected', 'dead_letter', 'filtered', 'expired', 'dropped'] as const;
export type ExporterOutcome = (typeof EXPORTER_OUTCOMES)[number];
/** How what came over the network ended. Anything but `accepted` was refused, with a reason to its sender. */
export const RECEIVER_OUTCOMES = [
  'accepted',
  'unauthorized',
  'unsupported',
  'malformed',
  'too_large',
  'invalid',
  'unknown_priority',
  'foreign',
  'unavailable',
] as const;
export type ReceiverOutcome = (typeof RECEIVER_OUTCOMES)[number];
export const STORE_OUTCOMES = ['written', 'duplicate', 'lost', 'expired'] as const;
const SOURCES = ['syscall', 'k8s_audit', 'internal'];
const AUDIT_EVENTS = 'k8s_audit';

/** All of Shikra's metrics, by their key in the table. One per registry. */
export interface Metrics extends Counters, Gauges {
  readonly registry: Registry;
  readonly detectionLatency: CumulativeHistogram;
  /** Makes the series of these rules, at 0; and tells later matches their priority and source. Call it at every load of rules. */
  declareRules(rules: readonly RuleLabels[]): void;
  /** Makes the series of these event types, at 0. */
  declareEventTypes(types: readonly string[]): void;
  declareReceiver(receiver: string): void;
  declareExporter(exporter: string): void;
  /** Takes away what an exporter that is gone would show for ever; what it counted stays. */
  forgetExporter(exporter: string): void;
  declareProcessor(processor: string, reasons: readonly string[]): void;
  /** Takes over what has changed since the last call; a collector that was started anew counts from 0 again. */
  recordCollectorStats(stats: CollectorStats): void;
  /** The same for the counts of the probe's programs. */
  recordPrograms(programs: CanaryReport['programs']): void;
  /** The same for the receiver of audit events. */
  recordAuditStats(stats: AuditStats): void;
}

const LOOKUP_OUTCOMES = ['resolved', 'failed'] as const;
const LOOKUP_STATES = ['resolved', 'unresolved'] as const;

export interface MetricsOptions {
  readonly registry?: Registry;
  readonly version?: string;
  readonly revision?: string;
  /** prom-client's `process_*` and `nodejs_*`. Default true. */
  readonly defaultMetrics?: boolean;
}

export function createMetrics(options: MetricsOptions = {}): Metrics {
  const registry = options.registry ?? new Registry();
  const made: Record<string, Counter<string> | Gauge<string> | CumulativeHistogram> = {};
  for (const [key, row] of Object.entries<MetricRow>(METRIC_TABLE)) made[key] = createMetric(row, registry);
  const instruments = made as unknown as Counters & Gauges & { detectionLatency: CumulativeHistogram };
  if (options.defaultMetrics !== false) collectDefaultMetrics({ register: registry });
  initialise(instruments);
  instruments.buildInfo.set(
    { version: options.version ?? 'unknown', revision: options.revision ?? 'unknown', node: process.version },
    1,
  );

  const rules = new Map<string, RuleLabels>();
  const recorder = new StatsRecorder(instruments, rules);
  const auditRecorder = new StatsRecorder(instruments, rules);
  return {
    ...instruments,
    registry,
    declareRules(list) {
      // Those of before stay known: the last of their counts may still be on their way.
      for (const rule of list) {
        rules.set(rule.name, rule);
        instruments.ruleMatches.inc({ rule: rule.name, priority: rule.priority, source: rule.source }, 0);
        instruments.ruleEvaluations.inc({ rule: rule.name }, 0);
        instruments.ruleTime.inc({ rule: rule.name }, 0);
      }
      instruments.rulesLoaded.set(list.length);
    },
    declareEventTypes(types) {
      for (const type of types) instruments.events.inc({ type }, 0);
    },
    declareReceiver(receiver) {
      for (const outcome of RECEIVER_OUTCOMES) instruments.receiverRecords.inc({ receiver, outcome }, 0);
    },
    declareExporter(exporter) {
      for (const outcome of EXPORTER_OUTCOMES) instruments.exporterRecords.inc({ exporter, outcome }, 0);
      instruments.exporterRetries.inc({ exporter }, 0);
      instruments.exporterQueueSize.set({ exporter }, 0);
      instruments.exporterOldest.set({ exporter }, 0);
      instruments.exporterLastSuccess.set({ exporter }, 0);
    },
    forgetExporter(exporter) {
      for (const gauge of [instruments.exporterQueueSize, instruments.exporterOldest, instruments.exporterLastSuccess])
        gauge.remove({ exporter });
    },
    declareProcessor(processor, reasons) {
      for (const reason of reasons) instruments.processorDropped.inc({ processor, reason }, 0);
    },
    recordPrograms: (programs) => recorder.recordPrograms(programs),
    recordCollectorStats: (stats) => recorder.record(stats),
    recordAuditStats: (stats) => auditRecorder.recordAudit(stats),
  };
}

function createMetric(row: MetricRow, registry: Registry): Counter<string> | Gauge<string> | CumulativeHistogram {
  const settings = { name: row.name, help: row.help, labelNames: row.labels, registers: [registry] };
  switch (row.type) {
    case 'counter':
      return new Counter(settings);
    case 'gauge':
      return new Gauge(settings);
    case 'histogram':
      return new CumulativeHistogram(row.name, row.help, LATENCY_BUCKETS_SECONDS, registry);
  }
}

function initialise(metrics: Counters & Gauges): void {
  for (const reason of DROP_REASONS)
    for (const eventClass of EVENT_CLASSES) metrics.eventsDropped.inc({ reason, class: eventClass }, 0);
  for (const canary of CANARIES) {
    for (const outcome of ['seen', 'missed', 'dropped']) metrics.canaries.inc({ canary, outcome }, 0);
    metrics.canaryMissing.set({ canary }, 0);
  }
  for (const program of CALLED_PROGRAMS)
    for (const metric of [metrics.probeMissedRuns, metrics.probeRuns, metrics.probeRunSeconds])
      metric.inc({ program }, 0);
  for (const priority of PRIORITIES) for (const source of SOURCES) metrics.detections.inc({ priority, source }, 0);
  for (const outcome of STORE_OUTCOMES) metrics.storeRecords.inc({ outcome }, 0);
  for (const operation of ['write', 'read', 'retention']) metrics.storeErrors.inc({ operation }, 0);
  for (const outcome of ['success', 'failure']) metrics.rulesReload.inc({ outcome }, 0);
  metrics.rulesLastReload.set(1);
  for (const outcome of ['success', 'failure', 'restart_needed']) metrics.configReload.inc({ outcome }, 0);
  metrics.configLastReload.set(1);
  for (const metadata of ['known', 'missing']) metrics.containers.set({ metadata }, 0);
  for (const outcome of HELD_OUTCOMES) metrics.containerHeld.inc({ outcome }, 0);
  for (const outcome of LOOKUP_OUTCOMES) metrics.domainNameLookups.inc({ outcome }, 0);
  for (const state of LOOKUP_STATES) metrics.domainNames.set({ state }, 0);
  for (const reason of MISSING_REASONS) metrics.containerDetectionsWithout.inc({ reason }, 0);
}

/** Turns the cumulative counts of one receiver into steps of counters. */
class StatsRecorder {
  readonly #metrics: Counters & Gauges & { detectionLatency: CumulativeHistogram };
  readonly #rules: ReadonlyMap<string, RuleLabels>;
  readonly #last = new Map<string, number>();

  constructor(
    metrics: Counters & Gauges & { detectionLatency: CumulativeHistogram },
    rules: ReadonlyMap<string, RuleLabels>,
  ) {
    this.#metrics = metrics;
    this.#rules = rules;
  }

  record(stats: CollectorStats): void {
    const metrics = this.#metrics;
    for (const [type, count] of Object.entries(stats.events))
      metrics.events.inc({ type }, this.#step(`event ${type}`, count));
    for (const drop of stats.drops) {
      const step = this.#step(`drop ${drop.reason} ${drop.class} ${drop.cpu}`, drop.count);
      metrics.eventsDropped.inc({ reason: drop.reason, class: drop.class }, step);
    }
    for (const [rule, each] of Object.entries(stats.rules)) this.#recordRule(rule, each);
    for (const ring of stats.rings) {
      const labels = { cpu: String(ring.cpu), ring: ring.kind };
      metrics.ringUsed.set(labels, ring.usedBytes);
      metrics.ringCapacity.set(labels, ring.capacityBytes);
    }
    const { size, capacity, healed, evicted, missed } = stats.processTable;
    metrics.processTableEntries.set(size);
    metrics.processTableCapacity.set(capacity);
    metrics.processTableHealed.inc(this.#step('healed', healed));
    metrics.processTableEvicted.inc(this.#step('evicted', evicted));
    metrics.processTableMissed.inc(this.#step('missed', missed));
    const buckets = stats.latency.counts.map((count, index) => this.#step(`latency ${index}`, count));
    metrics.detectionLatency.add(buckets, this.#step('latency sum', stats.latency.sumSeconds));
    if (stats.containers !== undefined) this.#recordContainers(stats.containers);
    if (stats.domainNames !== undefined) this.#recordDomainNames(stats.domainNames);
  }

  #recordDomainNames({ resolved, unresolved, lookups }: NonNullable<CollectorStats['domainNames']>): void {
    const metrics = this.#metrics;
    metrics.domainNames.set({ state: 'resolved' }, resolved);
    metrics.domainNames.set({ state: 'unresolved' }, unresolved);
    for (const outcome of LOOKUP_OUTCOMES)
      metrics.domainNameLookups.inc({ outcome }, this.#step(`lookups ${outcome}`, lookups[outcome]));
  }

  #recordContainers(stats: NonNullable<CollectorStats['containers']>): void {
    const metrics = this.#metrics;
    metrics.containers.set({ metadata: 'known' }, stats.known);
    metrics.containers.set({ metadata: 'missing' }, stats.missing);
    for (const outcome of HELD_OUTCOMES)
      metrics.containerHeld.inc({ outcome }, this.#step(`held ${outcome}`, stats.held[outcome]));
    for (const reason of MISSING_REASONS)
      metrics.containerDetectionsWithout.inc(
        { reason },
        this.#step(`without ${reason}`, stats.detectionsWithout[reason]),
      );
    metrics.containerLooksWithout.inc(this.#step('looks without', stats.looksWithout));
  }

  recordPrograms(programs: CanaryReport['programs']): void {
    const metrics = this.#metrics;
    for (const { name: program, missedRuns, runs, runSeconds } of programs) {
      metrics.probeMissedRuns.inc({ program }, this.#step(`missed runs ${program}`, missedRuns));
      metrics.probeRuns.inc({ program }, this.#step(`runs ${program}`, runs));
      metrics.probeRunSeconds.inc({ program }, this.#step(`run time ${program}`, runSeconds));
    }
  }

  recordAudit({ events, rejected, rules }: AuditStats): void {
    const metrics = this.#metrics;
    metrics.events.inc({ type: AUDIT_EVENTS }, this.#step('events', events));
    for (const reason of AUDIT_REJECTIONS)
      metrics.auditRejected.inc({ reason }, this.#step(`rejected ${reason}`, rejected[reason]));
    for (const [rule, each] of Object.entries(rules)) this.#recordRule(rule, each);
  }

  #recordRule(rule: string, { matches, evaluations, seconds, memory }: RuleStats): void {
    const metrics = this.#metrics;
    const { priority = 'unknown', source = 'unknown' } = this.#rules.get(rule) ?? {};
    metrics.ruleMatches.inc({ rule, priority, source }, this.#step(`rule ${rule}`, matches));
    metrics.ruleEvaluations.inc({ rule }, this.#step(`evaluations ${rule}`, evaluations));
    metrics.ruleTime.inc({ rule }, this.#step(`time ${rule}`, seconds));
    if (memory === undefined && !this.#last.has(`evicted ${rule}`)) return;
    metrics.ruleKeys.set({ rule }, memory?.keys ?? 0);
    metrics.ruleKeysEvicted.inc({ rule }, this.#step(`evicted ${rule}`, memory?.evicted ?? 0));
  }

  #step(key: string, count: number): number {
    const last = this.#last.get(key) ?? 0;
    this.#last.set(key, count);
    return count >= last ? count - last : count;
  }
}
