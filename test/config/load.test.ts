// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references of the configuration, not of JavaScript
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError, kernelReceiver } from '../../collector/config/config.ts';
import { defaultConfig, loadConfig, parseConfig } from '../../collector/config/load.ts';
import { formatProblem } from '../../collector/config/problem.ts';
import { DEFAULT_SOCKETS } from '../../collector/containers/config.ts';
import { ShikraError } from '../../collector/errors.ts';
import { registry } from './registry.ts';

function parse(text: string, environment: Record<string, string> = {}) {
  return parseConfig(text, '/etc/shikra/x.yaml', { registry, environment });
}

/** The problems of a text, one a line, without the file. */
function mistakes(text: string, environment: Record<string, string> = {}): string[] {
  try {
    parse(text, environment);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map((problem) => formatProblem(problem).replace('/etc/shikra/x.yaml:', ''));
  }
}

test('the defaults are kernel -> drop_rate, enrichment, priority -> stdout, and metrics to prometheus', () => {
  const config = defaultConfig({ registry, environment: {} });
  assert.equal(config.file, undefined);
  assert.deepEqual(config.service.pipelines, {
    logs: { receivers: ['kernel'], processors: ['drop_rate', 'enrichment', 'priority'], exporters: ['stdout'] },
    metrics: { exporters: ['prometheus'] },
  });
  assert.deepEqual(kernelReceiver(config), {
    rules_files: ['bundled', '/etc/shikra/rules.d'],
    rules: [],
    rule_matching: 'first',
    ring_preset: 4,
    cpus_per_ring: 1,
    process_table_entries: 65536,
    capture_env: [],
    canary_interval: 5000,
    program_statistics: false,
    containers: { hold: 500, ...DEFAULT_SOCKETS },
  });
  assert.deepEqual(config.service.store, { path: '/var/lib/shikra/shikra.db' });
});

for (const [variable, logs, metrics] of [
  ['OTEL_EXPORTER_OTLP_ENDPOINT', true, true],
  ['OTEL_EXPORTER_OTLP_LOGS_ENDPOINT', true, false],
  ['OTEL_EXPORTER_OTLP_METRICS_ENDPOINT', false, true],
] as const) {
  test(`with ${variable} set the defaults send there`, () => {
    const config = defaultConfig({ registry, environment: { [variable]: 'http://127.0.0.1:4317' } });
    assert.equal(config.service.pipelines.logs.exporters.includes('otlp'), logs);
    assert.equal(config.service.pipelines.metrics.exporters.includes('otlp'), metrics);
  });
}

test('an empty OTLP variable counts as not set', () => {
  const config = defaultConfig({ registry, environment: { OTEL_EXPORTER_OTLP_ENDPOINT: '' } });
  assert.equal('otlp' in config.exporters, false);
});

test('an empty file is the defaults', () => {
  const { config, warnings } = parse('');
  assert.deepEqual({ ...config, file: undefined }, defaultConfig({ registry, environment: {} }));
  assert.deepEqual(warnings, []);
});

test('a section that is left out keeps its default, one that is written replaces it', () => {
  const { config } = parse('receivers:\n  kernel:\n    ring_preset: 6\nexporters:\n  otlp:\n');
  assert.equal(kernelReceiver(config)?.ring_preset, 6);
  assert.deepEqual(Object.keys(config.processors), ['drop_rate', 'enrichment', 'priority']);
  assert.deepEqual(Object.keys(config.exporters), ['otlp']);
});

test('without pipelines every component is in use, in the order of the file', () => {
  const { config } = parse('exporters:\n  prometheus:\n  otlp/eu:\n  stdout:\n');
  assert.deepEqual(config.service.pipelines.logs.exporters, ['otlp/eu', 'stdout']);
  assert.deepEqual(config.service.pipelines.metrics.exporters, ['prometheus', 'otlp/eu']);
});

test('two components of a type have names', () => {
  const { config } = parse('exporters:\n  otlp/eu: {queue_size: 1}\n  otlp/us: {queue_size: 2}\n');
  assert.deepEqual(config.exporters['otlp/us'], {
    id: 'otlp/us',
    type: 'otlp',
    config: { queue_size: 2, timeout: '10s', headers: {}, tls: false },
  });
});

