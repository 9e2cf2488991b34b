/**
 * Agent -> every kind of receiver, real ones where they can run here, while they are away for a minute or misbehave: everything that was detected arrives,
 * by `log.record.uid`, and twice only what nobody had acknowledged.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SINKS } from '../exporters/sinks.ts';
import { type FarEnd, fileEnd, httpEnd, QUICK, smtpEnd, syslogEnd, udpEnd } from '../fixtures/far-ends.ts';
import { Agent } from './agent.ts';
import { Alertmanager } from './alertmanager.ts';
import { Collector } from './collector.ts';
import { Loki } from './loki.ts';
import { MarkedFiles } from './marked-files.ts';
import { stackFolder, until, without } from './program.ts';
import { noRedis, Redis } from './redis.ts';

const IN_LOKI = '{service_name="shikra"} | security_rule_name=~"Rule .*"';
const OUTAGE_SECONDS = 60;
/** Less than the Collector has when it begins. */
const NO_ROOM = { check_interval: '100ms', limit_mib: 2, spike_limit_mib: 1 };
/** These are real here. */
const REAL: readonly string[] = ['loki', 'alertmanager'];

/** What is known of an end: all that was detected, or of each alert (here: of each rule) the last. */
type Keeps = 'all' | 'last of each rule';
type Away = FarEnd & { readonly keeps?: Keeps };

/** Loki by OTLP, by its own API and behind a Collector; a tenant for each way, so that what comes by one is not taken for another's. */
async function lokiEnds(t: TestContext, folder: string): Promise<Away[]> {
  const loki = await Loki.start(t, folder, { tenants: ['otlp', 'push', 'collector'] });
  const collector = await Collector.start(t, folder, loki.address, 'collector');
  const inLoki = async (tenant: string) =>
    (await loki.lines(IN_LOKI, tenant)).map(({ labels }) => labels.log_record_uid as string);
  return [
    {
      id: 'otlp/loki',
      exporter: { endpoint: `${loki.url}/otlp`, headers: { 'X-Scope-OrgID': 'otlp' }, ...QUICK },
      arrived: () => inLoki('otlp'),
      down: () => loki.stop(),
      up: () => loki.start(),
    },
    // With the one above it goes and comes.
    { id: 'loki', exporter: { url: loki.url, tenant: 'push', ...QUICK }, arrived: () => inLoki('push'), ...STAYS },
    {
      id: 'otlp/collector',
      exporter: { endpoint: collector.grpcUrl, protocol: 'grpc', ...QUICK },
      arrived: () => inLoki('collector'),
      down: () => collector.kill(),
      up: () => collector.start(),
    },
  ];
}

const STAYS = { down() {}, up() {} };

async function alertmanagerEnd(t: TestContext, folder: string): Promise<Away> {
  const alertmanager = await Alertmanager.start(t, folder);
  return {
    id: 'alertmanager',
    exporter: { urls: [`http://${alertmanager.address}`], ...QUICK },
    keeps: 'last of each rule',
    arrived: async () => (await alertmanager.alerts()).map(({ annotations }) => annotations.uid as string),
    down: () => alertmanager.stop(),
    up: () => alertmanager.start(),
  };
}

async function redisEnd(t: TestContext, folder: string): Promise<Away> {
  const redis = await Redis.start(t, folder);
  const exporter = { host: '127.0.0.1', port: redis.port, ...QUICK };
  return {
    id: 'redis',
    exporter,
    arrived: () => redis.uids(),
    down: () => redis.kill(),
    up: () => redis.start(),
  };
}

async function everyEnd(t: TestContext, folder: string): Promise<Away[]> {
  const inTheCloud = SINKS.filter(({ type }) => !REAL.includes(type));
  return [
    ...(await lokiEnds(t, folder)),
    await alertmanagerEnd(t, folder),
    await redisEnd(t, folder),
    ...(await Promise.all(inTheCloud.map((sink) => httpEnd(t, sink)))),
    await syslogEnd(t, folder, 'tcp'),
    await syslogEnd(t, folder, 'tls'),
    await udpEnd(t),
    await smtpEnd(t),
    fileEnd(t, folder),
  ];
}

const exportersOf = (ends: readonly FarEnd[]) => Object.fromEntries(ends.map(({ id, exporter }) => [id, exporter]));

