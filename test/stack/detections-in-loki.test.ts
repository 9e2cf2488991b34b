/** Agent -> Loki, by OTLP and by its push API: what docs/prometheus-and-loki.md says of asking for detections there. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { createResource } from '../../collector/pipeline/resource.ts';
import { HttpReceiver } from '../fixtures/http-receiver.ts';
import { Agent } from './agent.ts';
import { Alertmanager } from './alertmanager.ts';
import { type Line, Loki } from './loki.ts';
import { stackFolder, until, without } from './program.ts';
import { enginesOf, noScenes, Scenes, sceneRules, startContainerd } from './scenes.ts';

const PAGE = readFileSync('docs/prometheus-and-loki.md', 'utf8');
const MOST_LABELS = 6;
const HOST = String(createResource({ version: '1' }).attributes['host.name']);
/** Each way has a tenant of its own, so that what comes by one is not taken for the other's. */
const WAYS = { otlp: 'by OTLP', push: 'by the push API' } as const;
type Way = keyof typeof WAYS;

const QUERIES = queriesOf(PAGE);
const RUNBOOKS = globSync('docs/runbooks/*.md').flatMap((file) => queriesOf(readFileSync(file, 'utf8')));

function queriesOf(page: string): string[] {
  const blocks = [...page.matchAll(/^```logql\n(.*?)^```/gms)];
  return blocks.flatMap(([, text]) => text!.trim().split(/\n\n/));
}

/** In the pod, and in a container that no engine knows. */
const IN_CONTAINERS = 'Password database read by an untrusted program';

/** What each query of the page must find: a rule, or a label that what is counted has. */
const ANSWERS: readonly (readonly [part: string, answer: string])[] = [
  ['shikra_priority=~"critical', 'Crypto miner started by name'],
  ['="Reverse shell"', 'Reverse shell'],
  ['="payments"', IN_CONTAINERS],
  ['/tmp/.*', 'Crypto miner started by name'],
  ['server_address=ip(', 'Login on another machine'],
  ['T1059', 'Reverse shell'],
  ['container_image_name=""', IN_CONTAINERS],
  ['="internal"', 'Shikra internal: rules rejected'],
  ['process_pid=', 'Crypto miner started by name'],
  ['sum by (security_rule_name)', 'security_rule_name'],
  ['topk(10', 'k8s_pod_name'],
  ['sum by (detected_level)', 'detected_level'],
  ['{service_name="shikra"}', 'Level debug'],
];

/** Alert, rule, priority, namespace. */
const ALERTS: readonly (readonly (string | undefined)[])[] = [
  ['ShikraCryptoMining', 'Crypto miner started by name', 'critical', undefined],
  ['ShikraReverseShell', 'Reverse shell', 'critical', undefined],
  ['ShikraCriticalDetection', 'Command in a pod', 'critical', 'payments'],
  ['ShikraErrorDetection', 'Level error', 'error', undefined],
];

const ruleOf = ({ labels }: Line) => labels.security_rule_name;

