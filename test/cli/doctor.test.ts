import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkAuditLogs } from '../../cli/doctor/audit-logs.ts';
import { absent, exitCodeOf, formatChecks, notOk, ok } from '../../cli/doctor/check.ts';
import { checkBtf, checkCapabilities, checkCgroup, checkKernel, checkLockdown } from '../../cli/doctor/host.ts';
import { checkMissedRuns, checkProgram } from '../../cli/doctor/probe.ts';
import { checkRings } from '../../cli/doctor/rings.ts';
import { addressesOf, checkSinks } from '../../cli/doctor/sinks.ts';
import { checkStore } from '../../cli/doctor/store.ts';
import { components as registry } from '../../collector/components.ts';
import { parseConfig } from '../../collector/config/load.ts';
import { otlpConfigSchema } from '../../exporters/otlp/config.ts';
import { shikra } from './run-shikra.ts';

function configOf(text: string) {
  return parseConfig(text, '/etc/shikra/x.yaml', { registry, environment: {} }).config;
}

for (const [kernel, isOk] of [
  ['6.18.44-fc-v445', true],
  ['5.18.0', true],
  ['5.17.9', false],
  ['4.18.0-553.el8', false],
] as const) {
  test(`kernel ${kernel} is ${isOk ? 'ok' : 'not ok'}`, () => assert.equal(checkKernel(kernel).ok, isOk));
}

for (const [text, isOk] of [
  [undefined, true],
  ['[none] integrity confidentiality\n', true],
  ['none [integrity] confidentiality\n', true],
  ['none integrity [confidentiality]\n', false],
] as const) {
  test(`lockdown ${text?.trim()} is ${isOk ? 'ok' : 'not ok'}`, () => assert.equal(checkLockdown(text).ok, isOk));
}

test('a kernel without type information is told what to do', () => {
  assert.deepEqual(checkBtf(false), {
    name: 'type information',
    ok: false,
    needed: true,
    detail: '/sys/kernel/btf/vmlinux is missing',
    remedy: 'use a kernel built with CONFIG_DEBUG_INFO_BTF=y',
  });
});

for (const [title, effective, missing] of [
  ['all', '000001ffffffffff', []],
  ['the four', '000000c000080004', []],
  ['none', '0000000000000000', ['CAP_DAC_READ_SEARCH', 'CAP_SYS_PTRACE', 'CAP_PERFMON', 'CAP_BPF']],
  ['CAP_SYS_ADMIN alone', '0000000000200000', ['CAP_DAC_READ_SEARCH', 'CAP_SYS_PTRACE']],
] as const) {
  test(`with ${title} of the capabilities held, ${missing.length} are missing`, () => {
    const checks = checkCapabilities(`Name:\tnode\nCapEff:\t${effective}\nCapBnd:\t0\n`);
    assert.deepEqual(
      checks.filter((check) => !check.ok).map(({ name }) => name),
      missing,
    );
  });
}

test('an old cgroup version is no reason to fail', () => {
  assert.equal(checkCgroup(true, false).ok, true);
  assert.equal(exitCodeOf([checkCgroup(false, true), checkCgroup(false, false)]), 0);
});

const LOADED = { program: 'collect_exec', ok: true, detail: '', verifiedInstructions: 13_488 };

test('a program tells what the verifier made of it', () => {
  assert.deepEqual(
    checkProgram(LOADED),
    ok('program collect_exec', 'loads; the verifier looked at 13,488 instructions'),
  );
  assert.equal(checkProgram({ ...LOADED, ok: false, detail: 'EINVAL' }).ok, false);
  const withoutPlace = checkProgram({ ...LOADED, detail: 'this kernel has no io_uring' });
  assert.deepEqual([withoutPlace.ok, withoutPlace.needed], [false, false]);
});

test('missed runs are told of agents that run, under the names that the kernel cuts', () => {
  const running = (name: string, missedRuns: number) => ({ name, missedRuns, runs: 0, runNanos: 0 });
  assert.deepEqual(checkMissedRuns([running('somebody_else', 7)]), []);
  assert.deepEqual(checkMissedRuns([running('dispatch_sys_ex', 0), running('collect_exec', 0)]), [
    ok('missed runs', 'none, of 2 programs of the agent that runs'),
  ]);
  const programs = [running('dispatch_sys_ex', 1200), running('dispatch_sys_ex', 34), running('collect_exec', 0)];
  const [check] = checkMissedRuns(programs);
  assert.equal(check?.detail, 'dispatch_sys_exit 1,234, of the 2 agents that run');
  assert.equal(check?.needed, false);
});

test('rings that would take a quarter of the free memory are not ok', () => {
  const config = configOf('receivers: {kernel: {ring_preset: 8}}');
  assert.equal(checkRings(config, 2, 2048)[0]?.ok, true);
  const [check] = checkRings(config, 4, 1024);
  assert.equal(check?.ok, false);
  assert.equal(check?.detail, '4 of 128 MiB and 16 MiB (preset 8) for 4 CPUs, 1024 MiB of memory free');
});