/** Until each has delivered all that was detected. */
async function deliver(agent: Agent, ends: readonly FarEnd[]): Promise<void> {
  for (const { id } of ends)
    await until(`${id} to deliver`, async () => (await agent.delivered(id)) >= agent.detections.length);
}

// Most of their time they wait.
describe('receivers that fail', { concurrency: true }, () => {
  test('every receiver away for a minute: everything that was detected arrives, at each once', {
    skip: without('loki', 'collector', 'alertmanager') || noRedis(),
  }, async (t) => {
    const folder = stackFolder();
    const marked = new MarkedFiles(folder);
    const ends = await everyEnd(t, folder);
    const agent = await Agent.start(t, folder, { kernel: marked.kernel, exporters: exportersOf(ends) });

    await marked.detect(agent, 50);
    await deliver(agent, ends);
    await Promise.all(ends.map((end) => end.down()));
    const begun = Date.now();
    for (const { id } of ends) {
      const oldest = `shikra_exporter_oldest_seconds{exporter="${id}"}`;
      while ((await agent.metric(oldest)) < OUTAGE_SECONDS) {
        assert.ok(Date.now() - begun < 3 * OUTAGE_SECONDS * 1000, `${id} delivers to nobody`);
        await marked.detect(agent, 10);
        await sleep(1000);
      }
    }
    await Promise.all(ends.map((end) => end.up()));
    await marked.detect(agent, 50);
    await deliver(agent, ends);

    const detected = marked.detections(agent);
    assert.ok(detected.length > 200);
    const uids = new Set(detected.map(({ uuid }) => uuid));
    const lastOfEach = new Set(new Map(detected.map(({ rule, uuid }) => [rule, uuid])).values());
    for (const { id, keeps, arrived } of ends) {
      const expected = keeps === 'last of each rule' ? lastOfEach : uids;
      // Others may do something on this machine that the agent tells of.
      const ours = async () => (await arrived()).filter((uid) => uids.has(uid));
      // What is still missing then is told below, one by one.
      await until(`all at ${id}`, async () => (await ours()).length >= expected.size).catch(() => {});
      // Nothing was on its way when they went: nothing comes twice.
      assert.deepEqual((await ours()).sort(), [...expected].sort(), id);
      assert.equal(await agent.metric(`shikra_exporter_records_total{exporter="${id}",outcome="dead_letter"}`), 0, id);
    }
  });

  test("refused by the Collector's memory limiter, detections wait and arrive when there is room, over HTTP and gRPC", {
    skip: without('collector', 'loki'),
  }, async (t) => {
    const folder = stackFolder();
    const marked = new MarkedFiles(folder);
    const loki = await Loki.start(t, folder);
    const collector = await Collector.start(t, folder, loki.address);
    const room = await collector.limitMemory(NO_ROOM);
    await until('the Collector to refuse', () => collector.log.includes('Refusing data'));
    const exporters = {
      'otlp/http': { endpoint: collector.url, protocol: 'http/protobuf', ...QUICK },
      'otlp/grpc': { endpoint: collector.grpcUrl, protocol: 'grpc', ...QUICK },
    };
    const agent = await Agent.start(t, folder, { kernel: marked.kernel, exporters });
    const ids = Object.keys(exporters);
    await marked.detect(agent, 200);
    for (const id of ids) {
      await agent.metricUntil(`shikra_exporter_retries_total{exporter="${id}"}`, (value) => value > 0);
      assert.equal(await agent.delivered(id), 0);
    }
    assert.match(agent.stderr, /data refused due to high memory usage/);
    await collector.limitMemory(room);
    await marked.detect(agent, 50);
    for (const id of ids) {
      await until(`${id} to deliver`, async () => (await agent.delivered(id)) >= agent.detections.length);
      assert.equal(await agent.metric(`shikra_exporter_records_total{exporter="${id}",outcome="dead_letter"}`), 0);
    }
    const inLoki = async () => new Set((await loki.lines(IN_LOKI)).map(({ labels }) => labels.log_record_uid!));
    await until('everything in Loki', async () => (await inLoki()).size >= 250);
    const expected = marked.detections(agent).map(({ uuid }) => uuid);
    assert.deepEqual([...(await inLoki())].sort(), expected.sort());
  });
});
