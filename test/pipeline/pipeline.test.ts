import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import type { CollectorStats } from '../../collector/telemetry/collector-stats.ts';
import type { PrometheusExporter } from '../../exporters/prometheus/index.ts';
import { detection, detections } from '../fixtures/detections.ts';
import { OtlpReceiver, serveGrpc, serveHttp } from '../fixtures/otlp-receiver.ts';
import { metricValue, startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

const ALL = { drop_rate: {}, enrichment: {}, priority: {} };

function stats(events: number, dropped: number): CollectorStats {
  return {
    events: { openat: events },
    drops: [
      { reason: 'ring_full', class: 'file', cpu: 0, count: dropped },
      { reason: 'read_failed', class: 'file', cpu: 0, count: 1000 },
    ],
    rules: {},
    rings: [],
    processTable: { size: 0, capacity: 0, healed: 0, evicted: 0, missed: 0 },
    latency: { counts: [], sumSeconds: 0 },
  };
}

it('brings a detection through processors and store to two exporters of one type', async (test) => {
  const [one, two] = [new OtlpReceiver(), new OtlpReceiver()];
  const [grpc, http] = [await serveGrpc(one), await serveHttp(two)];
  const pipeline = await startPipeline({
    store: join(temporaryFolder(test), 'store.db'),
    processors: { ...ALL, priority: { minimum: 'Warning', overrides: [{ rule: 'Louder', priority: 'Alert' }] } },
    exporters: { otlp: { endpoint: grpc.url, protocol: 'grpc' }, 'otlp/loki': { endpoint: http.url } },
  });
  test.after(() => Promise.all([pipeline.shutdown(0), grpc.close(), http.close()]));
  pipeline.emit(detection(0, { priority: 'Debug' }));
  pipeline.emit(detection(1));
  pipeline.emit(detection(2, { rule: 'Louder', priority: 'Debug' }));
  assert.equal(await pipeline.forceFlush(), true);
  for (const receiver of [one, two]) {
    assert.deepEqual(
      receiver.records.map((record) => [record.attributes['security_rule.name'], record.severityNumber]),
      [
        ['Read sensitive file untrusted', 13],
        ['Louder', 19],
      ],
    );
  }
  assert.equal(
    pipeline.store.query({ rule: 'Louder' })[0]!.detection.priority,
    'Alert',
    'the stored detection has the priority that was given to it',
  );
  assert.equal(
    await metricValue(pipeline.metrics, 'shikra_processor_dropped_total', {
      processor: 'priority',
      reason: 'below_minimum',
    }),
    1,
  );
  assert.equal(
    await metricValue(pipeline.metrics, 'shikra_detections_total', { priority: 'Debug', source: 'syscall' }),
    2,
  );
  assert.equal(
    await metricValue(pipeline.metrics, 'shikra_exporter_records_total', {
      exporter: 'otlp/loki',
      outcome: 'delivered',
    }),
    2,
  );
});

it('does not let an exporter that is away hold up the other', async (test) => {
  const receiver = new OtlpReceiver();
  const server = await serveGrpc(receiver);
  const pipeline = await startPipeline({
    store: join(temporaryFolder(test), 'store.db'),
    exporters: {
      'otlp/away': { endpoint: 'http://127.0.0.1:1', protocol: 'grpc' },
      otlp: { endpoint: server.url, protocol: 'grpc' },
    },
  });
  test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
  for (const one of detections(100)) pipeline.emit(one);
  assert.equal(await pipeline.forceFlush(), false, 'one of them has not delivered');
  assert.equal(receiver.records.length, 100);
  assert.equal(pipeline.ready().ready, true, 'a receiver that is away does not make the agent unready');
  assert.match(pipeline.ready().parts['otlp/away']!, /^retrying/);
});

it('tells of lost events: on every record, and as a detection of its own', async (test) => {
  const pipeline = await startPipeline({
    store: join(temporaryFolder(test), 'store.db'),
    processors: { ...ALL, drop_rate: { threshold: 0.05 } },
  });
  test.after(() => pipeline.shutdown(0));
  const raised = new Promise<void>((resolve) =>
    pipeline.store.onStored(() => pipeline.store.query({ source: 'internal' }).length > 0 && resolve()),
  );
  pipeline.loss(stats(900, 100));
  pipeline.emit(detection());
  await raised;
  const [internal] = pipeline.store.query({ source: 'internal' });
  assert.equal(internal?.detection.rule, 'Shikra internal: events dropped');
  assert.equal(internal?.detection.output, '100 events (10.0 %) were lost in the last 10 s; detections may be missing');
  const [first] = pipeline.store.query({ source: 'syscall' });
  assert.equal(first?.record.attributes['shikra.events.dropped'], 100);
  assert.equal(first?.record.attributes['shikra.events.drop_ratio'], 0.1);
});

it('takes nothing after shutdown, which may be called twice', async (test) => {
  const pipeline = await startPipeline({ store: join(temporaryFolder(test), 'store.db'), processors: ALL });
  assert.equal(pipeline.emit(detection(1)), true);
  await Promise.all([pipeline.shutdown(), pipeline.shutdown()]);
  assert.equal(pipeline.emit(detection(2)), false);
  assert.equal(pipeline.ready().ready, false);
  assert.equal(await metricValue(pipeline.metrics, 'shikra_store_records_total', { outcome: 'written' }), 1);
  assert.equal(await metricValue(pipeline.metrics, 'shikra_pipeline_errors_total'), 1, 'what comes later is counted');
});

it('survives a detection that cannot be made into a record, and counts it', async (test) => {
  const pipeline = await startPipeline({ store: join(temporaryFolder(test), 'store.db'), processors: ALL });
  test.after(() => pipeline.shutdown(0));
  pipeline.emit(detection(1, { time: 'never' }));
  pipeline.emit(detection(2));
  await pipeline.forceFlush();
  assert.equal(pipeline.store.query().length, 1);
  assert.equal(await metricValue(pipeline.metrics, 'shikra_pipeline_errors_total'), 1);
});

it('serves readiness over HTTP', async (test) => {
  const pipeline = await startPipeline({
    store: join(temporaryFolder(test), 'store.db'),
    exporters: { prometheus: { port: 0 } },
  });
  test.after(() => pipeline.shutdown(0));
  const { address } = pipeline.exporters.get('prometheus') as PrometheusExporter;
  const response = await fetch(`http://127.0.0.1:${address?.port}/readyz`);
  assert.deepEqual(await response.json(), { status: 'ok', parts: { pipeline: 'ok', store: 'ok' } });
});

it('stops what it started when an exporter cannot start', async (test) => {
  const folder = temporaryFolder(test);
  const first = await startPipeline({ store: join(folder, 'one.db'), exporters: { prometheus: { port: 0 } } });
  test.after(() => first.shutdown(0));
  const { port } = (first.exporters.get('prometheus') as PrometheusExporter).address!;
  await assert.rejects(startPipeline({ store: join(folder, 'two.db'), exporters: { prometheus: { port } } }), {
    code: 'ADDRESS_IN_USE',
  });
});
