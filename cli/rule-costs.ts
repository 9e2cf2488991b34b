import type { Config } from '../collector/config/config.ts';
import { metricsExporters } from '../collector/config/service.ts';
import { ShikraError } from '../collector/errors.ts';
import { METRIC_TABLE } from '../collector/telemetry/metric-table.ts';
import type { PrometheusConfig } from '../exporters/prometheus/config.ts';

/** What a rule did, since the agent's start or within an interval. */
export interface RuleCost {
  readonly rule: string;
  readonly source: string;
  readonly priority: string;
  readonly matches: number;
  /** Estimates, as the metrics are. */
  readonly evaluations: number;
  readonly seconds: number;
}

/** What an agent had counted when it was asked. */
export interface Reading {
  readonly takenAtMillis: number;
  /** When the agent started, in seconds since 1970: what was counted before an other start is gone. */
  readonly startedAt: number;
  readonly rules: ReadonlyMap<string, RuleCost>;
}

const ANSWER_MILLIS = 5000;

/** Asks an agent. @throws ShikraError AGENT_UNREACHABLE */
export async function readRuleCosts(url: string): Promise<Reading> {
  const page = await fetchPage(url);
  const reading = { takenAtMillis: Date.now(), ...parse(page) };
  if (reading.rules.size === 0) throw unreachable(`${url} answers, but not with metrics of Shikra's rules`);
  return reading;
}

/** Where the agent of a configuration serves its metrics. @throws ShikraError AGENT_UNREACHABLE if it does not */
export function metricsUrl({ file, exporters, service }: Config): string {
  const inUse = metricsExporters(service.pipelines).map((id) => exporters[id]);
  const exporter = inUse.find((each) => each?.type === 'prometheus')?.config as PrometheusConfig | undefined;
  if (exporter === undefined) throw unreachable(`${file} has no prometheus exporter in its pipelines`);
  if (exporter.port === 0)
    throw unreachable(`${file} lets the prometheus exporter take any port; the agent logs which`);
  return `http://${reachable(exporter.host)}:${exporter.port}/metrics`;
}

/** An address that stands for all of a machine's is none to connect to. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** What happened between two readings. Of an agent that was started in between: what the new one has counted. */
export function costsBetween(before: Reading, after: Reading): RuleCost[] {
  const isSame = before.startedAt === after.startedAt;
  return [...after.rules.values()].map((now) => {
    const then = isSame ? before.rules.get(now.rule) : undefined;
    if (then === undefined) return now;
    return {
      ...now,
      matches: now.matches - then.matches,
      evaluations: now.evaluations - then.evaluations,
      seconds: now.seconds - then.seconds,
    };
  });
}

async function fetchPage(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MILLIS) });
    if (response.ok) return await response.text();
    throw unreachable(`${url} answers with status ${response.status}`);
  } catch (error) {
    if (error instanceof ShikraError) throw error;
    throw unreachable(`${url}: ${reasonOf(error as Error)}`, error);
  }
}

/** fetch says only that it failed; why, stands in the cause. */
function reasonOf(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  const { code } = cause as NodeJS.ErrnoException;
  return cause.message === '' && code !== undefined ? code : cause.message;
}

function unreachable(detail: string, cause?: unknown): ShikraError {
  return new ShikraError('AGENT_UNREACHABLE', detail, { cause });
}

const START_TIME = 'process_start_time_seconds';
const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

function parse(page: string): Omit<Reading, 'takenAtMillis'> {
  let startedAt = 0;
  const evaluations = new Map<string, number>();
  const seconds = new Map<string, number>();
  const rules = new Map<string, RuleCost>();
  for (const line of page.split('\n')) {
    const [, name, labelText = '', value] = SAMPLE.exec(line) ?? [];
    const { rule = '', source = '', priority = '' } = name?.startsWith('shikra_rule_') ? labelsOf(labelText) : {};
    if (name === START_TIME) startedAt = Number(value);
    else if (name === METRIC_TABLE.ruleEvaluations.name) evaluations.set(rule, Number(value));
    else if (name === METRIC_TABLE.ruleTime.name) seconds.set(rule, Number(value));
    else if (name === METRIC_TABLE.ruleMatches.name)
      rules.set(rule, { rule, source, priority, matches: Number(value), evaluations: 0, seconds: 0 });
  }
  for (const [rule, cost] of rules)
    rules.set(rule, { ...cost, evaluations: evaluations.get(rule) ?? 0, seconds: seconds.get(rule) ?? 0 });
  return { startedAt, rules };
}

function labelsOf(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(LABEL)].map(([, name, value]) => [
      name!,
      value!.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped)),
    ]),
  );
}