test('detections in Loki', { skip: without('loki', 'logcli', 'alertmanager') || noScenes() }, async (t) => {
  const folder = stackFolder();
  const hook = await new HttpReceiver().listen(t);
  const alertmanager = await Alertmanager.start(t, folder, hook.url);
  const loki = await Loki.start(t, folder, { alertmanager: alertmanager.address, tenants: Object.keys(WAYS) });
  const containerd = await startContainerd(t);
  const agent = await Agent.start(t, folder, {
    kernel: { rules_files: sceneRules(folder), containers: enginesOf(containerd) },
    exporters: {
      otlp: { endpoint: `${loki.url}/otlp`, headers: { 'X-Scope-OrgID': 'otlp' } },
      loki: { url: loki.url, tenant: 'push' },
    },
    pipelines: {
      logs: {
        receivers: ['kernel'],
        processors: ['drop_rate', 'enrichment', 'priority'],
        exporters: ['stdout', 'otlp', 'loki'],
      },
      metrics: { exporters: ['prometheus'] },
    },
  });
  const scenes = new Scenes(t, folder, containerd);
  const pid = await scenes.play();
  const rules = () => new Set(agent.detections.map(({ rule }) => rule));
  const reads = () => agent.detections.filter(({ rule }) => rule === IN_CONTAINERS).length;
  await agent.until(
    'every scene',
    () => reads() >= 2 && ANSWERS.every(([, answer]) => !/[A-Z]/.test(answer) || rules().has(answer)),
  );
  // Others may do something on this machine meanwhile: all of these will have been delivered.
  const detected = agent.detections;
  await agent.settled('otlp', 'loki');
  const miner = detected.find(({ rule }) => rule === 'Crypto miner started by name')!;

  for (const [way, name] of Object.entries(WAYS) as [Way, string][])
    await t.test(name, async (t) => {
      await t.test('every detection is there once, whole', async () => {
        const lines = await loki.lines('{service_name="shikra"}', way);
        const uids = lines.map(({ labels }) => labels.log_record_uid);
        const missing = detected.filter(({ uuid }) => !uids.includes(uuid)).map(({ rule }) => rule);
        assert.deepEqual(missing, []);
        assert.equal(new Set(uids).size, uids.length);
        const line = lines.find((one) => ruleOf(one) === miner.rule)!;
        assert.equal(line.text, miner.output);
      });
      await questions(t, loki, way, pid);
      await t.test('takes every query of the runbooks', () => runbooks(loki, way));
      await t.test('no stream has more labels than Loki bears, and none that is unbounded', async () => {
        const streams = await loki.streams(way);
        assert.ok(streams.length > 0);
        for (const labels of streams) {
          const names = Object.keys(labels).filter((label) => !label.startsWith('__'));
          assert.ok(names.length <= MOST_LABELS, names.join(', '));
          assert.deepEqual(
            names.filter((label) => /pod|pid|rule|file|user|container|uid/.test(label)),
            [],
          );
        }
      });
      await t.test('levels are as the page says', async () => {
        for (const row of levelTable()) {
          const lines = await loki.lines(`{service_name="shikra"} | shikra_priority="${row.priority}"`, way);
          const [line] = lines.filter((one) => ruleOf(one) === `Level ${row.priority}`);
          assert.equal(line?.labels.detected_level, row[way], row.priority);
          if (way === 'push') assert.equal(line?.labels.level, row.push);
          else assert.equal(`${line?.labels.severity_text} (${line?.labels.severity_number})`, row.severity);
        }
      });
      await t.test('logcli asks for them', () => {
        const lines = loki.logcli('{service_name="shikra"} | security_rule_name="Reverse shell"', way);
        assert.ok(lines.length > 0);
        const outputs = agent.detections.filter(({ rule }) => rule === 'Reverse shell').map(({ output }) => output);
        for (const { line } of lines) assert.ok(outputs.includes(line), line);
      });
      await t.test("Loki's ruler takes the rules, and they fire with rule, priority, host and namespace", async () => {
        const key = (parts: readonly unknown[]) => JSON.stringify(parts.map((part) => part ?? null));
        const firing = async () => {
          const alerts = (await loki.rules(way)).flatMap((rule) => rule.alerts ?? []);
          return alerts
            .filter(({ labels }) => labels.detected_by === 'logs' && labels.host === HOST)
            .map(({ labels }) => key([labels.alertname, labels.rule, labels.priority, labels.namespace]));
        };
        const isIn = (found: readonly string[]) => ALERTS.every((alert) => found.includes(key(alert)));
        const found = await until('the alerts', async () => isIn(await firing())).then(firing, firing);
        assert.ok(isIn(found), found.join('\n'));
        for (const { health, lastError } of await loki.rules(way)) assert.equal(lastError || health, 'ok');
      });
    });

  await t.test('Alertmanager is told, and tells of the miner only once', async () => {
    await hook.until(() => hook.taken.some(({ request }) => request.body.includes('ShikraCryptoMining')));
    const states = await until('both alerts', async () => {
      const ofMiner = (await alertmanager.alerts()).filter(({ labels }) => labels.rule === miner.rule);
      return ofMiner.length === 2 && ofMiner.map(({ labels, status }) => `${labels.alertname} ${status.state}`).sort();
    });
    assert.deepEqual(states, ['ShikraCriticalDetection suppressed', 'ShikraCryptoMining active']);
  });
});

async function questions(t: TestContext, loki: Loki, way: Way, pid: number): Promise<void> {
  for (const query of QUERIES)
    await t.test(`answers ${query}`, async () => {
      const [, answer] = ANSWERS.find(([part]) => query.includes(part)) ?? [];
      assert.ok(answer, 'this test does not know what the query should find');
      const real = query.replace('node-1', HOST).replace('4242', `${pid}`);
      if (!counts(query)) {
        const found = (await loki.lines(real, way)).map(ruleOf);
        assert.ok(found.includes(answer), `found ${[...new Set(found)].join(', ') || 'nothing'}`);
        return;
      }
      const series = await loki.series(real, way);
      assert.ok(series.some(({ metric, values }) => metric[answer] && values.some(([, value]) => Number(value) > 0)));
    });
}

async function runbooks(loki: Loki, way: Way): Promise<void> {
  for (const query of RUNBOOKS) await (counts(query) ? loki.series(query, way) : loki.lines(query, way));
}

const counts = (query: string) => query.includes('count_over_time');

interface Level {
  readonly priority: string;
  readonly severity: string;
  readonly otlp: string;
  readonly push: string;
}

/** The table of the page. */
function levelTable(): Level[] {
  const rows = [...PAGE.matchAll(/^\| \w+ \| `(\w+)` \| (\w+ \(\d+\)) \| (\w+) \| (\w+) \|$/gm)];
  assert.equal(rows.length, 8);
  return rows.map(([, priority, severity, otlp, push]) => ({ priority, severity, otlp, push }) as Level);
}
