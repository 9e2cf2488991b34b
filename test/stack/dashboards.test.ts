/** deploy/compose without its containers: agent -> Collector -> Loki, Prometheus scraping. Every dashboard is asked as Grafana asks. */
import assert from 'node:assert/strict';
import { appendFileSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { EXEC } from '../sources/k8s-audit/events.ts';
import { Agent } from './agent.ts';
import { Collector } from './collector.ts';
import { composeConfig } from './compose.ts';
import { Loki } from './loki.ts';
import { freePorts, stackFolder, until, without } from './program.ts';
import { Prometheus } from './prometheus.ts';
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
const SHOWN_SECONDS = 60;
const DASHBOARDS = globSync('deploy/grafana/dashboards/*.json').map(
  (file) => [basename(file), JSON.parse(readFileSync(file, 'utf8')) as Dashboard] as const,
);

/** As Grafana hands a query on when a dashboard has just been opened. */
function filled(query: string, { templating }: Dashboard): string {
  const choices = new Map(
    templating.list.map(({ name, allValue, current }) => [name, allValue ?? current?.value ?? '']),
  );
  return query
    .replaceAll('$__rate_interval', '15s')
    .replaceAll('$__range', `${SHOWN_SECONDS}s`)
    .replaceAll('$__auto', '15s')
    .replace(/\$(\w+)/g, (_, name: string) => choices.get(name)!);
}

/** What counts trouble stays at 0 here; everything else has something to show. */
const TROUBLE =
  /_dropped_total|oldest_seconds|retries_total|dead_letter|errors_total|evicted_total|healed_total|missed_total|store_pending|queue_size|canary_missing/;

test('every query of every dashboard finds something', {
  skip: without('prometheus', 'loki', 'collector') || noScenes(),
}, async (t) => {
  const folder = stackFolder();
  const [port] = await freePorts(1);
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
  const agent = await Agent.run(t, config, port!);
  // A step is seen only of what was there before.
  for (const series of ['shikra_rule_matches_total', 'shikra_k8s_audit_rejected_total'])
    await until(`${series} to be scraped`, async () => (await prometheus.instant(series)).length > 0);
  await agent.until('the log to be open', () => agent.stderr.includes('is read from its end'));
  const now = new Date().toISOString();
  const event = { ...EXEC, requestReceivedTimestamp: now, stageTimestamp: now };
  appendFileSync(auditLog, `${JSON.stringify(event)}\nno JSON\n`);
  // One event in a thousand is measured.
  for (let i = 0; i < 20_000; i++) readFileSync('/etc/passwd');
  await new Scenes(t, folder, containerd).play();
  await agent.settled('otlp');
  await until('all of it in Loki', async () => {
    const lines = await loki.lines('{service_name="shikra"}');
    return lines.length >= agent.detections.length;
  });
  await until('all of it to be scraped', async () => {
    const [sum] = await prometheus.instant('sum(shikra_detections_total)');
    return Number(sum?.values[0]?.[1] ?? 0) >= agent.detections.length;
  });

  for (const [file, dashboard] of DASHBOARDS)
    await t.test(file, async (t) => {
      for (const { name, type, query } of dashboard.templating.list)
        if (type === 'query')
          await t.test(`its choice of ${name}`, async () => {
            const [, series, label] = /^label_values\((.*), (\w+)\)$/.exec(query)!;
            const values = await prometheus.labelValues(label!, filled(series!, dashboard));
            assert.ok(values.length > 0, query);
          });
      for (const { title, targets = [] } of dashboard.panels)
        for (const { expr, datasource, instant, queryType } of targets)
          await t.test(`${title}: ${expr}`, async () => {
            const asked = filled(expr, dashboard);
            // What shows only trouble shows nothing here: there must be something to choose from.
            const query = TROUBLE.test(asked) ? asked.replace(/ > 0$/, '') : asked;
            if (datasource.type === 'loki' && !expr.includes('count_over_time')) {
              assert.ok((await loki.lines(query)).length > 0, query);
              return;
            }
            assert.notEqual(queryType, 'instant');
            const found =
              datasource.type === 'loki'
                ? await loki.series(query, undefined, STEP_SECONDS)
                : instant
                  ? await prometheus.instant(query)
                  : await prometheus.range(query, SHOWN_SECONDS, STEP_SECONDS);
            const numbers = found.flatMap(({ values }) => values.map(([, value]) => Number(value)));
            assert.ok(numbers.some(Number.isFinite), query);
            if (!TROUBLE.test(query))
              assert.ok(
                numbers.some((number) => number > 0),
                `only 0: ${query}`,
              );
          });
    });
});
