import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
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
    resource: resourceFromAttributes({ 'host.name': 'node-1' }),
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

async function samplesOf(port: number | undefined): Promise<Map<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = text.split('\n').filter((line) => /^falco/.test(line));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

it("has nothing under Falco's names unless it is asked for", async (test) => {
  const { exporter } = arrange();
  await exporter.start();
  test.after(() => exporter.shutdown());
  assert.deepEqual([...(await samplesOf(exporter.address?.port))], []);
});

it("has its numbers under Falco's and Falcosidekick's names with falco_compat", async (test) => {
  const { exporter, metrics } = arrange({ port: 0, falco_compat: true });
  await exporter.start();
  test.after(() => exporter.shutdown());
  metrics.declareRules([
    { name: 'Reverse shell', priority: 'Critical', source: 'syscall' },
    { name: 'A "quoted" rule', priority: 'Debug', source: 'k8s_audit' },
  ]);
  metrics.declareExporter('slack/security');
  metrics.ruleMatches.inc({ rule: 'Reverse shell', priority: 'Critical', source: 'syscall' }, 3);
  metrics.events.inc({ type: 'open' }, 70);
  metrics.events.inc({ type: 'execve' }, 30);
  metrics.events.inc({ type: 'k8s_audit' }, 5);
  metrics.eventsDropped.inc({ reason: 'ring_full', class: 'file' }, 2);
  metrics.eventsDropped.inc({ reason: 'cgroup_over_share', class: 'file' }, 4);
  metrics.eventsDropped.inc({ reason: 'scratch_busy', class: 'other' }, 8);
  metrics.eventsDropped.inc({ reason: 'read_failed', class: 'file' }, 16);
  metrics.exporterRecords.inc({ exporter: 'slack/security', outcome: 'delivered' }, 9);
  metrics.exporterRetries.inc({ exporter: 'slack/security' }, 2);
  await samplesOf(exporter.address?.port);
  const samples = await samplesOf(exporter.address?.port); // a second scrape counts nothing twice
  const expected = {
    'falcosecurity_falco_rules_matches_total{rule_name="Reverse shell",priority="2",source="syscall"}': 3,
    'falcosecurity_falco_rules_matches_total{rule_name="A \\"quoted\\" rule",priority="7",source="k8s_audit"}': 0,
    falcosecurity_scap_n_evts_total: 100,
    falcosecurity_scap_n_drops_total: 14,
    'falcosecurity_scap_n_drops_buffer_total{drop="open",dir="exit"}': 6,
    'falcosecurity_scap_n_drops_buffer_total{drop="proc",dir="exit"}': 0,
    falcosecurity_scap_n_drops_scratch_map_total: 8,
    falcosecurity_falco_outputs_queue_num_drops_total: 0,
    'falcosecurity_falco_version_info{version="1.2.3"}': 1,
    'falcosecurity_evt_hostname_info{hostname="node-1"}': 1,
    'falco_events{rule="Reverse shell",priority="2",source="syscall",hostname="node-1"}': 3,
    'falcosecurity_falcosidekick_falco_events_total{rule="Reverse shell",priority="6",priority_raw="critical",source="syscall",hostname="node-1"}': 3,
    'falcosecurity_falcosidekick_outputs_total{destination="slack/security",status="ok"}': 9,
    'falcosecurity_falcosidekick_outputs_total{destination="slack/security",status="error"}': 2,
  };
  const got = Object.fromEntries(Object.keys(expected).map((name) => [name, samples.get(name)]));
  assert.deepEqual(got, expected);
  const page = readFileSync('docs/prometheus-and-loki.md', 'utf8');
  for (const sample of samples.keys()) {
    const [name = ''] = sample.split('{');
    assert.ok(
      page.includes(name.replace(/^falcosecurity_(falco|scap|plugins_container)_/, '')),
      `${name} is documented`,
    );
  }
  for (const name of ['falco_memory_rss_bytes', 'falco_memory_vsz_bytes', 'falco_cpu_usage_ratio'])
    assert.ok(samples.get(`falcosecurity_${name}`)! > 0, name);
});
