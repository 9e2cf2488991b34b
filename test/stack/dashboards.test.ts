/** deploy/compose without its containers: agent -> Collector -> Loki, Prometheus scraping. Every dashboard is asked as Grafana asks. */
import assert from 'node:assert/strict';
import { appendFileSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '../fixtures/free-ports.ts';
import { EXEC } from '../sources/k8s-audit/events.ts';
import { Agent } from './agent.ts';
import { Collector } from './collector.ts';
import { composeConfig } from './compose.ts';
import { Loki } from './loki.ts';
import { stackFolder, until, without } from './program.ts';
import { Prometheus, type Series } from './prometheus.ts';
import { enginesOf, noScenes, Scenes, sceneRules, startContainerd } from './scenes.ts';

interface Target {
  readonly expr: string;
  readonly datasource: { readonly type: 'prometheus' | 'loki' };
  readonly instant?: boolean;
  readonly queryType?: string;
}

interface Dashboard {
  readonly templating: { readonly list: readonly Variable[] };
  readonly panels: readonly { readonly title: string; readonly targets?: readonly Target[] }[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string;
  readonly allValue?: string;
  readonly current?: { readonly value: string };
}

const STEP_SECONDS = 2;
const DASHBOARDS = globSync('deploy/grafana/dashboards/*.json').map(
  (file) => [basename(file), JSON.parse(readFileSync(file, 'utf8')) as Dashboard] as const,
);

/** As Grafana hands a query on when a dashboard of the last seconds has just been opened. */
function filled(query: string, { templating }: Dashboard, shownSeconds: number): string {
  const choices = new Map(
    templating.list.map(({ name, allValue, current }) => [name, allValue ?? current?.value ?? '']),
  );
  return query
    .replaceAll('$__rate_interval', '15s')
    .replaceAll('$__range', `${shownSeconds}s`)
    .replaceAll('$__auto', '15s')
    .replace(/\$(\w+)/g, (_, name: string) => choices.get(name)!);
}

/** What counts trouble stays at 0 here; everything else has something to show. */
const TROUBLE =
  /_dropped_total|oldest_seconds|retries_total|dead_letter|errors_total|evicted_total|healed_total|missed_total|store_pending|queue_size|canary_missing/;

test('every query of every dashboard finds something', {
  skip: without('prometheus', 'loki', 'collector') || noScenes(),
}, async (t) => {
  const begun = Date.now();
  const folder = stackFolder();
  const port = await freePort();
  const loki = await Loki.start(t, folder);
  const collector = await Collector.start(t, folder, loki.address);
  const prometheus = await Prometheus.start(t, folder, { agent: `127.0.0.1:${port}` });
  const containerd = await startContainerd(t);
  const auditLog = join(folder, 'audit.log');
  writeFileSync(auditLog, '');
  const config = composeConfig('shikra.yaml', folder, { 'http://collector:4318': collector.url }, {}, (it) => {
    const kernel = { containers: enginesOf(containerd), rules_files: sceneRules(folder) };
    it.receivers = { kernel, k8s_audit: { files: [auditLog] } };
    it.exporters.prometheus = { port };
    it.exporters.stdout = { format: 'json' };
    it.service.store = { path: join(folder, 'store.db') };
    it.service.pipelines.logs.receivers.push('k8s_audit');
    it.service.pipelines.logs.exporters.push('stdout');
  });
  const agent = await Agent.run(t, config, port);
  // A step is seen only of what was there before.
  for (const series of ['shikra_rule_matches_total', 'shikra_k8s_audit_rejected_total'])
    await until(`${series} to be scraped`, async () => (await prometheus.instant(series)).length > 0);
  await agent.until('the log to be open', () => agent.stderr.includes('is read from its end'));
  const now = new Date().toISOString();
  const event = { ...EXEC, requestReceivedTimestamp: now, stageTimestamp: now };
  appendFileSync(auditLog, `${JSON.stringify(event)}\nno JSON\n`);
  // One event in a thousand is measured.
  for (let i = 0; i < 20_000; i++) readFileSync('/etc/passwd');
  const scenes = new Scenes(t, folder, containerd);
  // A quick engine has answered before the first event: whether one waited for its container was luck, and on a quick machine none did.
  containerd.freeze();
  scenes.stranger();
  const held = (outcome: string) => agent.metric(`shikra_container_held_events_total{outcome="${outcome}"}`);
  await until('an event to have waited', async () => (await held('unknown')) + (await held('timeout')) > 0);
  containerd.thaw();
  await scenes.play();
  await agent.settled('otlp');
  await until('all of it in Loki', async () => {
    const lines = await loki.lines('{service_name="shikra"}');
    return lines.length >= agent.detections.length;
  });
  // On a slow machine the scenes and what follows them may take minutes: all of them are to be seen.
  const shownSeconds = () => Math.ceil((Date.now() - begun) / 1000 / STEP_SECONDS) * STEP_SECONDS;
  const found = async (query: string, { datasource, instant }: Target): Promise<readonly Series[]> => {
    if (datasource.type === 'loki') return await loki.series(query, undefined, STEP_SECONDS, shownSeconds());
    return instant ? await prometheus.instant(query) : await prometheus.range(query, shownSeconds(), STEP_SECONDS);
  };
  const isFound = async (query: string, target: Target): Promise<boolean> => {
    if (target.datasource.type === 'loki' && !target.expr.includes('count_over_time'))
      return (await loki.lines(query)).length > 0;
    const numbers = (await found(query, target)).flatMap(({ values }) => values.map(([, value]) => Number(value)));
    return numbers.some((number) => (TROUBLE.test(query) ? Number.isFinite(number) : number > 0));
  };
  for (const [file, dashboard] of DASHBOARDS)
    await t.test(file, async (t) => {
      for (const { name, type, query } of dashboard.templating.list)
        if (type === 'query')
          await t.test(`its choice of ${name}`, async () => {
            const [, series, label] = /^label_values\((.*), (\w+)\)$/.exec(query)!;
            const values = await prometheus.labelValues(label!, filled(series!, dashboard, shownSeconds()));
            assert.ok(values.length > 0, query);
          });
      for (const { title, targets = [] } of dashboard.panels)
        for (const target of targets)
          await t.test(`${title}: ${target.expr}`, async () => {
            const asked = filled(target.expr, dashboard, shownSeconds());
            // What shows only trouble shows nothing here: there must be something to choose from.
            const query = TROUBLE.test(asked) ? asked.replace(/ > 0$/, '') : asked;
            assert.notEqual(target.queryType, 'instant');
            // What has just happened is in the next scrape.
            await until(`something of ${query}`, () => isFound(query, target));
          });
    });
});
