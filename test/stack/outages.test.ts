/** Agent -> real receivers that are away for a minute, or have no room: everything that was detected meanwhile arrives, by `log.record.uid`. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { opensOf } from '../kernel/agent-command.ts';
import { Agent } from './agent.ts';
import { Collector } from './collector.ts';
import { Loki } from './loki.ts';
import { freePorts, stackFolder, until, without } from './program.ts';

const SUFFIX = 'shikra-outage';
const RULE = 'Marked file opened';
const IN_LOKI = `{service_name="shikra"} | security_rule_name="${RULE}"`;
const OUTAGE_SECONDS = 60;
/** The agent's own pauses grow to half a minute: this is for what comes after them. */
const QUICK = { retry: { initial_interval: '100ms', max_interval: '1s' }, timeout: '5s' };
/** Less than the Collector has when it begins. */
const NO_ROOM = { check_interval: '100ms', limit_mib: 2, spike_limit_mib: 1 };

interface Scene {
  readonly folder: string;
  readonly agent: Agent;
  /** Opens the watched file so often, and waits until as many more were detected. */
  detect(count: number): Promise<void>;
  uids(): string[];
}

async function watch(t: TestContext, folder: string, exporters: object): Promise<Scene> {
  const file = join(folder, SUFFIX);
  writeFileSync(file, '');
  writeFileSync(join(folder, 'rules.yaml'), opensOf(SUFFIX));
  const agent = await Agent.start(t, folder, { kernel: { rules_files: ['rules.yaml'] }, exporters });
  // Others may do something on this machine that the agent tells of: a flood.
  const uids = () => agent.detections.filter(({ rule }) => rule === RULE).map(({ uuid }) => uuid);
  let expected = 0;
  return {
    folder,
    agent,
    uids,
    async detect(count) {
      for (let i = 0; i < count; i++) readFileSync(file);
      expected += count;
      await agent.until('the detections', () => uids().length >= expected);
    },
  };
}

/** A real server whose data are on disk before it answers. */
async function startRedis(t: TestContext, folder: string, port: number): Promise<() => Promise<void>> {
  const own = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder];
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'redis-server', ...own, ...durable], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  t.after(stop);
  for await (const line of createInterface({ input: child.stdout })) if (line.includes('Ready to accept')) break;
  child.stdout.resume();
  return stop;
}

function uidsInRedis(port: number): string[] {
  const { stdout } = spawnSync('redis-cli', ['-p', `${port}`, 'XRANGE', 'shikra', '-', '+'], { encoding: 'utf8' });
  const lines = stdout.split('\n');
  return lines.flatMap((line, index) => (line === 'uid' ? [lines[index + 1]!] : []));
}

const noRedis = () => (spawnSync('redis-server', ['--version']).status === 0 ? false : 'no redis-server');

test('Loki and Redis away for a minute: everything that was detected arrives, in each once', {
  skip: without('loki') || noRedis(),
}, async (t) => {
  const folder = stackFolder();
  const loki = await Loki.start(t, folder, { tenants: ['otlp', 'push'] });
  const [port] = (await freePorts(1)) as [number];
  const stopRedis = await startRedis(t, folder, port);
  const { agent, detect, uids } = await watch(t, folder, {
    otlp: { endpoint: `${loki.url}/otlp`, headers: { 'X-Scope-OrgID': 'otlp' }, ...QUICK },
    loki: { url: loki.url, tenant: 'push', ...QUICK },
    redis: { host: '127.0.0.1', port, ...QUICK },
  });
  const ids = ['otlp', 'loki', 'redis'];
  const inLoki = async (tenant: string) =>
    (await loki.lines(IN_LOKI, tenant)).map(({ labels }) => labels.log_record_uid as string);

  await detect(50);
  await agent.settled(...ids);
  await loki.stop();
  await stopRedis();
  await detect(200);
  for (const id of ids) {
    const oldest = `shikra_exporter_oldest_seconds{exporter="${id}"}`;
    for (let age = 0; age < OUTAGE_SECONDS; )
      age = await until(`${id} to wait for longer`, async () => {
        const now = await agent.metric(oldest);
        return now > age && now;
      });
  }
  await detect(50);
  await loki.start();
  await startRedis(t, folder, port);
  for (const id of ids)
    await until(`${id} to deliver`, async () => (await agent.delivered(id)) >= agent.detections.length);

  const expected = [...uids()].sort();
  assert.equal(expected.length, 300);
  for (const tenant of ['otlp', 'push'])
    await until(`everything in Loki, by ${tenant}`, async () => (await inLoki(tenant)).length >= expected.length);
  // Nothing was on its way when they went: nothing comes twice.
  assert.deepEqual((await inLoki('otlp')).sort(), expected);
  assert.deepEqual((await inLoki('push')).sort(), expected);
  assert.deepEqual(
    uidsInRedis(port)
      .filter((uid) => expected.includes(uid))
      .sort(),
    expected,
  );
});

test("refused by the Collector's memory limiter, detections wait and arrive when there is room, over HTTP and gRPC", {
  skip: without('collector', 'loki'),
}, async (t) => {
  const folder = stackFolder();
  const loki = await Loki.start(t, folder);
  const collector = await Collector.start(t, folder, loki.address);
  const room = await collector.limitMemory(NO_ROOM);
  await until('the Collector to refuse', () => collector.log.includes('Refusing data'));
  const { agent, detect, uids } = await watch(t, folder, {
    'otlp/http': { endpoint: collector.url, protocol: 'http/protobuf', ...QUICK },
    'otlp/grpc': { endpoint: collector.grpcUrl, protocol: 'grpc', ...QUICK },
  });
  const ids = ['otlp/http', 'otlp/grpc'];
  await detect(200);
  for (const id of ids) {
    await agent.metricUntil(`shikra_exporter_retries_total{exporter="${id}"}`, (value) => value > 0);
    assert.equal(await agent.delivered(id), 0);
  }
  assert.match(agent.stderr, /data refused due to high memory usage/);
  await collector.limitMemory(room);
  await detect(50);
  for (const id of ids) {
    await until(`${id} to deliver`, async () => (await agent.delivered(id)) >= agent.detections.length);
    assert.equal(await agent.metric(`shikra_exporter_records_total{exporter="${id}",outcome="dead_letter"}`), 0);
  }
  const inLoki = async () => (await loki.lines(IN_LOKI)).map(({ labels }) => labels.log_record_uid);
  await until('everything in Loki', async () => new Set(await inLoki()).size >= 250);
  assert.deepEqual([...new Set(await inLoki())].sort(), [...uids()].sort());
});
