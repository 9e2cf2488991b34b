import { availableParallelism, release } from 'node:os';
import { PRIORITIES, type Priority } from '../../collector/detection/priority.ts';
import { Counter, Gauge, Registry } from '../../collector/telemetry/prom-client.ts';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** What is read of Shikra's own metrics. */
interface Own {
  /** Every sample of a metric, by its name. */
  all(name: string): readonly Sample[];
  /** The sum of those that fit. */
  sum(name: string, fits?: (labels: Labels) => boolean): number;
  readonly hostname: string;
}

interface CompatMetric {
  readonly type: 'counter' | 'gauge';
  readonly labels?: readonly string[];
  read(own: Own): number | readonly Sample[];
}

const NANOS = 1e9;
const DROPPED = 'shikra_events_dropped_total';
/** Falco's categories of a full buffer by our classes of events. */
const BUFFER_DROPS: Labels = { process: 'proc', file: 'open', network: 'connect', other: 'other_interest' };
const isBufferDrop = ({ reason }: Labels) => reason === 'ring_full' || reason === 'cgroup_over_share';

const counter = (read: CompatMetric['read'], ...labels: string[]): CompatMetric => ({ type: 'counter', read, labels });
const gauge = (read: CompatMetric['read'], ...labels: string[]): CompatMetric => ({ type: 'gauge', read, labels });
const info = (read: (own: Own) => Labels, ...labels: string[]) => gauge((own) => [[read(own), 1]], ...labels);

const startSeconds = (own: Own) => own.sum('process_start_time_seconds');
const uptimeSeconds = (own: Own) => Date.now() / 1000 - startSeconds(own);
/** As Falco counts: 0 is Emergency. */
const numberOf = (priority: string | undefined) => PRIORITIES.indexOf(priority as Priority);

function ofRules(own: Own, labelsOf: (labels: Labels) => Labels): readonly Sample[] {
  return own.all('shikra_rule_matches_total').map(([labels, value]) => [labelsOf(labels), value]);
}

/** How exporters fared, in Falcosidekick's two words. */
function ofOutputs(own: Own): readonly Sample[] {
  return own.all('shikra_exporter_retries_total').flatMap(([{ exporter }, retries]): Sample[] => {
    const count = (outcome: string) =>
      own.sum('shikra_exporter_records_total', (labels) => labels.exporter === exporter && labels.outcome === outcome);
    const labels = { destination: exporter! };
    return [
      [{ ...labels, status: 'ok' }, count('delivered')],
      [{ ...labels, status: 'error' }, retries + count('dead_letter') + count('rejected')],
    ];
  });
}

