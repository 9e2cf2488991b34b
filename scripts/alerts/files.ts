import { dump } from 'js-yaml';
import { AGENT_ALERTS } from './agent-alerts.ts';
import { alertRule } from './alert.ts';
import { DETECTION_ALERTS } from './detection-alerts.ts';
import { LOKI_ALERTS } from './loki-alerts.ts';

const GENERATED = '# Generated from scripts/alerts/ by `npm run generate`; a test keeps it current.\n';
const INTERVAL = '30s';

const GROUPS = [
  { name: 'shikra-detections', interval: INTERVAL, rules: DETECTION_ALERTS.map((alert) => alertRule(alert)) },
  { name: 'shikra-agents', interval: INTERVAL, rules: AGENT_ALERTS.map((alert) => alertRule(alert)) },
];

/** What tells a detection that Loki counted from the same one that the agent counted. */
const FROM_LOGS = { detected_by: 'logs' };

/** The files of alerts/ that are made from the tables of alerts: path and text. */
export function alertFiles(): [file: string, text: string][] {
  return [
    ['alerts/shikra.rules.yaml', yaml({ groups: GROUPS })],
    [
      'alerts/shikra.prometheusrule.yaml',
      yaml({
        apiVersion: 'monitoring.coreos.com/v1',
        kind: 'PrometheusRule',
        metadata: { name: 'shikra', labels: { 'app.kubernetes.io/name': 'shikra', release: 'kube-prometheus-stack' } },
        spec: { groups: GROUPS },
      }),
    ],
    [
      'alerts/loki/shikra.rules.yaml',
      yaml({
        groups: [
          { name: 'shikra-detections', interval: INTERVAL, rules: LOKI_ALERTS.map((one) => alertRule(one, FROM_LOGS)) },
        ],
      }),
    ],
  ];
}

function yaml(value: unknown): string {
  // An alias would be right, and unreadable.
  return GENERATED + dump(value, { lineWidth: -1, noRefs: true });
}
