import assert from 'node:assert/strict';
import { it } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import { createPrometheusExporter, prometheusConfigSchema } from '../../exporters/prometheus/index.ts';
import { NO_INCIDENTS } from '../fixtures/incidents.ts';
import { memoryLogger } from '../fixtures/pipeline.ts';

function arrange(config: object = { port: 0 }) {
  const metrics = createMetrics({ version: '1.2.3', revision: 'abc' });
  const state = { ready: true };
  const context = {
    id: 'prometheus',
    signals: ['metrics' as const],
    logger: memoryLogger().logger,
    metrics,
    resource: resourceFromAttributes({}),
    ready: () => ({ ready: state.ready, parts: { store: state.ready ? 'ok' : 'failing' } }),
    incidents: NO_INCIDENTS,
  };
  return { exporter: createPrometheusExporter(prometheusConfigSchema.parse(config), context), metrics, state };
}

it('serves metrics that can be read line by line', async (test) => {
  const { exporter, metrics } = arrange();
  await exporter.start();
  test.after(() => exporter.shutdown());
  metrics.declareRules([{ name: 'A "quoted" rule\\', priority: 'Warning', source: 'syscall' }]);
  const response = await fetch(`http://127.0.0.1:${exporter.address?.port}/metrics`);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const lines = (await response.text()).split('\n').filter((line) => line !== '');
  const sample =
    /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]\w*="(\\[\\n"]|[^"\\\n])*",?)*\})? (Na[nN]|[+-]?Inf|-?[0-9.e+-]+)$/;
  for (const line of lines) assert.match(line, line.startsWith('#') ? /^# (HELP|TYPE) \S+ .+/ : sample);
  const types = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]);
  assert.equal(new Set(types).size, types.length, 'one TYPE per metric');
  assert.ok(lines.includes(`shikra_build_info{version="1.2.3",revision="abc",node="${process.version}"} 1`));
  assert.ok(lines.some((line) => line.startsWith('process_resident_memory_bytes ')));
});

it('says whether the agent lives, and whether it works', async (test) => {
  const { exporter, state } = arrange();
  await exporter.start();
  test.after(() => exporter.shutdown());
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${exporter.address?.port}${path}`);
    return [response.status, await response.json()];
  };
  assert.deepEqual(await get('/healthz'), [200, { status: 'ok' }]);
  assert.deepEqual(await get('/readyz?verbose'), [200, { status: 'ok', parts: { store: 'ok' } }]);
  state.ready = false;
  assert.deepEqual(await get('/readyz'), [503, { status: 'unavailable', parts: { store: 'failing' } }]);
  assert.deepEqual(await get('/nothing'), [404, { error: 'expected /metrics, /healthz, /readyz, got /nothing' }]);
});

it('says which address is taken', async (test) => {
  const { exporter } = arrange();
  await exporter.start();
  test.after(() => exporter.shutdown());
  const second = arrange({ port: exporter.address?.port }).exporter;
  await assert.rejects(second.start(), { code: 'ADDRESS_IN_USE' });
  await second.shutdown();
});
