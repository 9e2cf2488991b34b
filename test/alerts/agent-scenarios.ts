import type { Firing, Scenario } from './promtool.ts';

const AGENT = { job: 'shikra', instance: 'node-1:8765' };
const selector = 'job="shikra",instance="node-1:8765"';
const there = `shikra_build_info{${selector},version="1.0.0"}`;
/** An agent that has run for an hour when the test begins. */
const RUNNING = { [`process_start_time_seconds{${selector}}`]: '-3600x60', [there]: '1x60' };
const other = 'job="shikra",instance="node-2:8765"';

const metric = (name: string, labels = '') => `${name}{${selector}${labels}}`;
const dropped = (reason: string) => metric('shikra_events_dropped_total', `,reason="${reason}",class="file"`);
const events = metric('shikra_events_total', ',type="openat"');
const records = (outcome: string) => metric('shikra_exporter_records_total', `,exporter="otlp",outcome="${outcome}"`);
const oldest = metric('shikra_exporter_oldest_seconds', ',exporter="otlp"');
const canary = (name: string) => metric('shikra_canary_missing', `,canary="${name}"`);
const bytes = metric('shikra_store_bytes');
const capacity = metric('shikra_store_capacity_bytes');

const down: Firing = [
  AGENT,
  'The agent at node-1:8765 has not answered for five minutes. What happens there is not seen.',
];
const noEvents: Firing = [AGENT, 'The agent on node-1:8765 runs, but no event has reached it for 15 minutes.'];
const otherConfig: Firing = [
  AGENT,
  'The configuration of the agent on node-1:8765 is not that of its file: it has a mistake, a part of it could not start, or it needs a restart.',
];
const lost = (labels: Record<string, string>, what: string): Firing => [
  { ...AGENT, ...labels },
  `2 detection(s) on node-1:8765 were lost in 15m${what}.`,
];

