/** Agent -> Collector -> several, as deploy/collector has it; in the place of Kafka, Splunk and S3 receivers of the test's own, with the queues of the example. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { dump, load } from 'js-yaml';
import { freePorts } from '../fixtures/free-ports.ts';
import { OtlpReceiver, type Running, serveHttp } from '../fixtures/otlp-receiver.ts';
import { Agent } from './agent.ts';
import { MarkedFiles } from './marked-files.ts';
import { Program, stackFolder, until, without } from './program.ts';

interface Config {
  readonly extensions: { readonly health_check: object; readonly file_storage: object };
  readonly receivers: object;
  readonly exporters: Record<string, Exporter>;
  readonly service: { readonly pipelines: { readonly logs: { exporters: string[] } } };
}

interface Exporter {
  readonly retry_on_failure: object;
  readonly sending_queue: object;
}

const HASTE = { initial_interval: '100ms', max_interval: '500ms' };

/** The example's Collector. @returns where it takes OTLP */
async function startCollector(
  t: TestContext,
  folder: string,
  urlOf: (exporter: string) => string,
): Promise<{ program: Program; endpoint: string }> {
  const own = join(folder, 'collector');
  mkdirSync(own);
  const [grpc, http, health, metrics] = (await freePorts(4)) as [number, number, number, number];
  const config = load(readFileSync('deploy/collector/long-tail.yaml', 'utf8')) as Config;
  const names = Object.keys(config.exporters);
  const exporters = names.map((name) => {
    const { retry_on_failure, sending_queue } = config.exporters[name]!;
    return [
      `otlp_http/${name}`,
      { endpoint: urlOf(name), retry_on_failure: { ...retry_on_failure, ...HASTE }, sending_queue },
    ];
  });
  const reader = { pull: { exporter: { prometheus: { host: '127.0.0.1', port: metrics } } } };
  const changed = {
    ...config,
    extensions: {
      health_check: { endpoint: `127.0.0.1:${health}` },
      file_storage: { ...config.extensions.file_storage, directory: join(own, 'queue') },
    },
    receivers: {
      otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` }, http: { endpoint: `127.0.0.1:${http}` } } },
    },
    exporters: Object.fromEntries(exporters),
    service: {
      ...config.service,
      telemetry: { metrics: { readers: [reader] } },
      pipelines: { logs: { ...config.service.pipelines.logs, exporters: exporters.map(([name]) => name) } },
    },
  };
  assert.deepEqual(config.service.pipelines.logs.exporters, names);
  const file = join(own, 'long-tail.yaml');
  writeFileSync(file, dump(changed));
  const program = await Program.start(t, {
    tool: 'collector',
    parameters: [`--config=${file}`],
    folder: own,
    readyUrl: `http://127.0.0.1:${health}/`,
  });
  return { program, endpoint: `http://127.0.0.1:${http}` };
}

test('what only the Collector reaches gets everything too; one that is away, the Collector killed meanwhile, delays no other', {
  skip: without('collector'),
}, async (t) => {
  const folder = stackFolder();
  const marked = new MarkedFiles(folder);
  const names = ['kafka', 'splunk_hec', 'awss3'] as const;
  const receivers = Object.fromEntries(names.map((name) => [name, new OtlpReceiver()]));
  const servers: Record<string, Running> = {};
  for (const name of names) servers[name] = await serveHttp(receivers[name]!);
  t.after(() => Promise.all(Object.values(servers).map((server) => server.close())));
  const { program, endpoint } = await startCollector(t, folder, (name) => servers[name]!.url);
  const exporters = { otlp: { endpoint, retry: HASTE } };
  const agent = await Agent.start(t, folder, { kernel: marked.kernel, exporters });
  const expected = () => marked.detections(agent).map(({ uuid }) => uuid);
  const has = (name: string) => new Set(receivers[name]!.uids);
  const arriveAt = (which: readonly string[]) =>
    until(`everything at ${which.join(', ')}`, () =>
      which.every((name) => expected().every((uid) => has(name).has(uid))),
    );

  await marked.detect(agent, 20);
  await arriveAt(names);
  await servers.kafka!.close();
  await marked.detect(agent, 50);
  await arriveAt(['splunk_hec', 'awss3']);
  await agent.settled('otlp');
  await program.stop('SIGKILL');
  await marked.detect(agent, 50);
  await program.start();
  await arriveAt(['splunk_hec', 'awss3']);
  assert.equal(expected().filter((uid) => has('kafka').has(uid)).length, 20);
  servers.kafka = await serveHttp(receivers.kafka!, servers.kafka!.port);
  await arriveAt(names);
});
