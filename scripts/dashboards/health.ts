import { AGENT, AGENTS, DATA_SOURCES, type Dashboard } from './dashboard.ts';
import { prometheus, row, stat, timeseries } from './panels.ts';

const of = (metric: string, more = '') => `${metric}{${AGENT}${more}}`;
const perSecond = (metric: string, by: string, more = '') =>
  `sum by (${by}) (rate(${of(metric, more)}[$__rate_interval]))`;
const LOST = ', reason!="read_failed"';
const dropRate = (window: string) =>
  `sum by (instance) (rate(${of('shikra_events_dropped_total', LOST)}[${window}])) / (sum by (instance) (rate(${of('shikra_events_total')}[${window}])) + sum by (instance) (rate(${of('shikra_events_dropped_total', LOST)}[${window}])))`;
const latency = (quantile: number) =>
  prometheus(
    `histogram_quantile(${quantile}, sum by (le) (rate(${of('shikra_detection_latency_seconds_bucket')}[$__rate_interval])))`,
    `p${quantile * 100}`,
  );

export const HEALTH: Dashboard = {
  uid: 'shikra-health',
  title: 'Shikra: agent health',
  description: 'Whether the agents see everything, and whether what they find arrives.',
  from: 'now-6h',
  // Loki's is not asked here, but a dashboard that links to the others hands it on.
  variables: [...DATA_SOURCES, ...AGENTS],
  panels: [
    row('Now'),
    stat('Agents', 'Agents that are heard of.', 'none', prometheus(`count(${of('shikra_build_info')})`), {
      decimals: 0,
    }),
    stat(
      'Versions',
      'Different versions in use.',
      'none',
      prometheus(`count(count by (version, revision) (${of('shikra_build_info')}))`),
      { thresholds: [2, 3], decimals: 0 },
    ),
    stat(
      'Events',
      'Events a second, all agents together.',
      'short',
      prometheus(`sum(rate(${of('shikra_events_total')}[$__rate_interval]))`),
    ),
    stat(
      'Worst drop rate',
      'Share of the events that are lost before any rule sees them, on the agent that loses most.',
      'percentunit',
      prometheus(`max(${dropRate('$__rate_interval')})`),
      { thresholds: [0.0001, 0.01] },
    ),
    stat(
      'Oldest undelivered',
      'Age of the oldest detection that an exporter could not deliver.',
      's',
      prometheus(`max(${of('shikra_exporter_oldest_seconds')})`),
      { thresholds: [60, 300] },
    ),
    stat(
      'Dead letters',
      'Detections that a receiver refused for good, in the time shown.',
      'none',
      prometheus(`sum(increase(${of('shikra_exporter_records_total', ', outcome="dead_letter"')}[$__range]))`),
      { thresholds: [1, 100], decimals: 0 },
    ),
    row('Events'),
    timeseries(
      'Events',
      'Events that reached user space, by type: the ten that come most.',
      'short',
      [prometheus(`topk(10, ${perSecond('shikra_events_total', 'type')})`, '{{type}}')],
      { stacked: true },
    ),
    timeseries('Drops', 'Events lost in the kernel, or not read whole (read_failed), by reason and class.', 'short', [
      prometheus(perSecond('shikra_events_dropped_total', 'reason, class'), '{{reason}} {{class}}'),
    ]),
    timeseries('Drop rate', 'Share of the events that are lost, by agent. The alert is at 1 %.', 'percentunit', [
      prometheus(dropRate('$__rate_interval'), '{{instance}}'),
    ]),
    timeseries('Ring occupancy', 'How full the fullest ring of each agent is.', 'percentunit', [
      prometheus(
        `max by (instance) (${of('shikra_ring_used_bytes')} / ${of('shikra_ring_capacity_bytes')})`,
        '{{instance}}',
      ),
    ]),
    timeseries('Latency', "From the kernel's time of an event to its detection leaving the collector thread.", 's', [
      latency(0.5),
      latency(0.9),
      latency(0.99),
    ]),
    timeseries('Canaries', 'What each agent does itself and is not told of any more: it may be blind.', 'none', [
      prometheus(`max by (instance, canary) (${of('shikra_canary_missing')}) > 0`, '{{instance}} {{canary}}'),
    ]),
    timeseries('Audit log', 'Lines and items of the Kubernetes audit log that were left out, by reason.', 'short', [
      prometheus(perSecond('shikra_k8s_audit_rejected_total', 'reason'), '{{reason}}'),
    ]),
    row('Delivery'),
    timeseries('Queue', 'Detections on disk that an exporter has not delivered yet.', 'short', [
      prometheus(`sum by (exporter) (${of('shikra_exporter_queue_size')})`, '{{exporter}}'),
    ]),
    timeseries(
      'Oldest undelivered',
      'Age of the oldest detection that an exporter could not deliver, by exporter: the worst agent.',
      's',
      [prometheus(`max by (exporter) (${of('shikra_exporter_oldest_seconds')})`, '{{exporter}}')],
    ),
    timeseries('Delivered', 'Detections by exporter and outcome.', 'short', [
      prometheus(perSecond('shikra_exporter_records_total', 'exporter, outcome'), '{{exporter}} {{outcome}}'),
    ]),
    timeseries('Failures', 'Deliveries that failed and are tried again.', 'short', [
      prometheus(perSecond('shikra_exporter_retries_total', 'exporter'), '{{exporter}}'),
    ]),
    timeseries(
      'Lost or set aside',
      'Detections that did not arrive: dead letters, rejected, expired, dropped.',
      'short',
      [
        prometheus(
          `sum by (exporter, outcome) (increase(${of('shikra_exporter_records_total', ', outcome=~"dead_letter|rejected|expired|dropped"')}[$__rate_interval]))`,
          '{{exporter}} {{outcome}}',
        ),
      ],
    ),
    timeseries(
      'Since the last delivery',
      'Time since an exporter delivered something; it grows also where there is nothing to deliver.',
      's',
      [
        prometheus(
          `min by (exporter) (time() - (${of('shikra_exporter_last_success_timestamp_seconds')} > 0))`,
          '{{exporter}}',
        ),
      ],
    ),
    row('Store and pipeline'),
    timeseries(
      'Store',
      'How full the store is. A full one is in order while every exporter has everything.',
      'percentunit',
      [
        prometheus(
          `max by (instance) (${of('shikra_store_bytes')} / ${of('shikra_store_capacity_bytes')})`,
          '{{instance}}',
        ),
      ],
    ),
    timeseries('Detections in the store', 'On disk, and in memory because the disk does not take them.', 'short', [
      prometheus(`sum(${of('shikra_store_detections')})`, 'on disk'),
      prometheus(`sum(${of('shikra_store_pending')})`, 'in memory'),
    ]),
    timeseries('Written', 'Detections by what the store did.', 'short', [
      prometheus(perSecond('shikra_store_records_total', 'outcome'), '{{outcome}}'),
    ]),
    timeseries('Errors', 'Failed transactions of the store by operation, and failures inside the pipeline.', 'short', [
      prometheus(perSecond('shikra_store_errors_total', 'operation'), 'store: {{operation}}'),
      prometheus(`sum(rate(${of('shikra_pipeline_errors_total')}[$__rate_interval]))`, 'pipeline'),
    ]),
    timeseries('Dropped by processors', 'Detections that a processor did not pass on, by reason.', 'short', [
      prometheus(perSecond('shikra_processor_dropped_total', 'processor, reason'), '{{processor}} {{reason}}'),
    ]),
    timeseries('Detections', 'Detections that entered the pipeline, by source.', 'short', [
      prometheus(perSecond('shikra_detections_total', 'source'), '{{source}}'),
    ]),
    row('Containers and processes'),
    timeseries('Containers', 'Containers that are known of, by whether their metadata is known.', 'short', [
      prometheus(`sum by (metadata) (${of('shikra_containers')})`, '{{metadata}}'),
    ]),
    timeseries('Engines', 'Container engines that answer.', 'short', [
      prometheus(`sum by (engine) (${of('shikra_container_engines')})`, '{{engine}}'),
    ]),
    timeseries(
      'Questions to engines',
      'About containers in which something happened before the engine told of them, by outcome.',
      'short',
      [prometheus(perSecond('shikra_container_lookups_total', 'engine, outcome'), '{{engine}} {{outcome}}')],
    ),
    timeseries(
      'Without metadata',
      'Detections in containers without image and pod, by reason; and events that waited for them, by how that ended.',
      'short',
      [
        prometheus(perSecond('shikra_container_detections_without_metadata_total', 'reason'), 'detections: {{reason}}'),
        prometheus(perSecond('shikra_container_held_events_total', 'outcome'), 'events held: {{outcome}}'),
      ],
    ),
    timeseries('Process table', 'How full the table of processes is.', 'percentunit', [
      prometheus(
        `max by (instance) (${of('shikra_process_table_entries')} / ${of('shikra_process_table_capacity')})`,
        '{{instance}}',
      ),
    ]),
    timeseries(
      'Process table, changes',
      'Entries read again because they were stale, pushed out because it was full, and events whose process was not there.',
      'short',
      ['healed', 'evicted', 'missed'].map((what) =>
        prometheus(`sum(rate(${of(`shikra_process_table_${what}_total`)}[$__rate_interval]))`, what),
      ),
    ),
    row('What it costs'),
    timeseries('CPU', 'Share of a CPU.', 'percentunit', [
      prometheus(`rate(${of('process_cpu_seconds_total')}[$__rate_interval])`, '{{instance}}'),
    ]),
    timeseries('Memory', 'Resident memory.', 'bytes', [
      prometheus(of('process_resident_memory_bytes'), '{{instance}}'),
    ]),
    timeseries('Event loop', 'Delay of the main thread, mean and p99 of the worst agent.', 's', [
      prometheus(`max(${of('nodejs_eventloop_lag_mean_seconds')})`, 'mean'),
      prometheus(`max(${of('nodejs_eventloop_lag_p99_seconds')})`, 'p99'),
    ]),
    timeseries('Age', 'Time since the agent started.', 's', [
      prometheus(`time() - ${of('process_start_time_seconds')}`, '{{instance}}'),
    ]),
  ],
};
