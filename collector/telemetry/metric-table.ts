/**
 * Every metric of Shikra's own, in one table: docs/metrics.md is generated from it, `createMetrics` makes them from it.
 * Prometheus' names; over OTLP the same numbers travel under the same names. Label values are bounded: never a pod, a user or a command.
 */
export interface MetricRow {
  readonly name: `shikra_${string}`;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
}

export const METRIC_TABLE = {
  events: {
    name: 'shikra_events_total',
    help: 'Events that reached user space, by event type; `k8s_audit` for those of the Kubernetes audit log.',
    type: 'counter',
    labels: ['type'],
  },
  eventsDropped: {
    name: 'shikra_events_dropped_total',
    help: 'Events (or, for read_failed, parts of one) lost in the kernel, by cause and class of event: ring_full, cgroup_over_share (the ring was nearly full, mostly by the cgroup of the event), scratch_busy, event_too_large, read_failed.',
    type: 'counter',
    labels: ['reason', 'class'],
  },
  canaries: {
    name: 'shikra_canaries_total',
    help: 'Canaries of the agent by outcome: seen, missed, dropped (not seen, while events of its kind were lost). Each is named after the program that must tell of it; `interests`: the programs go by the table that the agent gave them; `collector`: its thread answers (only what goes wrong is counted).',
    type: 'counter',
    labels: ['canary', 'outcome'],
  },
  canaryMissing: {
    name: 'shikra_canary_missing',
    help: 'Whether a canary stays away: 1, or 0. While any does, `/readyz` is 503.',
    type: 'gauge',
    labels: ['canary'],
  },
  probeMissedRuns: {
    name: 'shikra_probe_missed_runs_total',
    help: 'Times that the kernel did not run a program because it ran already on the same processor: an event that is not told.',
    type: 'counter',
    labels: ['program'],
  },
  probeRuns: {
    name: 'shikra_probe_runs_total',
    help: 'Runs of a program, those that it calls in turn included; only with `program_statistics`.',
    type: 'counter',
    labels: ['program'],
  },
  probeRunSeconds: {
    name: 'shikra_probe_run_seconds_total',
    help: 'Time that a program ran; only with `program_statistics`.',
    type: 'counter',
    labels: ['program'],
  },
  auditRejected: {
    name: 'shikra_k8s_audit_rejected_total',
    help: 'Lines and items of the Kubernetes audit log that were left out, by reason: malformed, too_large, too_deep, not_audit, no_time; unreadable (a file), failed (the rules on it).',
    type: 'counter',
    labels: ['reason'],
  },
  receiverRecords: {
    name: 'shikra_receiver_records_total',
    help: 'Alerts and log records that others sent to a receiver (falco_http, otlp), by outcome: accepted (stored); refused with a reason: unauthorized, unsupported (not what this receiver takes), malformed, too_large, invalid, unknown_priority, foreign (a log record that is no detection), unavailable (the store cannot write, or the work failed).',
    type: 'counter',
    labels: ['receiver', 'outcome'],
  },
  ruleMatches: {
    name: 'shikra_rule_matches_total',
    help: 'Matches by rule, before processors drop or change anything.',
    type: 'counter',
    labels: ['rule', 'priority', 'source'],
  },
  ruleEvaluations: {
    name: 'shikra_rule_evaluations_total',
    help: 'Events that a rule was evaluated on; an estimate, from about one event in 1024.',
    type: 'counter',
    labels: ['rule'],
  },
  ruleTime: {
    name: 'shikra_rule_time_seconds_total',
    help: 'Time spent evaluating a rule; an estimate, from about one event in 1024. What several rules share counts for the first of them.',
    type: 'counter',
    labels: ['rule'],
  },
  ruleKeys: {
    name: 'shikra_rule_keys',
    help: 'Keys (such as sessions or containers) that a rule over several events remembers.',
    type: 'gauge',
    labels: ['rule'],
  },
  ruleKeysEvicted: {
    name: 'shikra_rule_keys_evicted_total',
    help: 'Keys that a rule over several events had to forget before their time: it may have missed something.',
    type: 'counter',
    labels: ['rule'],
  },
  detections: {
    name: 'shikra_detections_total',
    help: "Detections that entered the pipeline, the agent's own included.",
    type: 'counter',
    labels: ['priority', 'source'],
  },
  detectionLatency: {
    name: 'shikra_detection_latency_seconds',
    help: "From the kernel's time of an event to its detection leaving the collector thread.",
    type: 'histogram',
    labels: [],
  },
  ringUsed: {
    name: 'shikra_ring_used_bytes',
    help: "The most bytes that waited in a CPU's ring since the last look: in that for system calls (`calls`), or that for what processes are told by (`processes`).",
    type: 'gauge',
    labels: ['cpu', 'ring'],
  },
  ringCapacity: {
    name: 'shikra_ring_capacity_bytes',
    help: "Size of a CPU's ring.",
    type: 'gauge',
    labels: ['cpu', 'ring'],
  },
  processTableEntries: {
    name: 'shikra_process_table_entries',
    help: 'Processes in the table.',
    type: 'gauge',
    labels: [],
  },
  processTableCapacity: {
    name: 'shikra_process_table_capacity',
    help: 'Processes that the table can hold.',
    type: 'gauge',
    labels: [],
  },
  processTableHealed: {
    name: 'shikra_process_table_healed_total',
    help: 'Entries found stale and read again.',
    type: 'counter',
    labels: [],
  },
  processTableEvicted: {
    name: 'shikra_process_table_evicted_total',
    help: 'Entries pushed out because the table was full.',
    type: 'counter',
    labels: [],
  },
  processTableMissed: {
    name: 'shikra_process_table_missed_total',
    help: 'Events whose process was not in the table.',
    type: 'counter',
    labels: [],
  },
  containers: {
    name: 'shikra_containers',
    help: 'Containers that are known of, by whether their metadata is known: known, missing.',
    type: 'gauge',
    labels: ['metadata'],
  },
  containerEngines: {
    name: 'shikra_container_engines',
    help: 'Container engines that answer, by kind.',
    type: 'gauge',
    labels: ['engine'],
  },
  containerLookups: {
    name: 'shikra_container_lookups_total',
    help: 'Questions to container engines about containers in which something happened before the engine told of them, by outcome: found, not_found, failed (no answer).',
    type: 'counter',
    labels: ['engine', 'outcome'],
  },
  containerHeld: {
    name: 'shikra_container_held_events_total',
    help: 'Events that waited for the metadata of their container, by how that ended: known, unknown (no engine has the container), timeout, no_room.',
    type: 'counter',
    labels: ['outcome'],
  },
  containerDetectionsWithout: {
    name: 'shikra_container_detections_without_metadata_total',
    help: 'Detections in containers without their metadata, by why: late, unknown (no engine has the container), unreachable (no engine to ask).',
    type: 'counter',
    labels: ['reason'],
  },
  containerLooksWithout: {
    name: 'shikra_container_checks_without_metadata_total',
    help: 'Times that a condition or an output asked for metadata of a container that was not there: such a check is false.',
    type: 'counter',
    labels: [],
  },
  domainNames: {
    name: 'shikra_domain_names',
    help: 'Domain names that rules name: with an address (resolved), and without (unresolved).',
    type: 'gauge',
    labels: ['state'],
  },
  domainNameLookups: {
    name: 'shikra_domain_name_lookups_total',
    help: 'Lookups of domain names that rules name, by outcome: resolved, failed. One that fails leaves the addresses that were known.',
    type: 'counter',
    labels: ['outcome'],
  },
  processorDropped: {
    name: 'shikra_processor_dropped_total',
    help: 'Detections that a processor did not pass on, by reason.',
    type: 'counter',
    labels: ['processor', 'reason'],
  },
  pipelineErrors: {
    name: 'shikra_pipeline_errors_total',
    help: 'Failures inside the pipeline that cost the detection at hand.',
    type: 'counter',
    labels: [],
  },
  storeRecords: {
    name: 'shikra_store_records_total',
    help: 'Detections by what the store did: written, duplicate (same uid again), lost (disk failing and memory full), expired (removed by age or size).',
    type: 'counter',
    labels: ['outcome'],
  },
  storeErrors: {
    name: 'shikra_store_errors_total',
    help: 'Failed store transactions; the detections stay in memory and are written again.',
    type: 'counter',
    labels: ['operation'],
  },
  storePending: {
    name: 'shikra_store_pending',
    help: 'Detections in memory, not yet on disk.',
    type: 'gauge',
    labels: [],
  },
  storeBytes: { name: 'shikra_store_bytes', help: 'Space that the store uses.', type: 'gauge', labels: [] },
  storeCapacity: {
    name: 'shikra_store_capacity_bytes',
    help: 'Space that the store may use (`max_bytes`); beyond it the oldest detections go.',
    type: 'gauge',
    labels: [],
  },
  storeOrigins: {
    name: 'shikra_store_origins',
    help: 'Resources and scopes that are stored once for all detections that name them; at most 4,096.',
    type: 'gauge',
    labels: [],
  },
  storeUnsharedOrigins: {
    name: 'shikra_store_unshared_origins_total',
    help: 'Detections that were stored with a resource or scope of their own, as it is too long, or there are too many. Nothing is lost; somebody may be making senders up.',
    type: 'counter',
    labels: [],
  },
  storeDetections: { name: 'shikra_store_detections', help: 'Detections in the store.', type: 'gauge', labels: [] },
  exporterRecords: {
    name: 'shikra_exporter_records_total',
    help: 'Detections by exporter and outcome: delivered, rejected (partial success), dead_letter (refused), filtered (not for this exporter), expired (retention took it before delivery), dropped.',
    type: 'counter',
    labels: ['exporter', 'outcome'],
  },
  exporterRetries: {
    name: 'shikra_exporter_retries_total',
    help: 'Deliveries that failed and are tried again.',
    type: 'counter',
    labels: ['exporter'],
  },
  exporterOpenIncidents: {
    name: 'shikra_exporter_open_incidents',
    help: 'Incidents that an exporter has opened at its receiver and is to close after a quiet time.',
    type: 'gauge',
    labels: ['exporter'],
  },
  exporterIncidents: {
    name: 'shikra_exporter_incidents_total',
    help: 'Incidents of a receiver that an exporter was to close, by outcome: closed, refused (by the receiver), forgotten (too many were open).',
    type: 'counter',
    labels: ['exporter', 'outcome'],
  },
  exporterQueueSize: {
    name: 'shikra_exporter_queue_size',
    help: 'Detections stored and not yet delivered.',
    type: 'gauge',
    labels: ['exporter'],
  },
  exporterOldest: {
    name: 'shikra_exporter_oldest_seconds',
    help: 'Age of the oldest detection that an exporter could not deliver, at its last try; 0 while deliveries succeed.',
    type: 'gauge',
    labels: ['exporter'],
  },
  exporterLastSuccess: {
    name: 'shikra_exporter_last_success_timestamp_seconds',
    help: 'When a delivery last succeeded; 0 before the first.',
    type: 'gauge',
    labels: ['exporter'],
  },
  rulesLoaded: { name: 'shikra_rules_loaded', help: 'Rules that are loaded and enabled.', type: 'gauge', labels: [] },
  rulesReload: {
    name: 'shikra_rules_reload_total',
    help: 'Reloads of the rules. After a failure the rules from before are in force.',
    type: 'counter',
    labels: ['outcome'],
  },
  rulesLastReload: {
    name: 'shikra_rules_last_reload_success',
    help: 'Whether the rules in force are those of the files: 1, or 0 after a reload that failed, until one succeeds.',
    type: 'gauge',
    labels: [],
  },
  configReload: {
    name: 'shikra_config_reload_total',
    help: 'Reloads of the configuration. After a failure the one from before is in force; after restart_needed all of the new one but what needs a restart.',
    type: 'counter',
    labels: ['outcome'],
  },
  configLastReload: {
    name: 'shikra_config_last_reload_success',
    help: 'Whether the configuration in force is that of the file: 1, or 0 after a reload that failed or that needs a restart, until one succeeds.',
    type: 'gauge',
    labels: [],
  },
  buildInfo: {
    name: 'shikra_build_info',
    help: 'Always 1; the labels tell what runs.',
    type: 'gauge',
    labels: ['version', 'revision', 'node'],
  },
} as const satisfies Record<string, MetricRow>;

export type MetricKey = keyof typeof METRIC_TABLE;

/** docs/metrics.md, whole. */
export function metricsPage(): string {
  const rows = Object.values<MetricRow>(METRIC_TABLE).map(
    (row) =>
      `| \`${row.name}\` | ${row.type} | ${row.labels.map((label) => `\`${label}\``).join(', ')} | ${row.help} |`,
  );
  return [
    '# Metrics',
    '',
    '<!-- Generated from collector/telemetry/metric-table.ts by `npm run generate`; a test keeps it current. -->',
    '',
    'Served at `http://127.0.0.1:8765/metrics` by the `prometheus` exporter and sent by the `otlp` exporter, out of one registry: the names and',
    'numbers are the same on both ways. Every series that can be known beforehand starts at 0, so that `increase()` sees its first step.',
    '`process_*` and `nodejs_*` are those of prom-client.',
    '',
    '| metric | type | labels | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
