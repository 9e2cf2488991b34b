/** Agent -> Prometheus, scraped and by OTLP -> alert -> Alertmanager -> somebody is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { METRIC_TABLE } from '../../collector/telemetry/metric-table.ts';
import { bundledRulesPath } from '../../rules/index.ts';
import { HttpReceiver } from '../fixtures/http-receiver.ts';
import { Agent } from './agent.ts';
import { Alertmanager, type Notification } from './alertmanager.ts';
import { freePorts, stackFolder, until, without } from './program.ts';
import { Prometheus } from './prometheus.ts';
import { runMiner } from './scenes.ts';

/** What Prometheus says of its own scrapes. */
const OF_SCRAPES = /^(up|scrape_.*|target_info|otel_scope_info)$/;
const WAYS = { scrape: 'scraped', otlp: 'sent by OTLP' } as const;

test('metrics and alerts', { skip: without('prometheus', 'alertmanager') }, async (t) => {
  const folder = stackFolder();
  const hook = await new HttpReceiver().listen(t);
  const alertmanager = await Alertmanager.start(t, folder, hook.url);
  const [port] = await freePorts(1);
  const prometheus = await Prometheus.start(t, folder, {
    agent: `127.0.0.1:${port}`,
    alertmanager: alertmanager.address,
  });
  await Agent.start(t, folder, {
    kernel: { rules_files: [bundledRulesPath()] },
    exporters: {
      prometheus: { port },
      otlp: { endpoint: `${prometheus.url}/api/v1/otlp`, metrics_interval: '1s' },
    },
    pipelines: {
      logs: { receivers: ['kernel'], exporters: ['stdout'] },
      metrics: { exporters: ['prometheus', 'otlp'] },
    },
  });
  const scraped = `instance="127.0.0.1:${port}"`;
  const ways = { scrape: `{job="shikra", ${scraped}}`, otlp: `{job="shikra", instance!="127.0.0.1:${port}"}` };

  await t.test('both ways have the same metrics with the same labels', async () => {
    const shapes = async (matcher: string) => {
      const series = await prometheus.series(matcher);
      const shape = ({ __name__: name, job: _job, instance: _instance, ...labels }: Record<string, string>) =>
        OF_SCRAPES.test(name!) ? [] : [`${name}{${Object.keys(labels).sort()}}`];
      return [...new Set(series.flatMap(shape))].sort();
    };
    // What is new comes by one way a second sooner than by the other.
    const both = async () => Promise.all([shapes(ways.scrape), shapes(ways.otlp)]);
    const isSame = ([one, other]: readonly string[][]) => one!.length > 0 && isDeepStrictEqual(one, other);
    await until('the same by both ways', async () => isSame(await both())).catch(() => {});
    const [names, others] = await both();
    assert.deepEqual(others, names);
    const known = Object.values(METRIC_TABLE).map(({ name }) => name);
    assert.ok(known.some((name) => names!.some((shape) => shape.startsWith(name))));
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
