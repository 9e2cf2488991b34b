import { CustomVariableBuilder, TextBoxVariableBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { AGENT_LOGS } from '../logql.ts';
import { AGENT, AGENTS, ALL, DATA_SOURCES, type Dashboard } from './dashboard.ts';
import { logs, loki, prometheus, row, stat, table, timeseries } from './panels.ts';

const RULE_PAGE = {
  title: 'This rule',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own placeholders.
  url: '/d/shikra-rules?var-rule=${__data.fields.Rule:percentencode}&${__url_time_range}',
};

const DETECTIONS = `shikra_detections_total{${AGENT}}`;
const MATCHES = `shikra_rule_matches_total{${AGENT}}`;
const inRange = (priorities: string) =>
  prometheus(`sum(increase(shikra_detections_total{${AGENT}, priority=~"${priorities}"}[$__range]))`);

const SHOWN = `${AGENT_LOGS} | shikra_priority=~"$priority" | k8s_namespace_name=~"$namespace"`;
const counted = (by: string, filter = '') => `sum by (${by}) (count_over_time(${SHOWN}${filter} [$__auto]))`;

const PRIORITY = new CustomVariableBuilder('priority')
  .label('Priority')
  .values('emergency,alert,critical,error,warning,notice,informational,debug')
  .multi(true)
  .includeAll(true)
  .allValue('.+')
  .current(ALL);
const NAMESPACE = new TextBoxVariableBuilder('namespace')
  .label('Namespace (pattern)')
  .defaultValue('.*')
  .current({ text: '.*', value: '.*' });

export const OVERVIEW: Dashboard = {
  uid: 'shikra-overview',
  title: 'Shikra: security events',
  description:
    'What was detected, where, and by which rules. Priority and namespace choose among the detections in Loki.',
  from: 'now-24h',
  variables: [...DATA_SOURCES, ...AGENTS, PRIORITY, NAMESPACE],
  panels: [
    row('Now'),
    stat(
      'Critical or worse',
      'Detections of priority Critical, Alert and Emergency in the time shown.',
      'none',
      inRange('Critical|Alert|Emergency'),
      { thresholds: [1, 1], decimals: 0 },
    ),
    stat('Error', 'Detections of priority Error in the time shown.', 'none', inRange('Error'), {
      thresholds: [1, 10],
      decimals: 0,
    }),
    stat('Warning', 'Detections of priority Warning in the time shown.', 'none', inRange('Warning'), { decimals: 0 }),
    stat('Notice and less', 'All other detections in the time shown.', 'none', inRange('Notice|Informational|Debug'), {
      decimals: 0,
    }),
    stat('Agents', 'Agents that are heard of.', 'none', prometheus(`count(shikra_build_info{${AGENT}})`), {
      decimals: 0,
    }),
    stat(
      'Not delivered yet',
      'Detections on disk that an exporter has not delivered.',
      'none',
      prometheus(`sum(shikra_exporter_queue_size{${AGENT}})`),
      { thresholds: [1000, 10000], decimals: 0 },
    ),
    row('How much'),
    timeseries(
      'By priority',
      'Detections that entered the pipeline.',
      'short',
      [prometheus(`sum by (priority) (increase(${DETECTIONS}[$__rate_interval]))`, '{{priority}}')],
      { stacked: true },
    ),
    timeseries(
      'By rule',
      'Matches of the ten rules that matched most.',
      'short',
      [prometheus(`topk(10, sum by (rule) (increase(${MATCHES}[$__rate_interval])))`, '{{rule}}')],
      { stacked: true },
    ),
    timeseries(
      'By host',
      'Detections in Loki, by the host that they are from.',
      'short',
      [loki(`sum by (host) (count_over_time(${SHOWN} | label_format host=host_name [$__auto]))`, '{{host}}')],
      { stacked: true, width: 8 },
    ),
    timeseries(
      'By namespace',
      'Detections in Loki, by the Kubernetes namespace of the process.',
      'short',
      [loki(counted('k8s_namespace_name', ' | k8s_namespace_name!=""'), '{{k8s_namespace_name}}')],
      { stacked: true, width: 8 },
    ),
    timeseries(
      'By pod',
      'Detections in Loki, by the pod of the process: the ten that have most.',
      'short',
      [loki(`topk(10, ${counted('k8s_pod_name', ' | k8s_pod_name!=""')})`, '{{k8s_pod_name}}')],
      { stacked: true, width: 8 },
    ),
    table(
      'Top rules',
      'Matches in the time shown. The name leads to the page of the rule.',
      [prometheus(`topk(20, sum by (rule, priority) (increase(${MATCHES}[$__range])) > 0)`)],
      {
        rule: { title: 'Rule', links: [RULE_PAGE] },
        priority: { title: 'Priority' },
        Value: { title: 'Matches', unit: 'short' },
      },
    ),
    timeseries(
      'By image',
      'Detections in Loki, by the image of the container: the ten that have most.',
      'short',
      [loki(`topk(10, ${counted('container_image_name', ' | container_image_name!=""')})`, '{{container_image_name}}')],
      { stacked: true, height: 9 },
    ),
    row('What'),
    logs(
      'Latest detections',
      'A line has all that is known of a detection in its details. With the data source of deploy/compose they lead to the page of its rule.',
      loki(SHOWN),
    ),
  ],
};