test('CPUs may share a ring', () => {
  const config = configOf('receivers: {kernel: {cpus_per_ring: 0}}');
  assert.match(checkRings(config, 64, 1024)[0]?.detail ?? '', /^1 of 8 MiB and 1 MiB/);
});

test('an audit log is ok if it can be read, and may be missing yet', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-doctor-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'audit.log'), '');
  const files = ['audit.log', 'later.log', '.'].map((name) => join(folder, name));
  const checks = checkAuditLogs(configOf(`receivers: {k8s_audit: {files: ${JSON.stringify(files)}}}`));
  assert.deepEqual(
    checks.map(({ ok, needed }) => [ok, needed]),
    [
      [true, true],
      [false, false],
      [false, true],
    ],
  );
  assert.match(checks[1]!.detail, /later\.log is not there yet$/);
  assert.deepEqual(checkAuditLogs(configOf('receivers: {kernel: }')), []);
});

test('a configuration without the kernel needs nothing of it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-doctor-'));
  const file = join(folder, 'config.yaml');
  writeFileSync(file, 'receivers: {k8s_audit: {webhook: {}}}\nservice: {store: {path: store.db}}\n');
  const { stdout, code } = shikra(['doctor', '-c', file]);
  rmSync(folder, { recursive: true });
  assert.doesNotMatch(stdout, /CAP_BPF|probe|rings/);
  assert.equal(code, 0, stdout);
});

test('a store in a folder that can be made is ok, one below a file is not', () => {
  assert.equal(checkStore(configOf('service: {store: {path: /tmp/shikra-no/such/a.db}}'))[0]?.ok, true);
  assert.equal(checkStore(configOf('service: {store: {path: /proc/version/a.db}}'))[0]?.ok, false);
});

test('a sink is ok while something listens there', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const config = configOf(`exporters: {otlp: {endpoint: 'http://127.0.0.1:${port}'}, prometheus: }`);
  assert.deepEqual(await checkSinks(config, {}), [ok('sink otlp', `127.0.0.1:${port} accepts connections`)]);

  await new Promise((resolve) => server.close(resolve));
  const [check] = await checkSinks(config, {});
  assert.equal(check?.ok, false);
  assert.equal(check?.detail, `127.0.0.1:${port}: ECONNREFUSED`);
});

const BOTH = ['logs', 'metrics'] as const;

for (const [title, settings, environment, addresses] of [
  ['its own endpoint first', { endpoint: 'https://a' }, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://b:1' }, ['a:443']],
  ["a signal's own endpoint", { endpoint: 'http://a:1', logs_endpoint: 'http://c:2/x' }, {}, ['c:2', 'a:1']],
  ['the common variable', {}, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://b:1' }, ['b:1']],
  [
    "a signal's own variable",
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://b:1', OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://c:2' },
    ['c:2', 'b:1'],
  ],
  ['the standard port of HTTP', {}, {}, ['localhost:4318']],
  ['the standard port of gRPC', { protocol: 'grpc' }, {}, ['localhost:4317']],
  ['an IPv6 address', { endpoint: 'http://[::1]:4317' }, {}, ['::1:4317']],
] as const) {
  test(`otlp sends to ${title}`, () => {
    const config = otlpConfigSchema.parse(settings);
    const found = addressesOf({ id: 'otlp', type: 'otlp', config }, BOTH, environment);
    assert.deepEqual(
      found.map(({ host, port }) => `${host}:${port}`),
      addresses,
    );
  });
}

test('otlp is asked only for the signals of its pipelines', () => {
  const config = otlpConfigSchema.parse({ logs_endpoint: 'http://a:1', metrics_endpoint: 'http://b:2' });
  assert.deepEqual(addressesOf({ id: 'otlp', type: 'otlp', config }, ['metrics'], {}), [{ host: 'b', port: 2 }]);
});

test('the report has a line for each check and its remedy below it', () => {
  const checks = [ok('a', 'fine'), notOk('bcd', 'bad', 'mend it'), absent('e', 'none')];
  assert.equal(
    formatChecks(checks),
    ['ok      a    fine', 'not ok  bcd  bad', '             -> mend it', '-       e    none'].join('\n'),
  );
  assert.equal(exitCodeOf(checks), 1);
});

test('exporters over HTTP are knocked at where they send to', () => {
  const { exporters } = configOf(`
exporters:
  alertmanager: { urls: [http://am-0:9093, "https://am-1"] }
  slack: { webhook_url: "https://hooks.slack.com/services/x" }
  slack/bot: { token: t, channel: c }
  slack/hidden: { webhook_url_file: /run/secrets/x }
`);
  const hosts = Object.values(exporters).map((exporter) =>
    addressesOf(exporter, ['logs'], {}).map(({ host, port }) => `${host}:${port}`),
  );
  assert.deepEqual(hosts, [['am-0:9093', 'am-1:443'], ['hooks.slack.com:443'], ['slack.com:443'], []]);
});
