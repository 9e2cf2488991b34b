import { AGENT_LOGS } from '../logql.ts';
import { AGENT, AGENTS, choice, DATA_SOURCES, type Dashboard } from './dashboard.ts';
import { logs, loki, prometheus, row, stat, table, timeseries } from './panels.ts';

const RULE = `${AGENT}, rule=~"$rule"`;
const each = (metric: string, window: string) => `sum by (rule) (rate(${metric}{${RULE}}[${window}]))`;
const SECONDS = 'shikra_rule_time_seconds_total';
const EVALUATIONS = 'shikra_rule_evaluations_total';

export const RULES_PAGE: Dashboard = {
  uid: 'shikra-rules',
  title: 'Shikra: rules',
  description: 'What each rule matches and costs, and whether the rules in force are those of the files.',
  from: 'now-6h',
  variables: [
    ...DATA_SOURCES,
    ...AGENTS,
    choice('rule', 'Rule', 'label_values(shikra_rule_matches_total{job=~"$job", instance=~"$instance"}, rule)'),
  ],
  panels: [
    row('In force'),
    stat(
      'Rules loaded',
      'Rules that are loaded and enabled, on the agent that has most.',
      'none',
      prometheus(`max(shikra_rules_loaded{${AGENT}})`),
      { decimals: 0 },
    ),
    stat(
      'Fewest on an agent',
      'Agents with other numbers have other rules.',
      'none',
      prometheus(`min(shikra_rules_loaded{${AGENT}})`),
      { decimals: 0 },
    ),
    stat(
      'Agents with old rules',
      'Agents whose last reload failed: the rules from before are in force.',
      'none',
      prometheus(`count(shikra_rules_last_reload_success{${AGENT}} == 0) or vector(0)`),
      { thresholds: [1, 1], decimals: 0 },
    ),
    timeseries(
      'Reloads',
      'Reloads by outcome.',
      'short',
      [prometheus(`sum by (outcome) (increase(shikra_rules_reload_total{${AGENT}}[$__rate_interval]))`, '{{outcome}}')],
      { height: 4 },
    ),
    row('Matches'),
    timeseries(
      'Matches',
      'Matches by rule: the fifteen that matched most.',
      'short',
      [
        prometheus(
          `topk(15, sum by (rule) (increase(shikra_rule_matches_total{${RULE}}[$__rate_interval])))`,
          '{{rule}}',
        ),
      ],
      { stacked: true },
    ),
    timeseries(
      'Matches by agent',
      'Matches of the chosen rules by agent.',
      'short',
      [
        prometheus(
          `topk(15, sum by (instance) (increase(shikra_rule_matches_total{${RULE}}[$__rate_interval])))`,
          '{{instance}}',
        ),
      ],
      { stacked: true },
    ),
    row('Cost'),
    timeseries(
      'Time',
      'Share of a CPU that evaluating takes, all agents together: the fifteen dearest. An estimate; what several rules share counts for the first of them.',
      'percentunit',
      [prometheus(`topk(15, ${each(SECONDS, '$__rate_interval')})`, '{{rule}}')],
    ),
    timeseries('Time for each event', 'Mean time of an evaluation: the fifteen slowest.', 's', [
      prometheus(
        `topk(15, ${each(SECONDS, '$__rate_interval')} / ${each(EVALUATIONS, '$__rate_interval')})`,
        '{{rule}}',
      ),
    ]),
    table(
      'Every rule',
      'Matches and cost in the time shown.',
      [
        prometheus(`sum by (rule, priority, source) (increase(shikra_rule_matches_total{${RULE}}[$__range]))`),
        prometheus(`sum by (rule) (increase(${SECONDS}{${RULE}}[$__range]))`),
        prometheus(`sum by (rule) (increase(${EVALUATIONS}{${RULE}}[$__range]))`),
      ],
      {
        rule: { title: 'Rule' },
        priority: { title: 'Priority' },
        source: { title: 'Source' },
        'Value #A': { title: 'Matches', unit: 'short' },
        'Value #B': { title: 'Time', unit: 's' },
        'Value #C': { title: 'Evaluations', unit: 'short' },
      },
      { width: 24, height: 12 },
    ),
    row('Rules over several events'),
    timeseries(
      'Keys remembered',
      'Sessions, containers or the like that a rule over several events remembers.',
      'short',
      [prometheus(`sum by (rule) (shikra_rule_keys{${RULE}})`, '{{rule}}')],
    ),
    timeseries(
      'Keys forgotten too early',
      'Pushed out for want of room: the rule may have missed something.',
      'short',
      [prometheus(`sum by (rule) (increase(shikra_rule_keys_evicted_total{${RULE}}[$__rate_interval]))`, '{{rule}}')],
    ),
    row('Detections'),
    logs('Detections of the chosen rules', 'From Loki.', loki(`${AGENT_LOGS} | security_rule_name=~"$rule"`)),
  ],
};
