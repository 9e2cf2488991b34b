import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { it } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { components } from '../../collector/components.ts';
import { toLogRecord } from '../../collector/detection/log-record.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import type { Exporter, ExporterContext } from '../../exporters/helper/index.ts';
import { createStdoutExporter } from '../../exporters/stdout/index.ts';
import { Store, StoreProcessor } from '../../exporters/store/index.ts';
import { exporterContract } from '../fixtures/contract.ts';
import { detections } from '../fixtures/detections.ts';
import { memoryLogger } from '../fixtures/pipeline.ts';

const { logger } = memoryLogger();
const metrics = createMetrics({ defaultMetrics: false });
const store = new Store({ path: ':memory:', max_age: 1e9, max_bytes: 1e9 }, { logger });
const provider = new LoggerProvider({ processors: [new StoreProcessor(store)] });
for (const one of detections(3)) provider.getLogger('test').emit(toLogRecord(one));
store.flush();
const batch = () => store.read(0, 10, 1e6);

function context(id: string, signals: ExporterContext['signals']): ExporterContext {
  return {
    id,
    signals,
    logger,
    metrics,
    resource: resourceFromAttributes({}),
    ready: () => ({ ready: true, parts: {} }),
    incidents: store.incidents.of(id),
  };
}

const { otlp, prometheus } = components.exporters;
// Nothing listens on port 1: an exporter must not need its receiver in order to start or to stop.
for (const protocol of ['grpc', 'http/protobuf']) {
  const config = () => otlp.configSchema.parse({ endpoint: 'http://127.0.0.1:1', protocol, timeout: '200ms' });
  exporterContract(`otlp over ${protocol}`, () => otlp.create(config(), context('otlp', ['logs'])), batch);
  exporterContract(
    `otlp over ${protocol} with metrics`,
    () => otlp.create(config(), context('otlp', ['logs', 'metrics'])),
    batch,
  );
  exporterContract(
    `otlp over ${protocol} for metrics alone`,
    () => otlp.create(config(), context('otlp', ['metrics'])),
    batch,
  );
}
exporterContract(
  'prometheus',
  () => prometheus.create(prometheus.configSchema.parse({ port: 0 }), context('prometheus', ['metrics'])),
  batch,
);
exporterContract(
  'stdout',
  () =>
    createStdoutExporter({ format: 'json', color: 'never' }, context('stdout', ['logs']), {
      stream: new Writable({ write: (_chunk, _encoding, done) => done() }),
    }),
  batch,
);

// Nothing listens on port 1: none of these needs its receiver in order to start or to stop.
const NOWHERE = 'http://127.0.0.1:1';
const CONFIGS: Readonly<Record<string, object>> = {
  loki: { url: NOWHERE },
  alertmanager: { urls: [NOWHERE, NOWHERE] },
  slack: { webhook_url: NOWHERE },
  'slack/bot': { token: 'xoxb-1', channel: 'C1', api_url: NOWHERE },
  pagerduty: { routing_key: 'R', url: NOWHERE, resolve_after: '1s' },
  opsgenie: { api_key: 'K', url: NOWHERE, close_after: '1s' },
  teams: { webhook_url: NOWHERE },
  discord: { webhook_url: NOWHERE },
  webhook: { url: NOWHERE },
  falcosidekick: { url: NOWHERE },
  elasticsearch: { url: NOWHERE },
  file: { path: join(mkdtempSync(join(tmpdir(), 'shikra-test-')), 'x.jsonl') },
  syslog: { host: '127.0.0.1', port: 1, protocol: 'tcp' },
  'syslog/udp': { host: '127.0.0.1', port: 1, protocol: 'udp' },
  redis: { host: '127.0.0.1', port: 1 },
  smtp: { host: '127.0.0.1', port: 1, from: 'a@example.com', to: ['b@example.com'] },
};
const kinds = components.exporters as unknown as Readonly<
  Record<
    string,
    { configSchema: { parse(value: unknown): never }; create(config: never, context: ExporterContext): Exporter }
  >
>;
for (const [id, config] of Object.entries(CONFIGS)) {
  const { configSchema, create } = kinds[id.split('/')[0]!]!;
  exporterContract(id, () => create(configSchema.parse(config), context(id, ['logs'])), batch);
}

it('holds every exporter to the contract', () => {
  const held = [...Object.keys(CONFIGS).map((id) => id.split('/')[0]!), 'otlp', 'prometheus', 'stdout'];
  assert.deepEqual(
    Object.keys(kinds).filter((type) => !held.includes(type)),
    [],
  );
});
