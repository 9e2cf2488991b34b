import type { Alert } from './alert.ts';
import { AGENT, happened } from './promql.ts';

const WHERE = 'on {{ $labels.instance }}';
const LOST = 'shikra_events_dropped_total{reason!="read_failed"}';

/** Whether the agents themselves work, and whether what they found arrives. */
export const AGENT_ALERTS: readonly Alert[] = [
  {
    alert: 'ShikraDown',
    // Agents that send over OTLP have no `up`; of them it is only known whether there is any at all.
    expr: `up{job=~".*shikra.*"} == 0
or
absent(shikra_build_info) unless on () up{job=~".*shikra.*"}`,
    for: '5m',
    severity: 'critical',
    summary: 'An agent does not run, or cannot be reached.',
    description:
      '{{ with $labels.instance }}The agent at {{ . }} has not answered for five minutes.{{ else }}No agent has been heard of for five minutes.{{ end }} What happens there is not seen.',
  },
  {
    alert: 'ShikraHighDropRate',
    // What could not be read whole has arrived nevertheless; it is not a loss of the event.
    expr: `sum by (${AGENT}) (rate(${LOST}[5m]))
/
(
  sum by (${AGENT}) (rate(shikra_events_total[5m]))
  + sum by (${AGENT}) (rate(${LOST}[5m]))
) > 0.01`,
    for: '1m',
    severity: 'critical',
    summary: 'More than 1 % of the events are lost in the kernel.',
    description: `{{ $value | humanizePercentage }} of the events ${WHERE} were lost before any rule saw them.`,
  },
  {
    alert: 'ShikraNoEvents',
    // Ten minutes of a rate over five: a quarter of an hour since the last event.
    expr: `sum by (${AGENT}) (rate(shikra_events_total[5m])) == 0`,
    for: '10m',
    severity: 'critical',
    summary: 'An agent runs and has seen no event for 15 minutes.',
    description: `The agent ${WHERE} runs, but no event has reached it for 15 minutes.`,
  },
  {
    alert: 'ShikraCanaryMissing',
    // What was mended within seconds is a critical detection; this is about what stays.
    expr: 'shikra_canary_missing > 0',
    for: '1m',
    severity: 'critical',
    summary: 'An agent is not told any more of what it does itself: it may be blind.',
    description: `Canary {{ $labels.canary }} ${WHERE} stays away: part of what happens there may not be seen.`,
  },
  {
    alert: 'ShikraExporterFailing',
    expr: 'shikra_exporter_oldest_seconds > 300',
    for: '1m',
    severity: 'critical',
    summary: 'An exporter has not delivered its detections for more than five minutes.',
    description: `Exporter {{ $labels.exporter }} ${WHERE} has a detection that waits for {{ $value | humanizeDuration }}. Nothing is lost while the store has room.`,
  },
  {
    alert: 'ShikraDeadLetters',
    expr: happened('shikra_exporter_records_total{outcome="dead_letter"}', '15m', 'exporter'),
    severity: 'warning',
    summary: 'A receiver refused detections for good.',
    description: `Exporter {{ $labels.exporter }} ${WHERE} put aside {{ printf "%.0f" $value }} detection(s) in 15m: the receiver will not take them as they are.`,
  },
  {
    alert: 'ShikraDetectionsLost',
    expr: `${happened('shikra_exporter_records_total{outcome=~"rejected|expired|dropped"}', '15m', 'exporter, outcome')}
or
${happened('shikra_store_records_total{outcome="lost"}', '15m', 'outcome')}
or
${happened('shikra_pipeline_errors_total', '15m')}`,
    severity: 'critical',
    summary: 'Detections did not reach their destination, and will not.',
    description: `{{ printf "%.0f" $value }} detection(s) ${WHERE} were lost in 15m{{ with $labels.exporter }} for exporter {{ . }}{{ end }}{{ with $labels.outcome }}: {{ . }}{{ end }}.`,
  },
  {
    alert: 'ShikraStoreNearlyFull',
    // A store that is full of what every exporter has is as it should be: the oldest makes room.
    expr: `shikra_store_bytes / shikra_store_capacity_bytes > 0.85
and on (${AGENT})
max by (${AGENT}) (shikra_exporter_oldest_seconds) > 0`,
    for: '5m',
    severity: 'warning',
    summary: 'The store is nearly full while an exporter is behind: soon detections are lost for it.',
    description: `The store ${WHERE} is {{ $value | humanizePercentage }} full, and an exporter cannot deliver.`,
  },
  {
    alert: 'ShikraStoreFailing',
    expr: `sum by (${AGENT}, operation) (increase(shikra_store_errors_total[5m])) > 0`,
    for: '2m',
    severity: 'critical',
    summary: 'The store cannot be read or written.',
    description: `The store ${WHERE} fails at {{ $labels.operation }}; new detections wait in memory, which holds 10,000.`,
  },
  {
    alert: 'ShikraRulesReloadFailed',
    expr: 'shikra_rules_last_reload_success == 0',
    severity: 'warning',
    summary: 'Changed rules were not taken: they have a mistake.',
    description: `The rules ${WHERE} could not be loaded again; those from before are in force.`,
  },
  {
    alert: 'ShikraConfigReloadFailed',
    expr: 'shikra_config_last_reload_success == 0',
    severity: 'warning',
    summary: 'A changed configuration is not in force, or not all of it.',
    description: `The configuration of the agent ${WHERE} is not that of its file: it has a mistake, a part of it could not start, or it needs a restart.`,
  },
  {
    alert: 'ShikraContainerMetadataMissing',
    expr: `sum by (${AGENT}) (rate(shikra_container_detections_without_metadata_total[15m])) * 900 > 10`,
    for: '5m',
    severity: 'warning',
    summary: 'Detections in containers lack the names of image and pod.',
    description: `{{ printf "%.0f" $value }} detections ${WHERE} in 15m are from containers whose image, pod and namespace are not known; rules that ask for them did not match.`,
  },
];