test('a component that no pipeline uses is a warning at its key', () => {
  const { warnings } = parse(
    'exporters:\n  stdout:\n  otlp:\nservice:\n  pipelines:\n    logs: {receivers: [kernel], exporters: [stdout]}\n',
  );
  assert.deepEqual(warnings.map(formatProblem), [
    '/etc/shikra/x.yaml:3:3: exporters.otlp: defined, but no pipeline uses it',
  ]);
});

test('a relative path starts at the folder of the file', () => {
  const { config } = parse(
    'receivers: {kernel: {rules_files: [bundled, mine.yaml, /opt/r]}}\nservice: {store: {path: a.db}}',
  );
  assert.deepEqual(kernelReceiver(config)?.rules_files, ['bundled', '/etc/shikra/mine.yaml', '/opt/r']);
  assert.equal(config.service.store.path, '/etc/shikra/a.db');
});

test('a store in memory has no path', () => {
  assert.equal(parse("service: {store: {path: ':memory:'}}").config.service.store.path, ':memory:');
});

test('every mistake is reported at once, in the order of the file', () => {
  const text = `receivers:
  kernel:
    ring_preset: 11
    rules_file: [a]
    capture_env: HOME
exporters:
  stdot:
  otlp:
    queue_size: lots
    timeout: 5
    headers: {a: 1}
    tls: {ca: x}
  otlp/eu/west:
exporter: {}
service:
  telemetry: {logs: {level: loud}}
`;
  assert.deepEqual(mistakes(text), [
    '3:18: receivers.kernel.ring_preset: expected a whole number from 1 to 10, got 11',
    '4:5: receivers.kernel.rules_file: unknown key; did you mean `rules_files`?',
    '5:18: receivers.kernel.capture_env: expected a list, got "HOME"',
    '7:3: exporters.stdot: unknown type `stdot`; did you mean `stdout`?',
    '9:17: exporters.otlp.queue_size: expected a whole number above 0, got "lots"',
    '10:14: exporters.otlp.timeout: expected a string like /^\\d+s$/, got 5',
    '11:18: exporters.otlp.headers.a: expected a string, got 1',
    '12:10: exporters.otlp.tls.ca_file: expected a string, but it is missing',
    '12:11: exporters.otlp.tls.ca: unknown key; did you mean `ca_file`?',
    '13:3: exporters.otlp/eu/west: expected an id like `type` or `type/name`, in lower case',
    '14:1: exporter: unknown key; did you mean `exporters`?',
    '16:29: service.telemetry.logs.level: expected one of `trace`, `debug`, `info`, `warn`, `error`, `fatal`, `silent`, got "loud"',
  ]);
});

test('the error names every place and the remedy', () => {
  assert.throws(() => parse('exporters: 3\nprocessors: []\n'), {
    code: 'CONFIG_INVALID',
    exitCode: 2,
    message:
      'the configuration has mistakes: ' +
      '\n  /etc/shikra/x.yaml:1:12: exporters: expected a mapping of keys, got 3' +
      '\n  /etc/shikra/x.yaml:2:13: processors: expected a mapping of keys, got a list',
  });
});

test('a check of a component with a message of its own is quoted', () => {
  assert.deepEqual(mistakes('exporters: {otlp: {timeout: 5m}}'), [
    '1:29: exporters.otlp.timeout: expected a duration like `5s`, got "5m"',
  ]);
});

test('pipelines name defined components of the right signal, once', () => {
  const text = `service:
  pipelines:
    logs:
      receivers: [kernel, k8s]
      processors: [priority, prioriti]
      exporters: [stdout, stdout, prometheus]
    metrics:
      exporters: [stdout]
`;
  assert.deepEqual(mistakes(text), [
    '4:27: service.pipelines.logs.receivers[1]: `k8s` is not defined under `receivers`; known: `kernel`',
    '5:30: service.pipelines.logs.processors[1]: `prioriti` is not defined under `processors`; did you mean `priority`?',
    '6:27: service.pipelines.logs.exporters[1]: `stdout` stands in this list twice',
    '6:35: service.pipelines.logs.exporters[2]: `prometheus` does not take logs',
    '8:19: service.pipelines.metrics.exporters[0]: `stdout` does not take metrics',
  ]);
});

