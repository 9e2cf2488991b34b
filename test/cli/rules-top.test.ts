import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import pino from 'pino';
import type { CollectorStats, RuleStats } from '../../collector/telemetry/collector-stats.ts';
import { createMetrics, type Metrics } from '../../collector/telemetry/metrics.ts';
import { createPrometheusExporter } from '../../exporters/prometheus/index.ts';
import { freePort } from '../fixtures/free-ports.ts';
import { NO_INCIDENTS } from '../fixtures/incidents.ts';

const STATS: CollectorStats = {
  events: {},
  drops: [],
  rules: {},
  rings: [],
  processTable: { size: 0, capacity: 0, healed: 0, evicted: 0, missed: 0 },
  latency: { counts: [], sumSeconds: 0 },
};
const ODD_NAME = 'Odd "name" \\ with\nall of it';

let metrics: Metrics;
let exporter: ReturnType<typeof createPrometheusExporter>;
let port: number;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shikra-top-'));
  metrics = createMetrics();
  metrics.declareRules([
    { name: 'Cheap', priority: 'Notice', source: 'syscall' },
    { name: 'Dear', priority: 'Warning', source: 'syscall' },
    { name: ODD_NAME, priority: 'Error', source: 'k8s_audit' },
  ]);
  exporter = createPrometheusExporter({ host: '127.0.0.1', port: 0, falco_compat: false }, {
    metrics,
    logger: pino({ level: 'silent' }),
    ready: () => ({ ready: true, parts: {} }),
    incidents: NO_INCIDENTS,
  } as never);
  await exporter.start();
  port = exporter.address!.port;
});

after(async () => {
  await exporter.shutdown();
  rmSync(folder, { recursive: true });
});

/** Adds to what the agent has counted. */
let counted: Record<string, RuleStats> = {};
function count(rule: string, matches: number, evaluations: number, seconds: number): void {
  const { matches: m = 0, evaluations: e = 0, seconds: s = 0 } = counted[rule] ?? {};
  const sum = { matches: m + matches, evaluations: e + evaluations, seconds: s + seconds, memory: undefined };
  counted = { ...counted, [rule]: sum };
  metrics.recordCollectorStats({ ...STATS, rules: counted });
}

/** Not in this process's turn: the metrics are served by it. */
async function top(parameters: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['cli/main.ts', 'rules', 'top', ...parameters], { timeout: 30_000 });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code, stdout, stderr };
}

/** While one interval is looked at, the agent does something. */
async function topWhile(act: () => void, parameters: readonly string[]) {
  let asked = 0;
  const seen = metrics.registry.metrics;
  metrics.registry.metrics = function () {
    const page = seen.call(this);
    if (++asked === 1) void page.then(act);
    return page;
  };
  try {
    return await top(['--url', `http://127.0.0.1:${port}/metrics`, '--once', '--interval', '0.2', ...parameters]);
  } finally {
    metrics.registry.metrics = seen;
  }
}

function someWork(): void {
  count('Cheap', 5, 1_024_000, 0.001);
  count('Dear', 0, 102_400, 0.003);
}

