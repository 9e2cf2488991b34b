import type { Alert } from './alert.ts';
import { AGENT, happened } from './promql.ts';

/** Names of rules, Falco's and the bundled ones, after which an alert of its own is raised. RE2, anchored at both ends. */
export const REVERSE_SHELL_RULES = '(.* )?[Rr]everse [Ss]hell( .*)?|Redirect STDOUT/STDIN to Network Connection.*';
export const CRYPTO_MINING_RULES = '(.*[^a-z])?([Mm]iners?|[Mm]ining|[Ss]tratum)([^a-z].*)?';

const WINDOW = '5m';

const matches = (matcher: string) => happened(`shikra_rule_matches_total{${matcher}}`, WINDOW, 'rule, priority');

const WHAT = 'Rule "{{ $labels.rule }}" ({{ $labels.priority }})';
const HOW_OFTEN = `matched {{ printf "%.0f" $value }} time(s) in ${WINDOW}`;
const WHERE = 'on {{ $labels.instance }}';

/** What the agents found. Matches are counted before processors change or drop anything. */
export const DETECTION_ALERTS: readonly Alert[] = [
  {
    alert: 'ShikraCriticalDetection',
    expr: matches('priority=~"Critical|Alert|Emergency"'),
    severity: 'critical',
    summary: 'A rule of priority Critical or worse matched.',
    description: `${WHAT} ${HOW_OFTEN} ${WHERE}.`,
  },
  {
    alert: 'ShikraReverseShell',
    expr: matches(`rule=~"${REVERSE_SHELL_RULES}"`),
    severity: 'critical',
    summary: 'A shell was connected to the network.',
    description: `${WHAT} ${HOW_OFTEN} ${WHERE}: somebody may be typing there.`,
  },
  {
    alert: 'ShikraCryptoMining',
    expr: matches(`rule=~"${CRYPTO_MINING_RULES}"`),
    severity: 'critical',
    summary: 'A crypto miner seems to be at work.',
    description: `${WHAT} ${HOW_OFTEN} ${WHERE}.`,
  },
  {
    alert: 'ShikraErrorDetection',
    expr: matches('priority="Error"'),
    severity: 'warning',
    summary: 'A rule of priority Error matched.',
    description: `${WHAT} ${HOW_OFTEN} ${WHERE}.`,
  },
  {
    alert: 'ShikraHighDetectionRate',
    expr: `sum by (${AGENT}) (rate(shikra_detections_total[5m])) > 1`,
    for: '5m',
    severity: 'warning',
    summary: 'An agent makes more than one detection a second.',
    description: `{{ $value | humanize }} detections a second ${WHERE}, for five minutes: an attack that goes on, or a rule that fits ordinary work.`,
  },
];