test('a component with a mistake is not also called undefined', () => {
  const text =
    'exporters:\n  otlp: {queue_size: 0}\nservice: {pipelines: {logs: {receivers: [kernel], exporters: [otlp]}}}';
  assert.deepEqual(mistakes(text), ['2:22: exporters.otlp.queue_size: expected a whole number above 0, got 0']);
});

test('a pipeline needs a receiver and an exporter', () => {
  assert.deepEqual(mistakes('service: {pipelines: {logs: {receivers: []}}}'), [
    '1:29: service.pipelines.logs.exporters: expected a list of at least 1, but it is missing',
    '1:41: service.pipelines.logs.receivers: expected a list of at least 1, got a list',
  ]);
});

test('a key that stands twice is a mistake at the second', () => {
  assert.deepEqual(mistakes('exporters:\n  stdout: {}\n  stdout: {}\n'), [
    '3:3: this key stands here a second time; keep one of them',
  ]);
});

test('broken YAML is told with its place', () => {
  const [first] = mistakes('exporters:\n  stdout: {format: [\n');
  assert.match(first ?? '', /^2:21: not valid YAML: /);
});

test('a second document is a mistake', () => {
  assert.deepEqual(mistakes('exporters:\n  stdout:\n---\na: 1\n'), [
    '3:1: expected one YAML document, got a second one (`---`)',
  ]);
});

test('a file that is a list is a mistake', () => {
  assert.deepEqual(mistakes('- a\n'), ['1:1: expected a mapping of keys, got a list']);
});

test('keys of the object prototype are unknown like any other', () => {
  assert.deepEqual(
    mistakes(
      'exporters: {constructor: {}}\nservice: {pipelines: {logs: {receivers: [kernel], exporters: [toString]}}}',
    ),
    [
      '1:13: exporters.constructor: unknown type `constructor`; known: `stdout`, `prometheus`, `otlp`',
      '2:63: service.pipelines.logs.exporters[0]: `toString` is not defined under `exporters`; known: `constructor`',
    ],
  );
});

test('an alias is as good as the value, and a mistake in it has a place', () => {
  const { config } = parse('exporters:\n  otlp/a: &a {queue_size: 7}\n  otlp/b: *a\n');
  assert.deepEqual(config.exporters['otlp/b']?.config, config.exporters['otlp/a']?.config);
  assert.deepEqual(mistakes('exporters:\n  otlp/a: &a {queue_size: 0}\n  otlp/b: *a\n'), [
    '2:27: exporters.otlp/a.queue_size: expected a whole number above 0, got 0',
    '2:27: exporters.otlp/b.queue_size: expected a whole number above 0, got 0',
  ]);
});

test('a value out of the environment is checked, and never shown', () => {
  const text = 'exporters:\n  otlp:\n    endpoint: ${env:HOOK}\n    queue_size: ${env:SIZE}\n';
  assert.deepEqual(mistakes(text, { HOOK: 'secret', SIZE: '-3' }), [
    '3:15: exporters.otlp.endpoint: expected a URL, got the value of `${env:HOOK}`',
    '4:17: exporters.otlp.queue_size: expected a whole number above 0, got the value of `${env:SIZE}`',
  ]);
});

test('a variable that is not set is a mistake, together with the others', () => {
  assert.deepEqual(mistakes('exporters:\n  otlp:\n    endpoint: ${env:NOPE}\n    queu: 1\n'), [
    '3:15: the environment variable NOPE is not set; set it, or give a default: `${env:NOPE:-...}`',
    '4:5: exporters.otlp.queu: unknown key; did you mean `queue_size`?',
  ]);
});

test('a file is read from disk, and one that is not there is told', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-config-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'shikra.yaml');
  assert.throws(
    () => loadConfig(file, { registry, environment: {} }),
    (error: unknown) => {
      assert.ok(error instanceof ShikraError);
      assert.equal(error.message, `the configuration file ${file} does not exist`);
      assert.equal(error.exitCode, 2);
      return true;
    },
  );
  writeFileSync(file, 'exporters: {stdout: {format: json}}\n');
  const { config } = loadConfig(file, { registry, environment: {} });
  assert.deepEqual(config.exporters.stdout?.config, { format: 'json' });
});
