import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { graph } from '../../cli/dry-run.ts';
import { components } from '../../collector/components.ts';
import { parseConfig } from '../../collector/config/load.ts';
import { pipelineConfig } from '../../collector/pipeline/index.ts';
import { detection, detections } from '../fixtures/detections.ts';
import { freePort } from '../fixtures/free-ports.ts';
import { OtlpReceiver, serveHttp } from '../fixtures/otlp-receiver.ts';
import { metricValue, startConfigured, startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

function load(text: string) {
  return parseConfig(text, '/etc/shikra/x.yaml', { registry: components, environment: {} }).config;
}

const TWO_PIPELINES = `
receivers: { kernel: {}, kernel/other: {} }
processors: { priority: {}, priority/loud: { minimum: Critical } }
exporters: { otlp/all: {}, otlp/loud: {}, otlp/both: {}, prometheus: {} }
service:
  pipelines:
    logs: { receivers: [kernel, kernel/other], processors: [priority], exporters: [otlp/all, otlp/both] }
    logs/loud: { receivers: [kernel], processors: [priority/loud], exporters: [otlp/loud, otlp/both] }
    logs/again: { receivers: [kernel/other, kernel], processors: [priority], exporters: [otlp/loud] }
    metrics/own: { exporters: [prometheus] }
`;

it('gives pipelines with the same receivers and processors one chain', () => {
  const { chains, exporters } = pipelineConfig(load(TWO_PIPELINES));
  assert.deepEqual(
    chains.map(({ name, receivers, processors }) => [name, receivers, processors.map(({ id }) => id)]),
    [
      ['logs', ['kernel', 'kernel/other'], ['priority']],
      ['logs/loud', ['kernel'], ['priority/loud']],
    ],
  );
  assert.deepEqual(
    exporters.map(({ id, chains: of, signals }) => [id, of, signals]),
    [
      ['otlp/all', ['logs'], ['logs']],
      ['otlp/both', ['logs', 'logs/loud'], ['logs']],
      ['otlp/loud', ['logs/loud', 'logs'], ['logs']],
      ['prometheus', [], ['metrics']],
    ],
  );
});

it('shows the graph with the filter of each exporter', () => {
  const text = `
exporters:
  stdout: { filter: { min_priority: Notice } }
  otlp/security: { filter: { tags: [network], condition: proc.name = sh } }
  prometheus:
service:
  store: { path: /tmp/x.db }
`;
  assert.equal(
    graph(load(text)),
    `logs
  receivers   kernel
  processors  drop_rate -> enrichment -> priority
  store       /tmp/x.db
  exporters   stdout         Notice or worse
              otlp/security  tags network; proc.name = sh

metrics
  exporters   otlp/security
              prometheus
`,
  );
});

it('tells mistakes in a filter with their place', () => {
  const text = 'exporters:\n  stdout:\n    filter: { min_priority: Loud, condition: proc.nmae = sh, tag: [a] }\n';
  assert.throws(
    () => load(text),
    /3:29: exporters\.stdout\.filter\.min_priority: expected one of Emergency.*got "Loud"/s,
  );
  assert.throws(() => load(text), /exporters\.stdout\.filter\.condition: .*did you mean proc\.name/s);
  assert.throws(() => load(text), /exporters\.stdout\.filter\.tag: unknown key; did you mean `tags`/s);
});

it('refuses pipelines of an unknown signal, and a configuration without a pipeline of detections', () => {
  assert.throws(
    () => load('service: {pipelines: {log: {receivers: [kernel], exporters: [stdout]}}}'),
    /service\.pipelines\.log: unknown pipeline; did you mean `logs`\?/,
  );
  assert.throws(
    () => load('service: {pipelines: {metrics: {exporters: [prometheus]}}}'),
    /service\.pipelines: expected a pipeline `logs`, or several like `logs\/name`, but there is none/,
  );
});

it('brings a detection to the exporters of the pipelines that name its receiver', async (test) => {
  const receivers = { all: new OtlpReceiver(), loud: new OtlpReceiver(), both: new OtlpReceiver() };
  const servers = {
    all: await serveHttp(receivers.all),
    loud: await serveHttp(receivers.loud),
    both: await serveHttp(receivers.both),
  };
  const text = TWO_PIPELINES.replace(/otlp\/(all|loud|both): \{\}/g, (_, name: 'all' | 'loud' | 'both') => {
    return `otlp/${name}: { endpoint: "${servers[name].url}" }`;
  })
    .replace(/^ *logs\/again.*\n/m, '')
    .replace(', prometheus: {}', '')
    .replace(/^ *metrics\/own.*\n/m, '');
  const pipeline = await startConfigured(load(`${text}  store: { path: "${join(temporaryFolder(test), 's.db')}" }\n`));
  test.after(() => Promise.all([pipeline.shutdown(0), ...Object.values(servers).map((server) => server.close())]));
  const sent = [detection(0), ...[1, 2, 3].map((index) => detection(index, { priority: 'Critical' }))];
  for (const [index, receiver] of ['kernel', 'kernel', 'kernel/other', undefined].entries())
    pipeline.emit(sent[index]!, receiver);
  assert.equal(await pipeline.forceFlush(), true);
  const uid = (index: number) => sent[index]!.uuid;
  assert.deepEqual(receivers.all.uids, [0, 1, 2, 3].map(uid));
  assert.deepEqual(receivers.loud.uids, [1, 3].map(uid));
  assert.deepEqual(receivers.both.uids, [0, 1, 1, 2, 3, 3].map(uid), 'once from each pipeline that it stands in');
  const listed = pipeline.store.query().map(({ detection: one }) => one.uuid);
  assert.deepEqual(listed, [3, 2, 1, 0].map(uid), 'a reader sees each once');
});

it('sends an exporter what its filter lets pass, in order, and counts the rest', async (test) => {
  const [some, none] = [new OtlpReceiver(), new OtlpReceiver()];
  const [first, second] = [await serveHttp(some), await serveHttp(none)];
  const pipeline = await startPipeline({
    store: join(temporaryFolder(test), 's.db'),
    exporters: {
      otlp: { endpoint: first.url, batch: { max_records: 3 }, filter: { condition: 'proc.pid >= 4050' } },
      'otlp/none': { endpoint: second.url, filter: { min_priority: 'Emergency' } },
    },
  });
  test.after(() => Promise.all([pipeline.shutdown(0), first.close(), second.close()]));
  const sent = detections(100);
  for (const one of sent) pipeline.emit(one);
  assert.equal(await pipeline.forceFlush(), true);
  assert.deepEqual(
    some.uids,
    sent.slice(50).map(({ uuid }) => uuid),
  );
  assert.deepEqual(none.uids, []);
  const counted = (exporter: string, outcome: string) =>
    metricValue(pipeline.metrics, 'shikra_exporter_records_total', { exporter, outcome });
  assert.deepEqual([await counted('otlp', 'delivered'), await counted('otlp', 'filtered')], [50, 50]);
  assert.deepEqual([await counted('otlp/none', 'delivered'), await counted('otlp/none', 'filtered')], [0, 100]);
  assert.equal(pipeline.store.backlog('otlp/none'), 0, 'nothing waits for an exporter that wants nothing');
});

it('does not pass over what waited under a pipeline that the configuration no longer has', async (test) => {
  const path = join(temporaryFolder(test), 's.db');
  const receiver = new OtlpReceiver();
  const server = await serveHttp(receiver, await freePort());
  await server.close();
  const config = (pipeline: string) => `
exporters: { otlp: { endpoint: "${server.url}" } }
service:
  store: { path: "${path}" }
  pipelines: { ${pipeline}: { receivers: [kernel], processors: [], exporters: [otlp] } }
`;
  const before = await startConfigured(load(config('logs/old')));
  const one = detection(0);
  before.emit(one);
  await before.shutdown(0);
  const again = await serveHttp(receiver, server.port);
  const after = await startConfigured(load(config('logs/new')));
  test.after(() => Promise.all([after.shutdown(0), again.close()]));
  assert.equal(await after.forceFlush(), true);
  assert.deepEqual(receiver.uids, [one.uuid]);
});