/** Falco's own first, then what falco-exporter and Falcosidekick made of its alerts. */
const METRICS: Readonly<Record<string, CompatMetric>> = {
  falcosecurity_falco_version_info: info(
    (own) => ({ version: own.all('shikra_build_info')[0]?.[0].version ?? 'unknown' }),
    'version',
  ),
  falcosecurity_falco_kernel_release_info: info(() => ({ kernel_release: release() }), 'kernel_release'),
  falcosecurity_evt_hostname_info: info((own) => ({ hostname: own.hostname }), 'hostname'),
  falcosecurity_scap_engine_name_info: info(
    () => ({ engine_name: 'modern_bpf', evt_source: 'syscall' }),
    'engine_name',
    'evt_source',
  ),
  falcosecurity_falco_host_num_cpus_total: gauge(() => availableParallelism()),
  falcosecurity_falco_start_timestamp_nanoseconds: gauge((own) => startSeconds(own) * NANOS),
  falcosecurity_falco_duration_seconds_total: counter((own) => Math.max(0, Math.floor(uptimeSeconds(own)))),
  // As `ps` has it: since the start.
  falcosecurity_falco_cpu_usage_ratio: gauge(
    (own) => own.sum('process_cpu_seconds_total') / Math.max(1, uptimeSeconds(own)),
  ),
  falcosecurity_falco_memory_rss_bytes: gauge((own) => own.sum('process_resident_memory_bytes')),
  falcosecurity_falco_memory_vsz_bytes: gauge((own) => own.sum('process_virtual_memory_bytes')),
  falcosecurity_falco_outputs_queue_num_drops_total: counter((own) =>
    own.sum('shikra_store_records_total', ({ outcome }) => outcome === 'lost'),
  ),
  falcosecurity_falco_rules_matches_total: counter(
    (own) =>
      ofRules(own, ({ rule = '', priority, source = '' }) => ({
        rule_name: rule,
        priority: `${numberOf(priority)}`,
        source,
      })),
    'rule_name',
    'priority',
    'source',
  ),
  falcosecurity_scap_n_evts_total: counter((own) => own.sum('shikra_events_total', ({ type }) => type !== 'k8s_audit')),
  falcosecurity_scap_n_drops_total: counter((own) => own.sum(DROPPED, ({ reason }) => reason !== 'read_failed')),
  falcosecurity_scap_n_drops_buffer_total: counter(
    (own) =>
      Object.entries(BUFFER_DROPS).map(([ours, drop]) => [
        { drop, dir: 'exit' },
        own.sum(DROPPED, (labels) => labels.class === ours && isBufferDrop(labels)),
      ]),
    'drop',
    'dir',
  ),
  falcosecurity_scap_n_drops_scratch_map_total: counter((own) =>
    own.sum(DROPPED, ({ reason }) => reason === 'scratch_busy'),
  ),
  falcosecurity_scap_n_drops_full_threadtable_total: counter((own) => own.sum('shikra_process_table_evicted_total')),
  falcosecurity_scap_n_threads_total: gauge((own) => own.sum('shikra_process_table_entries')),
  falcosecurity_plugins_container_n_containers_total: gauge((own) => own.sum('shikra_containers')),
  falcosecurity_plugins_container_n_missing_container_images_total: gauge((own) =>
    own.sum('shikra_containers', ({ metadata }) => metadata === 'missing'),
  ),
  falco_events: counter(
    (own) =>
      ofRules(own, ({ rule = '', priority, source = '' }) => ({
        rule,
        priority: `${numberOf(priority)}`,
        source,
        hostname: own.hostname,
      })),
    'rule',
    'priority',
    'source',
    'hostname',
  ),
  falcosecurity_falcosidekick_falco_events_total: counter(
    (own) =>
      ofRules(own, ({ rule = '', priority, source = '' }) => ({
        rule,
        // Falcosidekick counts the other way: 1 is Debug.
        priority: `${PRIORITIES.length - numberOf(priority)}`,
        priority_raw: `${priority}`.toLowerCase(),
        source,
        hostname: own.hostname,
      })),
    'rule',
    'priority',
    'priority_raw',
    'source',
    'hostname',
  ),
  falcosecurity_falcosidekick_outputs_total: counter(ofOutputs, 'destination', 'status'),
};

/** What dashboards that were made for Falco ask for, in Prometheus' text format: Shikra's numbers under Falco's names, as of now. */
export class FalcoCompat {
  readonly #from: Registry;
  readonly #hostname: string;
  readonly #to = new Registry();
  readonly #made: readonly (readonly [CompatMetric, Counter | Gauge])[];

  constructor(from: Registry, hostname: string) {
    this.#from = from;
    this.#hostname = hostname;
    this.#made = Object.entries(METRICS).map(([name, metric]) => {
      const settings = { name, help: 'See docs/prometheus-and-loki.md', registers: [this.#to] };
      const labelNames = [...(metric.labels ?? [])];
      return [metric, new (metric.type === 'counter' ? Counter : Gauge)({ ...settings, labelNames })] as const;
    });
  }

  async text(): Promise<string> {
    const own = await this.#read();
    for (const [metric, made] of this.#made) {
      made.reset();
      const read = metric.read(own);
      for (const [labels, value] of typeof read === 'number' ? [[{}, read] as Sample] : read) made.inc(labels, value);
    }
    return this.#to.metrics();
  }

  async #read(): Promise<Own> {
    const samples = new Map<string, readonly Sample[]>();
    for (const { name, values } of await this.#from.getMetricsAsJSON())
      samples.set(
        name,
        (values as { labels: Labels; value: number }[]).map(({ labels, value }) => [labels, value]),
      );
    const all = (name: string) => samples.get(name) ?? [];
    return {
      all,
      sum: (name, fits = () => true) => {
        let sum = 0;
        for (const [labels, value] of all(name)) if (fits(labels)) sum += value;
        return sum;
      },
      hostname: this.#hostname,
    };
  }
}
