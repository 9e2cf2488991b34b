import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { dump } from 'js-yaml';
import { unknownLabelsIn } from '../alerts/logql.ts';
import { unknownIn } from '../alerts/promql.ts';
import { NO_PROMTOOL, runPromtool } from '../alerts/promtool.ts';

interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: { readonly type: 'prometheus' | 'loki'; readonly uid: string };
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string;
  readonly refresh?: number;
  readonly multi?: boolean;
  readonly allValue?: string;
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly editable: boolean;
  readonly templating: { readonly list: readonly Variable[] };
  readonly panels: readonly Panel[];
}

const FILES = globSync('deploy/grafana/dashboards/*.json').sort();
const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as Dashboard;
const targetsOf = ({ panels }: Dashboard) => panels.flatMap(({ targets = [] }) => targets);
const ofPrometheus = ({ datasource }: Target) => datasource.type === 'prometheus';

/** As Grafana hands it on: with its variables filled in. */
function filled(query: string): string {
  return query.replace(/\[\$__\w+\]/g, '[5m]').replace(/\$\w+/g, '.+');
}

it('there are dashboards', () => {
  assert.deepEqual(
    FILES.map((file) => basename(file)),
    ['shikra-health.json', 'shikra-overview.json', 'shikra-rules.json'],
  );
});

for (const file of FILES) {
  const dashboard = read(file);

  describe(`${basename(file)}`, () => {
    for (const { expr } of targetsOf(dashboard).filter(ofPrometheus)) {
      it(`asks for what there is: ${expr}`, () => {
        assert.deepEqual(unknownIn(filled(expr)), []);
        for (const [selector] of expr.matchAll(/\{[^}]*\}/g))
          assert.match(selector, /job=~"\$job", instance=~"\$instance"/, 'of the chosen agents only');
        for (const [range] of expr.matchAll(/\[[^\]]*\]/g)) assert.match(range, /^\[\$__(rate_interval|range)\]$/);
      });
    }

    for (const { expr } of targetsOf(dashboard).filter((target) => !ofPrometheus(target)))
      it(`asks for what detections have: ${expr}`, () => assert.deepEqual(unknownLabelsIn(filled(expr)), []));

    it('names a line after labels that its query leaves', () => {
      for (const { expr, legendFormat } of targetsOf(dashboard)) {
        const left = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ') ?? ['job', 'instance'];
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
          assert.ok(left.includes(label as string), `${legendFormat}: ${expr}`);
      }
    });

    it('uses only variables that it has, and data sources by variable', () => {
      const names = new Set(dashboard.templating.list.map(({ name }) => name));
      const texts = [
        ...targetsOf(dashboard).map(({ expr }) => expr),
        ...dashboard.templating.list.map(({ query }) => query),
      ];
      for (const text of texts)
        for (const [, name] of text.matchAll(/\$(?!__)(\w+)/g)) assert.ok(names.has(name as string), text);
      for (const { datasource } of targetsOf(dashboard)) assert.equal(datasource.uid, `$${datasource.type}_datasource`);
    });

    it("keeps the dashboard-linter's rules for the whole", () => {
      assert.equal(dashboard.editable, false, 'uneditable-dashboard');
      for (const { name, type, refresh, multi, allValue } of dashboard.templating.list)
        if (type === 'query')
          assert.deepEqual([refresh, multi, allValue], [2, true, '.+'], `template-on-time-change-reload: ${name}`);
      const names = dashboard.templating.list.map(({ name }) => name);
      for (const name of ['prometheus_datasource', 'loki_datasource', 'job', 'instance'])
        assert.ok(names.includes(name));
    });

    it('says of every panel what it shows and in which unit', () => {
      for (const { type, title, description, fieldConfig, targets } of dashboard.panels) {
        if (type === 'row') continue;
        assert.ok(description?.endsWith('.'), title);
        assert.ok(targets!.length > 0, title);
        if (type === 'timeseries' || type === 'stat') assert.ok(fieldConfig?.defaults.unit, title);
      }
    });

    it('puts no panel on another', () => {
      const cells = new Set<string>();
      for (const { gridPos, title } of dashboard.panels)
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            assert.ok(x < 24 && !cells.has(`${x} ${y}`), title);
            cells.add(`${x} ${y}`);
          }
      const ids = dashboard.panels.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
    });
  });
}

it("has only queries that Prometheus' own parser takes", { skip: NO_PROMTOOL }, () => {
  const queries = FILES.flatMap((file) => targetsOf(read(file))).filter(ofPrometheus);
  const rules = queries.map(({ expr }, index) => ({ record: `query:${index}`, expr: filled(expr) }));
  const folder = mkdtempSync(join(tmpdir(), 'shikra-dashboards-'));
  try {
    const file = join(folder, 'rules.yaml');
    writeFileSync(file, dump({ groups: [{ name: 'queries', rules }] }));
    assert.match(runPromtool('check', 'rules', file), new RegExp(`SUCCESS: ${rules.length} rules found`));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
