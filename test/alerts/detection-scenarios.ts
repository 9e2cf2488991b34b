import type { Firing, Scenario } from './promtool.ts';

const AGENT = { job: 'shikra', instance: 'node-1:8765' };
const selector = 'job="shikra",instance="node-1:8765"';
const started = `process_start_time_seconds{${selector}}`;
const there = `shikra_build_info{${selector},version="1.0.0"}`;
const matchesOf = (rule: string, priority: string) =>
  `shikra_rule_matches_total{${selector},rule="${rule}",priority="${priority}",source="syscall"}`;

/** An agent that has run for an hour when the test begins. */
const RUNNING = { [started]: '-3600x60', [there]: '1x60' };

function firing(rule: string, priority: string, count = 1, more = ''): Firing {
  return [
    { ...AGENT, rule, priority },
    `Rule "${rule}" (${priority}) matched ${count} time(s) in 5m on node-1:8765${more}.`,
  ];
}

const once = (rule: string, priority: string, fires: readonly Firing[], alert: string): Scenario[] => [
  {
    alert,
    title: `fires at the first match of "${rule}", and resolves when five minutes are over`,
    series: { ...RUNNING, [matchesOf(rule, priority)]: '0x9 1x30' },
    at: { '9m': [], '10m': fires, '13m': fires, '16m': [] },
  },
];

const MEMORY = 'Program run from memory';
const critical = matchesOf(MEMORY, 'Critical');
const found = [firing(MEMORY, 'Critical')];

export const DETECTION_SCENARIOS: readonly Scenario[] = [
  ...once(MEMORY, 'Critical', found, 'ShikraCriticalDetection'),
  ...once('Any', 'Emergency', [firing('Any', 'Emergency')], 'ShikraCriticalDetection'),
  {
    alert: 'ShikraCriticalDetection',
    title: 'fires for a match before the first scrape of a new agent',
    series: { [started]: '_x10 580x30', [there]: '_x10 1x30', [critical]: '_x10 1x30' },
    at: { '10m': found, '14m': found, '16m': [] },
  },
  {
    // The agent restarts at 9m40s, and the rule matches once more before it is scraped: 1 before, 1 after.
    alert: 'ShikraCriticalDetection',
    title: 'fires for a match right after a restart although the counter looks the same',
    series: { [started]: '-3600x9 580x30', [there]: '1x60', [critical]: '1x9 1x30' },
    at: { '9m': [], '10m': found, '16m': [] },
  },
  {
    alert: 'ShikraCriticalDetection',
    title: 'fires for the first match of a rule that a reload brought, whose series begins at 1',
    series: { ...RUNNING, [critical]: '_x10 1x30' },
    at: { '10m': found, '14m': found, '16m': [] },
  },
  {
    alert: 'ShikraCriticalDetection',
    title: 'does not fire for old matches when Prometheus is back after an outage',
    series: { [started]: '-3600x5 _x19 -3600x30', [there]: '1x5 _x19 1x30', [critical]: '7x5 _x19 7x30' },
    at: { '4m': [], '26m': [], '30m': [] },
  },
  {
    alert: 'ShikraCriticalDetection',
    title: 'does not fire for an Error',
    series: { ...RUNNING, [matchesOf('Other', 'Error')]: '0x9 1x30' },
    at: { '10m': [], '12m': [] },
  },
  ...once('Other', 'Error', [firing('Other', 'Error')], 'ShikraErrorDetection'),
  {
    alert: 'ShikraErrorDetection',
    title: 'does not fire for a Warning, nor for what is Critical',
    series: { ...RUNNING, [matchesOf('Other', 'Warning')]: '0x9 1x30', [critical]: '0x9 1x30' },
    at: { '10m': [], '12m': [] },
  },
  ...['Reverse shell', 'Reverse shell in one line', 'Redirect STDOUT/STDIN to Network Connection in Container'].flatMap(
    (rule) => once(rule, 'Notice', [firing(rule, 'Notice', 1, ': somebody may be typing there')], 'ShikraReverseShell'),
  ),
  {
    alert: 'ShikraReverseShell',
    title: 'does not fire for other shells',
    series: { ...RUNNING, [matchesOf('Web server started a shell', 'Critical')]: '0x9 1x30' },
    at: { '10m': [], '12m': [] },
  },
  ...[
    'Crypto miner started by name',
    'Connection to a port of mining pools',
    'Detect crypto miners using the Stratum protocol',
    'Detect outbound connections to common miner pool ports',
  ].flatMap((rule) => once(rule, 'Critical', [firing(rule, 'Critical')], 'ShikraCryptoMining')),
  {
    alert: 'ShikraCryptoMining',
    title: 'does not fire for a word that only contains it',
    series: { ...RUNNING, [matchesOf('Somebody determining examiners', 'Critical')]: '0x9 1x30' },
    at: { '10m': [], '12m': [] },
  },
  {
    alert: 'ShikraHighDetectionRate',
    title: 'fires after five minutes above one a second, and resolves when it is quiet',
    series: { [`shikra_detections_total{${selector},priority="Notice",source="syscall"}`]: '0+120x20 2400x20' },
    at: {
      '5m': [],
      '10m': [
        [
          AGENT,
          '2 detections a second on node-1:8765, for five minutes: an attack that goes on, or a rule that fits ordinary work.',
        ],
      ],
      '26m': [],
    },
  },
  {
    alert: 'ShikraHighDetectionRate',
    title: 'does not fire at half a detection a second',
    series: { [`shikra_detections_total{${selector},priority="Notice",source="syscall"}`]: '0+30x30' },
    at: { '20m': [] },
  },
];
