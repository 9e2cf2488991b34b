/** Agent -> Prometheus, scraped and by OTLP -> alert -> Alertmanager -> somebody is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { METRIC_TABLE } from '../../collector/telemetry/metric-table.ts';
import { bundledRulesPath } from '../../rules/index.ts';
import { freePort } from '../fixtures/free-ports.ts';
import { HttpReceiver } from '../fixtures/http-receiver.ts';
import { Agent } from './agent.ts';
import { Alertmanager, type Notification } from './alertmanager.ts';
import { stackFolder, until, without } from './program.ts';
import { Prometheus } from './prometheus.ts';
import { runMiner } from './scenes.ts';

/** What Prometheus says of its own scrapes. */
const OF_SCRAPES = /^(up|scrape_.*|target_info|otel_scope_info)$/;
/** What dashboards that were made for Falco and Falcosidekick ask, in short. */
const OF_FALCO = [
  'sum by (rule_name) (increase(falcosecurity_falco_rules_matches_total{priority="2", source="syscall"}[1m]))',
  'rate(falcosecurity_scap_n_evts_total[1m])',
  'falcosecurity_falco_memory_rss_bytes',
  'count by (version) (falcosecurity_falco_version_info)',
  'rate(falco_events{rule=~".+"}[1m])',
  'sum by (priority_raw) (increase(falcosecurity_falcosidekick_falco_events_total{rule="Crypto miner started by name"}[1m]))',
  'sum by (destination) (falcosecurity_falcosidekick_outputs_total{status="ok"})',
];
/** They have no series before something happens that does not happen here. */
const RARE =
  /^shikra_(k8s_audit|receiver_records|rule_keys|container_lookups|container_engines|exporter_(open_)?incidents)/;
const NAMES = Object.values(METRIC_TABLE)
  .map(({ name }) => name)
  .filter((name) => !RARE.test(name));
const WAYS = { scrape: 'scraped', otlp: 'sent by OTLP' } as const;

test('metrics and alerts', { skip: without('prometheus', 'alertmanager') }, async (t) => {
  const folder = stackFolder();
  const hook = await new HttpReceiver().listen(t);
  const alertmanager = await Alertmanager.start(t, folder, hook.url);
  const port = await freePort();
  const prometheus = await Prometheus.start(t, folder, {
    agent: `127.0.0.1:${port}`,
    alertmanager: alertmanager.address,
  });
  await Agent.start(t, folder, {
    kernel: { rules_files: [bundledRulesPath()] },
    exporters: {
      prometheus: { port, falco_compat: true },
      otlp: { endpoint: `${prometheus.url}/api/v1/otlp`, metrics_interval: '1s' },
    },
    pipelines: {
      logs: { receivers: ['kernel'], processors: ['drop_rate', 'enrichment', 'priority'], exporters: ['stdout'] },
      metrics: { exporters: ['prometheus', 'otlp'] },
    },
  });
  const scraped = `instance="127.0.0.1:${port}"`;
  const ways = { scrape: `{job="shikra", ${scraped}}`, otlp: `{job="shikra", instance!="127.0.0.1:${port}"}` };

  await t.test('both ways have the same metrics with the same labels', async () => {
    const shapes = async (matcher: string) => {
      const series = await prometheus.series(matcher);
      const shape = ({ __name__: name, job: _job, instance: _instance, ...labels }: Record<string, string>) =>
        OF_SCRAPES.test(name!) || name!.startsWith('falco') ? [] : [`${name}{${Object.keys(labels).sort()}}`];
      return [...new Set(series.flatMap(shape))].sort();
    };
    let [one, other] = [['scraped'], ['sent']];
    const missing = () => NAMES.filter((name) => !one.some((shape) => shape.startsWith(name)));
    // What is new comes by one way a second sooner than by the other.
    const isSame = async () => {
      [one, other] = await Promise.all([shapes(ways.scrape), shapes(ways.otlp)]);
      return missing().length === 0 && isDeepStrictEqual(one, other);
    };
    await until('the same by both ways', isSame).catch(() => {});
    assert.deepEqual(missing(), []);
    assert.deepEqual(other, one);
  });

  runMiner(folder);
  for (const [way, name] of Object.entries(WAYS) as [keyof typeof ways, string][])
    await t.test(`one match, ${name}, fires, and a webhook is told`, async () => {
      const told = () =>
        hook.taken
          .flatMap(({ request }) => (JSON.parse(request.body) as Notification).alerts)
          .find(({ labels }) => {
            const isScraped = labels.instance === `127.0.0.1:${port}`;
            return labels.alertname === 'ShikraCryptoMining' && isScraped === (way === 'scrape');
          });
      const alert = await until('the alert', told);
      assert.equal(alert.labels.rule, 'Crypto miner started by name');
      assert.equal(alert.labels.priority, 'Critical');
      assert.equal(alert.labels.severity, 'critical');
      assert.match(alert.annotations.description!, /matched 1 time\(s\) in 5m on /);
    });

  await t.test('dashboards made for Falco find what they ask for', async () => {
    for (const query of OF_FALCO)
      await until(`something of ${query}`, async () => {
        const found = await prometheus.instant(query);
        return found.some(({ values }) => values.some(([, value]) => Number(value) > 0));
      });
  });

  await t.test('every rule is evaluated without an error, and none fires without a cause', async () => {
    const rules = await prometheus.rules();
    assert.deepEqual(
      rules.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => [name, lastError]),
      [],
    );
    const firing = rules.filter(({ state }) => state === 'firing').map(({ name }) => name);
    // Other programs on this machine may be detected as well; nothing is wrong with the agent.
    const ofDetections = /^Shikra(CryptoMining|ReverseShell|CriticalDetection|ErrorDetection|HighDetectionRate)$/;
    assert.deepEqual(
      firing.filter((name) => !ofDetections.test(name)),
      [],
    );
  });
});
