import { AGENT_LOGS } from '../logql.ts';
import type { Alert } from './alert.ts';
import { CRYPTO_MINING_RULES, REVERSE_SHELL_RULES } from './detection-alerts.ts';

/** The same names for what comes over OTLP and by the push API, and the same as those of the metrics. */
const NAMES =
  'label_format rule=security_rule_name, priority=shikra_priority, namespace=k8s_namespace_name, host=host_name';

const counted = (filter: string, by: string) =>
  `sum by (${by}) (count_over_time(${AGENT_LOGS} | ${filter} | ${NAMES} [5m]))`;
const found = (filter: string) => `${counted(filter, 'rule, priority, namespace, host')} > 0`;

const DESCRIPTION =
  'Rule "{{ $labels.rule }}" ({{ $labels.priority }}) matched {{ $value }} time(s) in 5m on {{ $labels.host }}{{ with $labels.namespace }}, namespace {{ . }}{{ end }}.';

/** What is detected, out of the detections themselves: they know the namespace, and count after processors have changed or dropped them. */
export const LOKI_ALERTS: readonly Alert[] = [
  {
    alert: 'ShikraCriticalDetection',
    expr: found('shikra_priority=~"critical|alert|emergency"'),
    severity: 'critical',
    summary: 'A rule of priority Critical or worse matched.',
    description: DESCRIPTION,
  },
  {
    alert: 'ShikraReverseShell',
    expr: found(`security_rule_name=~"${REVERSE_SHELL_RULES}"`),
    severity: 'critical',
    summary: 'A shell was connected to the network.',
    description: DESCRIPTION,
  },
  {
    alert: 'ShikraCryptoMining',
    expr: found(`security_rule_name=~"${CRYPTO_MINING_RULES}"`),
    severity: 'critical',
    summary: 'A crypto miner seems to be at work.',
    description: DESCRIPTION,
  },
  {
    alert: 'ShikraErrorDetection',
    expr: found('shikra_priority="error"'),
    severity: 'warning',
    summary: 'A rule of priority Error matched.',
    description: DESCRIPTION,
  },
  {
    alert: 'ShikraHighDetectionRate',
    expr: `${counted('shikra_priority!=""', 'host')} > 300`,
    for: '5m',
    severity: 'warning',
    summary: 'An agent makes more than one detection a second.',
    description: '{{ $value }} detections in 5m on {{ $labels.host }}.',
  },
];
