import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { DataPointType } from '@opentelemetry/sdk-metrics';
import type { CollectorStats } from '../../collector/telemetry/collector-stats.ts';
import { METRIC_TABLE, metricsPage } from '../../collector/telemetry/metric-table.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import { PromClientProducer } from '../../exporters/otlp/prom-producer.ts';
import { metricValue } from '../fixtures/pipeline.ts';

const STATS: CollectorStats = {
  events: { openat: 10 },
  drops: [
    { reason: 'ring_full', class: 'file', cpu: 0, count: 3 },
    { reason: 'ring_full', class: 'file', cpu: 1, count: 4 },
  ],
  rules: {
    'Rule A': { matches: 2, evaluations: 2048, seconds: 0.25, memory: { keys: 3, evicted: 4 } },
    'Rule B': { matches: 0, evaluations: 0, seconds: 0, memory: undefined },
  },
  rings: [{ cpu: 0, kind: 'calls', capacityBytes: 4096, usedBytes: 100 }],
  processTable: { size: 7, capacity: 100, healed: 1, evicted: 2, missed: 3 },
  latency: { counts: [1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5], sumSeconds: 60.5 },
};

it('documents every metric: docs/metrics.md is what the table makes', () => {
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  assert.equal(page, metricsPage(), 'run `npm run generate`');
});

it('names metrics as Prometheus wants them', () => {
  for (const { name, type } of Object.values(METRIC_TABLE))
    assert.equal(name.endsWith('_total'), type === 'counter', name);
});

it('starts every series that it can know at 0', async () => {
  const metrics = createMetrics({ defaultMetrics: false });
  metrics.declareRules([{ name: 'Rule A', priority: 'Warning', source: 'syscall' }]);
  metrics.declareEventTypes(['openat']);
  metrics.declareExporter('otlp');
  metrics.declareProcessor('priority', ['below_minimum']);
  const text = await metrics.registry.metrics();
  for (const line of [
    'shikra_rule_matches_total{rule="Rule A",priority="Warning",source="syscall"} 0',
    'shikra_rule_evaluations_total{rule="Rule A"} 0',
    'shikra_rule_time_seconds_total{rule="Rule A"} 0',
    'shikra_rules_reload_total{outcome="failure"} 0',
    'shikra_rules_last_reload_success 1',
    'shikra_events_total{type="openat"} 0',
    'shikra_events_dropped_total{reason="ring_full",class="process"} 0',
    'shikra_detections_total{priority="Emergency",source="syscall"} 0',
    'shikra_exporter_records_total{exporter="otlp",outcome="delivered"} 0',
    'shikra_processor_dropped_total{processor="priority",reason="below_minimum"} 0',
    'shikra_store_records_total{outcome="lost"} 0',
    'shikra_detection_latency_seconds_count 0',
  ]) {
    assert.ok(text.includes(`${line}\n`), line);
  }
});

it('turns cumulative statistics into steps, and takes a restart of the collector for one', async () => {
  const metrics = createMetrics({ defaultMetrics: false });
  metrics.declareRules([{ name: 'Rule A', priority: 'Warning', source: 'syscall' }]);
  metrics.recordCollectorStats(STATS);
  metrics.recordCollectorStats(STATS);
  const value = (name: string, labels: Record<string, string> = {}) => metricValue(metrics, name, labels);
  assert.equal(await value('shikra_events_total', { type: 'openat' }), 10);
  assert.equal(await value('shikra_events_dropped_total', { reason: 'ring_full', class: 'file' }), 7);
  assert.equal(await value('shikra_rule_matches_total', { rule: 'Rule A', priority: 'Warning', source: 'syscall' }), 2);
  assert.equal(await value('shikra_rule_evaluations_total', { rule: 'Rule A' }), 2048);
  assert.equal(await value('shikra_rule_time_seconds_total', { rule: 'Rule A' }), 0.25);
  assert.equal(await value('shikra_rule_keys', { rule: 'Rule A' }), 3);
  assert.equal(await value('shikra_rule_keys_evicted_total', { rule: 'Rule A' }), 4);
  assert.equal(await value('shikra_rule_keys', { rule: 'Rule B' }), undefined);
  assert.equal(await value('shikra_ring_used_bytes', { cpu: '0', ring: 'calls' }), 100);
  assert.equal(await value('shikra_process_table_entries'), 7);
  assert.equal(await value('shikra_process_table_missed_total'), 3);
  assert.equal(await value('shikra_detection_latency_seconds', { le: '0.005' }), 3);
  assert.equal(await value('shikra_detection_latency_seconds', { le: '+Inf' }), 8);
  assert.match(await metrics.registry.metrics(), /^shikra_detection_latency_seconds_sum 60\.5$/m);
  metrics.recordCollectorStats({ ...STATS, events: { openat: 4 } });
  assert.equal(await value('shikra_events_total', { type: 'openat' }), 14);
});

it('gives OTLP the same numbers as /metrics', async () => {
  const metrics = createMetrics({ defaultMetrics: true });
  metrics.recordCollectorStats(STATS);
  const { resourceMetrics } = await new PromClientProducer(metrics.registry).collect();
  const found = new Map(resourceMetrics.scopeMetrics[0]!.metrics.map((metric) => [metric.descriptor.name, metric]));
  const dropped = found.get('shikra_events_dropped_total');
  assert.equal(dropped?.dataPointType, DataPointType.SUM);
  const point = dropped?.dataPoints.find(
    ({ attributes }) => attributes.reason === 'ring_full' && attributes.class === 'file',
  );
  assert.equal(point?.value, 7);
  const latency = found.get('shikra_detection_latency_seconds');
  assert.equal(latency?.dataPointType, DataPointType.HISTOGRAM);
  const { value } = latency!.dataPoints[0] as {
    value: { buckets: { boundaries: number[]; counts: number[] }; sum: number; count: number };
  };
  assert.deepEqual(value.buckets.counts, STATS.latency.counts);
  assert.equal(value.buckets.boundaries.length, value.buckets.counts.length - 1);
  assert.equal(value.sum, 60.5);
  assert.equal(value.count, 8);
  assert.ok(found.has('process_cpu_seconds_total'));
});
