import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dump, load } from 'js-yaml';
import { RUNBOOKS } from '../../scripts/alerts/alert.ts';
import { builtTool } from '../../scripts/tools.ts';

export const promtool = builtTool('promtool');
export const NO_PROMTOOL = promtool ? false : '`node scripts/tools.ts promtool` builds it';

export const RULES = 'alerts/shikra.rules.yaml';

interface Rule {
  readonly alert: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
}

export function rulesIn(file: string): Rule[] {
  const { groups } = load(readFileSync(file, 'utf8')) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** An alert as it should be: its labels without name and severity, and its description. */
export type Firing = readonly [labels: Readonly<Record<string, string>>, description: string];

export interface Scenario {
  readonly alert: string;
  /** After "fires", "does not fire", "resolves": the end of a sentence. */
  readonly title: string;
  /** promtool's notation: `0x4 1x5` is five samples of 0 and six of 1, a minute apart, from minute 0 on. */
  readonly series: Readonly<Record<string, string>>;
  /** What fires, by time. */
  readonly at: Readonly<Record<string, readonly Firing[]>>;
}

/** Lets Prometheus' own engine run the alert over the series. Throws with what it found instead. */
export function runScenario({ alert, series, at }: Scenario): void {
  const rule = rulesIn(RULES).find((one) => one.alert === alert);
  assert.ok(rule, `no alert ${alert} in ${RULES}`);
  const expected = ([labels, description]: Firing) => ({
    exp_labels: { severity: rule.labels.severity, ...labels },
    exp_annotations: { summary: rule.annotations.summary, description, runbook_url: `${RUNBOOKS}/${alert}.md` },
  });
  const test = {
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    alert_rule_test: Object.entries(at).map(([time, firing]) => ({
      eval_time: time,
      alertname: alert,
      exp_alerts: firing.map(expected),
    })),
  };
  const folder = mkdtempSync(join(tmpdir(), 'shikra-alerts-'));
  try {
    // Only this one: promtool runs all that it is given, every minute.
    writeFileSync(join(folder, 'rules.yaml'), dump({ groups: [{ name: 'shikra', rules: [rule] }] }));
    writeFileSync(
      join(folder, 'test.yaml'),
      dump({ rule_files: ['rules.yaml'], evaluation_interval: '1m', tests: [test] }),
    );
    runPromtool('test', 'rules', join(folder, 'test.yaml'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @returns what it printed */
export function runPromtool(...parameters: string[]): string {
  const { status, stdout, stderr } = spawnSync(promtool!, parameters, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  return stdout;
}