describe('shikra rules top', () => {
  it('shows what each rule cost in the interval, the dearest first', async () => {
    count('Cheap', 1000, 5_000_000, 100);
    const { code, stdout, stderr } = await topWhile(someWork, []);
    assert.equal(stderr, '');
    assert.equal(code, 0);
    const [head, , ...lines] = stdout.split('\n');
    assert.match(head!, /^http:\/\/127\.0\.0\.1:\d+\/metrics: \d+\.\d s, 5 matches, rules took \d+\.\d\d % of a core$/);
    assert.deepEqual(lines.slice(0, 4), [
      '   TIME  PER EVALUATION    EVALUATIONS    MATCHES  SOURCE     RULE',
      '75.00 %           29 ns        102,400          0  syscall    Dear',
      '25.00 %          1.0 ns      1,024,000          5  syscall    Cheap',
      '      -               -              0          0  k8s_audit  Odd "name" \\ with all of it',
    ]);
    assert.match(stdout, /Evaluations and times are estimated: about one event in 1024 is measured/);
  });

  it('sorts by what is asked for, and shows no more than is asked for', async () => {
    const { stdout } = await topWhile(someWork, ['--sort', 'matches', '--limit', '1']);
    assert.match(stdout, /syscall {4}Cheap\n\.\.\. and 2 rules more\n/);
  });

  it('says when too little was measured to tell', async () => {
    const { stdout } = await topWhile(() => count('Cheap', 0, 2048, 1e-6), []);
    assert.match(stdout, /No rule was measured more than 2 times: a longer --interval tells more\./);
  });

  it('prints JSON, a line for each interval', async () => {
    const parameters = ['--url', `http://127.0.0.1:${port}/metrics`, '--count', '2', '--interval', '0.1', '--json'];
    const lines = (await top(parameters)).stdout.trimEnd().split('\n');
    assert.equal(lines.length, 2);
    const { seconds, restarted, estimated_from_one_event_in, rules } = JSON.parse(lines[1]!);
    assert.ok(seconds > 0);
    assert.equal(restarted, false);
    assert.equal(estimated_from_one_event_in, 1024);
    assert.deepEqual(
      rules.find(({ rule }: { rule: string }) => rule === ODD_NAME),
      {
        rule: ODD_NAME,
        source: 'k8s_audit',
        priority: 'Error',
        matches: 0,
        evaluations: 0,
        seconds: 0,
        share: 0,
        seconds_per_evaluation: 0,
      },
    );
  });

  it('counts from the start of an agent that was started anew in between', async () => {
    const page = (startedAt: number, matches: number) =>
      `process_start_time_seconds ${startedAt}\nshikra_rule_matches_total{rule="A",priority="Notice",source="syscall"} ${matches}\n`;
    const pages = [page(1, 100), page(2, 3)];
    const server = createServer((_, response) => response.end(pages.shift())).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
    const { stdout } = await top(['--url', url, '--once', '--interval', '0.1']);
    server.close();
    assert.match(stdout, /, 3 matches, .*\nThe agent was started anew in between; these are the counts since\.\n/);
  });

  it('finds the agent by its configuration', async () => {
    const file = join(folder, 'shikra.yaml');
    writeFileSync(
      file,
      `receivers: {kernel: {}}\nexporters: {stdout: {}, prometheus: {host: 0.0.0.0, port: ${port}}}\n`,
    );
    const { code, stdout } = await top(['-c', file, '--once', '--interval', '0.1']);
    assert.equal(code, 0);
    assert.ok(stdout.startsWith(`http://127.0.0.1:${port}/metrics: `));
  });

  it('finds it in whatever pipeline of metrics it stands', async () => {
    const file = join(folder, 'pipelines.yaml');
    const pipelines = '{logs: {receivers: [kernel], exporters: [stdout]}, metrics/mine: {exporters: [prometheus]}}';
    const exporters = `{stdout: {}, prometheus: {port: ${port}}}`;
    writeFileSync(file, `receivers: {kernel: {}}\nexporters: ${exporters}\nservice: {pipelines: ${pipelines}}\n`);
    assert.equal((await top(['-c', file, '--once', '--interval', '0.1'])).code, 0);
  });

  it('fails if no agent answers, and says what to do', async () => {
    const free = await freePort();
    assert.deepEqual(await top(['--url', `http://127.0.0.1:${free}/metrics`, '--once']), {
      code: 1,
      stdout: '',
      stderr: `shikra: there are no metrics of an agent: http://127.0.0.1:${free}/metrics: connect ECONNREFUSED 127.0.0.1:${free}
  remedy: start it with \`shikra run\`, or say with --url where its prometheus exporter listens [AGENT_UNREACHABLE]
`,
    });
  });

  it('fails if what answers is something else, or the configuration serves no metrics', async () => {
    const { code, stderr } = await top(['--url', `http://127.0.0.1:${port}/healthz`, '--once']);
    assert.equal(code, 1);
    assert.match(stderr, /healthz answers, but not with metrics of Shikra's rules\n/);
    const missing = await top(['--url', `http://127.0.0.1:${port}/nothing`, '--once']);
    assert.match(missing.stderr, /nothing answers with status 404\n/);
    const file = join(folder, 'mute.yaml');
    writeFileSync(file, 'receivers: {kernel: {}}\nexporters: {stdout: {}}\n');
    const mute = await top(['-c', file, '--once']);
    assert.equal(mute.code, 1);
    assert.match(mute.stderr, /mute\.yaml has no prometheus exporter in its pipelines\n/);
  });

  it('is used badly with an interval, a number or an address that is none', async () => {
    for (const [option, value, expected] of [
      ['--interval', '0', 'Expected a number above 0.'],
      ['--count', '1.5', 'Expected a whole number above 0.'],
      ['--limit', 'all', 'Expected a whole number above 0.'],
      ['--url', 'localhost', 'Expected a URL such as http://127.0.0.1:8765/metrics.'],
    ] as const) {
      const { code, stderr } = await top([option, value, '--once']);
      assert.equal(code, 2);
      assert.ok(stderr.includes(expected), stderr);
    }
  });

  it('goes on until it is stopped', async () => {
    const url = `http://127.0.0.1:${port}/metrics`;
    const child = spawn(process.execPath, ['cli/main.ts', 'rules', 'top', '--url', url, '--interval', '0.1', '--json']);
    let lines = 0;
    child.stdout.on('data', () => {
      if (++lines === 3) child.kill('SIGINT');
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 0);
    assert.ok(lines >= 3);
  });
});
