import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig } from './read-config.ts';
import { costsBetween, metricsUrl, type Reading, type RuleCost, readRuleCosts } from './rule-costs.ts';
import { whenStopped } from './stop-signals.ts';

export interface RulesTopOptions {
  readonly config?: string;
  readonly url?: string;
  /** Seconds. */
  readonly interval: number;
  /** How many intervals; without it until stopped. */
  readonly count?: number;
  readonly once?: boolean;
  /** How many rules are shown; without it as many as fit on the terminal, and else all. */
  readonly limit?: number;
  readonly sort: 'time' | 'per-evaluation' | 'evaluations' | 'matches';
  readonly json?: boolean;
}

/** `shikra rules top`: what each rule of a running agent costs. @returns the exit code */
export async function rulesTop(options: RulesTopOptions): Promise<number> {
  const url = options.url ?? metricsUrl(readConfig(options.config).config);
  const count = options.once ? 1 : (options.count ?? Number.POSITIVE_INFINITY);
  const stop = new AbortController();
  void whenStopped().then(() => stop.abort());
  let before = await readRuleCosts(url);
  for (let shown = 0; shown < count; shown++) {
    await sleep(options.interval * 1000, undefined, { signal: stop.signal }).catch(() => {});
    if (stop.signal.aborted) break;
    const after = await readRuleCosts(url);
    show(url, before, after, options);
    before = after;
  }
  return 0;
}

/** Rules by what is asked for, the highest first. */
interface Interval {
  readonly url: string;
  readonly seconds: number;
  readonly restarted: boolean;
  readonly rules: readonly (RuleCost & {
    /** Of the time that all rules took. */
    readonly share: number;
    readonly secondsPerEvaluation: number;
  })[];
}

function show(url: string, before: Reading, after: Reading, options: RulesTopOptions): void {
  const interval = measure(url, before, after, options.sort);
  const isLive = process.stdout.isTTY && !options.once && !options.json;
  const fits = isLive ? Math.max(1, process.stdout.rows - FRAME_LINES) : Number.POSITIVE_INFINITY;
  const limit = options.limit ?? fits;
  if (options.json) console.log(json(interval, limit));
  else console.log(`${isLive ? HOME_AND_CLEAR : ''}${table(interval, limit)}`);
}

function measure(url: string, before: Reading, after: Reading, sort: RulesTopOptions['sort']): Interval {
  const costs = costsBetween(before, after);
  const total = sum(costs, 'seconds');
  const rules = costs.map((cost) => ({
    ...cost,
    share: total === 0 ? 0 : cost.seconds / total,
    secondsPerEvaluation: cost.evaluations === 0 ? 0 : cost.seconds / cost.evaluations,
  }));
  const key = (
    {
      time: 'seconds',
      'per-evaluation': 'secondsPerEvaluation',
      evaluations: 'evaluations',
      matches: 'matches',
    } as const
  )[sort];
  rules.sort((a, b) => b[key] - a[key] || b.seconds - a.seconds || b.matches - a.matches || (a.rule < b.rule ? -1 : 1));
  return {
    url,
    seconds: (after.takenAtMillis - before.takenAtMillis) / 1000,
    restarted: before.startedAt !== after.startedAt,
    rules,
  };
}

function sum(costs: readonly RuleCost[], key: 'seconds' | 'matches'): number {
  return costs.reduce((total, cost) => total + cost[key], 0);
}

/** One line, so that several intervals are lines of their own. */
function json({ url, seconds, restarted, rules }: Interval, limit: number): string {
  const shown = rules.slice(0, limit).map(({ rule, source, priority, matches, evaluations, share, ...cost }) => ({
    rule,
    source,
    priority,
    matches,
    evaluations,
    seconds: cost.seconds,
    share,
    seconds_per_evaluation: cost.secondsPerEvaluation,
  }));
  return JSON.stringify({ url, seconds, restarted, estimated_from_one_event_in: MEASURED_ONE_IN, rules: shown });
}

const HOME_AND_CLEAR = '\u001b[H\u001b[2J';
/** Lines of a table that are no rules. */
const FRAME_LINES = 11;
/** The engine's: docs/metrics.md says the same. */
const MEASURED_ONE_IN = 1024;
/** Below so many measurements of every rule, the order of the rules is mostly chance. */
const FEW_MEASUREMENTS = 30;

function table(interval: Interval, limit: number): string {
  const { url, seconds, restarted, rules } = interval;
  const total = sum(rules, 'seconds');
  const shown = rules.slice(0, limit);
  const most = Math.max(...rules.map(({ evaluations }) => evaluations)) / MEASURED_ONE_IN;
  const left = rules.length - shown.length;
  return [
    `${url}: ${seconds.toFixed(1)} s, ${count(sum(rules, 'matches'), 'match', 'matches')}, rules took ${percent(total / seconds)} of a core`,
    ...(restarted ? ['The agent was started anew in between; these are the counts since.'] : []),
    '',
    row('TIME', 'PER EVALUATION', 'EVALUATIONS', 'MATCHES', 'SOURCE', 'RULE'),
    ...shown.map(({ rule, source, matches, evaluations, share, secondsPerEvaluation }) =>
      row(
        evaluations === 0 ? '-' : percent(share),
        evaluations === 0 ? '-' : nanoseconds(secondsPerEvaluation),
        evaluations.toLocaleString('en'),
        matches.toLocaleString('en'),
        source,
        rule,
      ),
    ),
    ...(left > 0 ? [`... and ${count(left, 'rule', 'rules')} more`] : []),
    '',
    `Matches are counted. Evaluations and times are estimated: about one event in ${MEASURED_ONE_IN} is measured and stands for them all.`,
    'What is decided for thirty rules at once counts for them in equal parts, what several rules share for the first of them.',
    ...(most < FEW_MEASUREMENTS
      ? [`No rule was measured more than ${count(Math.round(most), 'time', 'times')}: a longer --interval tells more.`]
      : []),
  ].join('\n');
}

function row(time: string, per: string, evaluations: string, matches: string, source: string, rule: string): string {
  const numbers = [time.padStart(7), per.padStart(14), evaluations.padStart(13), matches.padStart(9)];
  // A name may hold anything, also what a terminal obeys.
  return `${numbers.join('  ')}  ${source.padEnd(9)}  ${rule.replaceAll(/\p{Cc}/gu, ' ')}`;
}

function count(number: number, one: string, many: string): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

function nanoseconds(seconds: number): string {
  return `${(seconds * 1e9).toFixed(seconds < 1e-8 ? 1 : 0)} ns`;
}