export const AGENT_SCENARIOS: readonly Scenario[] = [
  {
    alert: 'ShikraDown',
    title: 'fires for the one of two agents that does not answer, and resolves when it does',
    series: {
      [`up{${selector}}`]: '1x4 0x15 1x10',
      [`up{${other}}`]: '1x40',
      [there]: '1x4 stale _x14 1x10',
      [`shikra_build_info{${other},version="1.0.0"}`]: '1x40',
    },
    at: { '9m': [], '10m': [down], '20m': [down], '22m': [] },
  },
  {
    alert: 'ShikraDown',
    title: 'fires when none of the agents that send over OTLP is heard of',
    series: { [there]: '1x4 stale', 'up{job="other"}': '1x40' },
    at: {
      '9m': [],
      '15m': [[{}, 'No agent has been heard of for five minutes. What happens there is not seen.']],
    },
  },
  {
    alert: 'ShikraDown',
    title: 'does not fire for agents that send over OTLP and have no `up`',
    series: { [there]: '1x40' },
    at: { '30m': [] },
  },
  {
    alert: 'ShikraHighDropRate',
    title: 'fires above 1 %, and resolves below',
    series: { [events]: '0+980x60', [dropped('ring_full')]: '0+20x20 400x40' },
    at: {
      '1m': [],
      '10m': [[AGENT, '2% of the events on node-1:8765 were lost before any rule saw them.']],
      '30m': [],
    },
  },
  {
    alert: 'ShikraHighDropRate',
    title: 'does not fire at half a percent, nor for events that are there but could not be read whole',
    series: { [events]: '0+995x60', [dropped('ring_full')]: '0+5x60', [dropped('read_failed')]: '0+500x60' },
    at: { '30m': [] },
  },
  {
    alert: 'ShikraNoEvents',
    title: 'fires 15 minutes after the last event, and resolves at the next',
    series: { [events]: '0+10x10 100x29 110+10x10' },
    at: { '20m': [], '25m': [noEvents], '35m': [noEvents], '42m': [] },
  },
  {
    alert: 'ShikraNoEvents',
    title: 'does not fire where one kind of event is missing',
    series: { [events]: '5x60', [metric('shikra_events_total', ',type="execve"')]: '0+1x60' },
    at: { '40m': [] },
  },
  {
    alert: 'ShikraCanaryMissing',
    title: 'fires for each that stays away for a minute, and resolves when it is back',
    series: { [canary('collect_exec')]: '0x4 1x10 0x20', [canary('interests')]: '0x40' },
    at: {
      '4m': [],
      '5m': [],
      '7m': [
        [
          { ...AGENT, canary: 'collect_exec' },
          'Canary collect_exec on node-1:8765 stays away: part of what happens there may not be seen.',
        ],
      ],
      '17m': [],
    },
  },
  {
    alert: 'ShikraCanaryMissing',
    title: 'does not fire for one that was mended at once',
    series: { [canary('interests')]: '0x4 1 0x30' },
    at: { '5m': [], '6m': [], '8m': [] },
  },
  {
    alert: 'ShikraExporterFailing',
    title: 'fires when a detection waits for more than five minutes, and resolves when it is delivered',
    series: { [oldest]: '0x4 60+60x10 0x20' },
    at: {
      '9m': [],
      '12m': [
        [
          { ...AGENT, exporter: 'otlp' },
          'Exporter otlp on node-1:8765 has a detection that waits for 8m 0s. Nothing is lost while the store has room.',
        ],
      ],
      '18m': [],
    },
  },
  {
    alert: 'ShikraExporterFailing',
    title: 'does not fire for an outage of four minutes',
    series: { [oldest]: '0x4 60+60x3 0x20' },
    at: { '8m': [], '10m': [] },
  },
  {
    alert: 'ShikraDeadLetters',
    title: 'fires at the first, and resolves after 15 minutes',
    series: { ...RUNNING, [records('dead_letter')]: '0x19 1x40' },
    at: {
      '19m': [],
      '20m': [
        [
          { ...AGENT, exporter: 'otlp' },
          'Exporter otlp on node-1:8765 put aside 1 detection(s) in 15m: the receiver will not take them as they are.',
        ],
      ],
      '36m': [],
    },
  },
  {
    alert: 'ShikraDeadLetters',
    title: 'does not fire for what is delivered or not meant for the exporter',
    series: { ...RUNNING, [records('delivered')]: '0+1x60', [records('filtered')]: '0+1x60' },
    at: { '30m': [] },
  },
  {
    alert: 'ShikraDetectionsLost',
    title: 'fires for what retention took before delivery, and resolves after 15 minutes',
    series: { ...RUNNING, [records('expired')]: '0x19 2x40' },
    at: { '20m': [lost({ exporter: 'otlp', outcome: 'expired' }, ' for exporter otlp: expired')], '36m': [] },
  },
  {
    alert: 'ShikraDetectionsLost',
    title: 'fires for what the store and the pipeline lost',
    series: {
      ...RUNNING,
      [metric('shikra_store_records_total', ',outcome="lost"')]: '0x19 2x40',
      [metric('shikra_pipeline_errors_total')]: '0x19 2x40',
    },
    at: { '20m': [lost({ outcome: 'lost' }, ': lost'), lost({}, '')] },
  },
  {
    alert: 'ShikraDetectionsLost',
    title: 'does not fire for a dead letter, which is kept, nor for what the store removes in time',
    series: {
      ...RUNNING,
      [records('dead_letter')]: '0x19 2x40',
      [metric('shikra_store_records_total', ',outcome="expired"')]: '0+100x60',
    },
    at: { '20m': [], '30m': [] },
  },
  {
    alert: 'ShikraStoreNearlyFull',
    title: 'fires when it fills while an exporter is behind, and resolves when that has caught up',
    series: { [capacity]: '1000x60', [bytes]: '900x60', [oldest]: '0x9 60+60x10 0x30' },
    at: {
      '9m': [],
      '16m': [[AGENT, 'The store on node-1:8765 is 90% full, and an exporter cannot deliver.']],
      '22m': [],
    },
  },
  {
    alert: 'ShikraStoreNearlyFull',
    title: 'does not fire when it is full of what every exporter has, nor while it has room',
    series: {
      [capacity]: '1000x60',
      [bytes]: '990x60',
      [oldest]: '0x60',
      [`shikra_store_capacity_bytes{${other}}`]: '1000x60',
      [`shikra_store_bytes{${other}}`]: '500x60',
      [`shikra_exporter_oldest_seconds{${other},exporter="otlp"}`]: '600x60',
    },
    at: { '30m': [] },
  },
  {
    alert: 'ShikraStoreFailing',
    title: 'fires when writing fails again and again, and resolves when it works',
    series: { [metric('shikra_store_errors_total', ',operation="write"')]: '0x9 1+1x10 11x30' },
    at: {
      '11m': [],
      '13m': [
        [
          { ...AGENT, operation: 'write' },
          'The store on node-1:8765 fails at write; new detections wait in memory, which holds 10,000.',
        ],
      ],
      '30m': [],
    },
  },
  {
    alert: 'ShikraStoreFailing',
    title: 'does not fire without errors',
    series: { [metric('shikra_store_errors_total', ',operation="write"')]: '0x60' },
    at: { '30m': [] },
  },
  {
    alert: 'ShikraRulesReloadFailed',
    title: 'fires at once, stays until the rules are right, and resolves then',
    series: { [metric('shikra_rules_last_reload_success')]: '1x4 0x40 1x10' },
    at: {
      '4m': [],
      '5m': [[AGENT, 'The rules on node-1:8765 could not be loaded again; those from before are in force.']],
      '45m': [[AGENT, 'The rules on node-1:8765 could not be loaded again; those from before are in force.']],
      '46m': [],
    },
  },
  {
    alert: 'ShikraRulesReloadFailed',
    title: 'does not fire for reloads that succeed',
    series: {
      [metric('shikra_rules_last_reload_success')]: '1x60',
      [metric('shikra_rules_reload_total', ',outcome="success"')]: '0+1x60',
    },
    at: { '30m': [] },
  },
  {
    alert: 'ShikraConfigReloadFailed',
    title: 'fires at once, stays until file and agent agree, and resolves then',
    series: { [metric('shikra_config_last_reload_success')]: '1x4 0x40 1x10' },
    at: { '4m': [], '5m': [otherConfig], '45m': [otherConfig], '46m': [] },
  },
  {
    alert: 'ShikraConfigReloadFailed',
    title: 'does not fire for reloads that succeed, nor where only the rules have a mistake',
    series: {
      [metric('shikra_config_last_reload_success')]: '1x60',
      [metric('shikra_config_reload_total', ',outcome="success"')]: '0+1x60',
      [metric('shikra_rules_last_reload_success')]: '0x60',
    },
    at: { '30m': [] },
  },
  {
    alert: 'ShikraContainerMetadataMissing',
    title: 'fires at more than ten detections in a quarter of an hour, and resolves when the names are there',
    series: {
      [metric('shikra_container_detections_without_metadata_total', ',reason="late"')]: '0+1x30 30x40',
      [metric('shikra_container_detections_without_metadata_total', ',reason="unknown"')]: '0+1x30 30x40',
    },
    at: {
      '2m': [],
      '20m': [
        [
          AGENT,
          '30 detections on node-1:8765 in 15m are from containers whose image, pod and namespace are not known; rules that ask for them did not match.',
        ],
      ],
      '50m': [],
    },
  },
  {
    alert: 'ShikraContainerMetadataMissing',
    title: 'does not fire for a few',
    series: { [metric('shikra_container_detections_without_metadata_total', ',reason="late"')]: '0x9 3x9 6x40' },
    at: { '12m': [], '25m': [] },
  },
];
