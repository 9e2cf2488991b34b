/** The real agent on the real kernel, and everything between it and its receivers that can fail: what was detected arrives, by `log.record.uid`. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SINKS, type Sink } from '../exporters/sinks.ts';
import { httpEnd, uidsIn } from '../fixtures/far-ends.ts';
import { FlakyProxy, type Weather } from '../fixtures/flaky-proxy.ts';
import type { ReceivedRequest } from '../fixtures/http-receiver.ts';
import { OtlpReceiver, type Refusal, serveGrpc, serveHttp } from '../fixtures/otlp-receiver.ts';
import { Command, configure, opensOf, temporaryFolder } from './agent-command.ts';

const SUFFIX = 'shikra-faults';
const RETRY = { initial_interval: '20ms', max_interval: '200ms' };
const BATCH = 100;
/** What is far longer than any of this takes. */
const LIMIT_MILLIS = 60_000;

/** A receiver behind a network of its own, and what arrived there: as often as it came, with the fault that was on then. */
interface FarEnd {
  readonly id: string;
  readonly exporter: object;
  readonly proxy: FlakyProxy;
  readonly arrived: { readonly uid: string; readonly during: string }[];
  /** What it answers to every request; undefined: it takes them. */
  refuse(refusal: Refusal | undefined): void;
  /** Has it answer "not now" with status 200, if it ever does. */
  putOff?(): void;
  /** What its published interface has against the requests that came. */
  assertNoFailures?(): void;
}

/** The fault that is on. */
interface Now {
  fault: string;
}

async function otlpEnd(t: TestContext, protocol: 'grpc' | 'http/protobuf', now: Now): Promise<FarEnd> {
  const receiver = new OtlpReceiver();
  const server = await (protocol === 'grpc' ? serveGrpc(receiver) : serveHttp(receiver));
  t.after(() => server.close());
  const proxy = await FlakyProxy.before(t, server.port);
  const endpoint = `http://127.0.0.1:${proxy.port}`;
  const arrived: { uid: string; during: string }[] = [];
  let refusal: Refusal | undefined;
  receiver.answer = (records) => {
    if (refusal === undefined || refusal.rejected !== undefined)
      for (const { attributes } of records)
        arrived.push({ uid: String(attributes['log.record.uid']), during: now.fault });
    return refusal;
  };
  return {
    id: `otlp/${protocol.slice(0, 4)}`,
    exporter: { endpoint, protocol, timeout: '2s', retry: RETRY, batch: { max_records: BATCH } },
    proxy,
    arrived,
    refuse: (given) => {
      refusal = given;
    },
  };
}

/** One that takes what Falco would send, and holds it to nothing. */
function webhookEnd(t: TestContext, name: string, now: Now): Promise<FarEnd> {
  const config = (url: string) => ({ url, batch: { max_records: BATCH } });
  return sinkEnd(t, { type: 'webhook', name, config, check() {} }, now);
}

async function sinkEnd(t: TestContext, sink: Sink, now: Now): Promise<FarEnd> {
  const arrived: { uid: string; during: string }[] = [];
  const accept = (request: ReceivedRequest) => {
    for (const uid of uidsIn(request.body)) arrived.push({ uid, during: now.fault });
    return sink.accept?.(request) ?? { status: 200 };
  };
  const { id, exporter, receiver, proxy } = await httpEnd(t, { ...sink, accept });
  const { later } = sink;
  return {
    id,
    // Of several detections in one request an alert says only the last.
    exporter: {
      ...exporter,
      timeout: '2s',
      retry: RETRY,
      ...(sink.type === 'alertmanager' && { batch: { max_records: 1 } }),
    },
    proxy,
    arrived,
    refuse(refusal) {
      const { http, headers } = refusal ?? {};
      receiver.refuse = () => (http === undefined ? undefined : { status: http, ...(headers && { headers }) });
    },
    ...(later !== undefined && {
      putOff() {
        receiver.refuse = later;
      },
    }),
    assertNoFailures: () => receiver.assertNoFailures(),
  };
}

function arrange(t: TestContext): { folder: string; file: string } {
  const folder = temporaryFolder(t);
  const file = join(folder, SUFFIX);
  writeFileSync(file, '');
  return { folder, file };
}

/** Opens the file so often: as many detections. */
async function open(file: string, count: number): Promise<void> {
  const loop = 'i=0; while [ $i -lt $1 ]; do i=$((i+1)); : < "$0"; done';
  const [code] = await once(spawn('sh', ['-c', loop, file, String(count)]), 'close');
  assert.equal(code, 0);
}

const uniqueAt = ({ arrived }: FarEnd) => new Set(arrived.map(({ uid }) => uid));

async function until(what: string, holds: () => boolean, tell: () => string): Promise<void> {
  const end = Date.now() + LIMIT_MILLIS;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited ${LIMIT_MILLIS} ms for ${what}\n${tell()}`);
    await sleep(10);
  }
}

const told = (agent: Command, ends: readonly FarEnd[]) => () =>
  `${ends.map((end) => `${end.id}: ${uniqueAt(end).size} of ${end.arrived.length}`).join(', ')}\n${agent.stderr.slice(-3000)}`;

/** A fault of the network, or an answer: OTLP over gRPC has codes of its own. */
interface Fault {
  readonly name: string;
  readonly weather?: Weather;
  readonly refusal?: Refusal;
  /** OTLP says of this answer that the sender must not try again: then it is a dead letter. */
  readonly isFinalForOtlp?: boolean;
  /** In an answer with status 200; those who never do that do not fail. */
  readonly isPutOff?: boolean;
}

const UNAVAILABLE = 14;
const INTERNAL = 13;

const FAULTS: readonly Fault[] = [
  { name: 'down', weather: 'down' },
  { name: '429', refusal: { http: 429, headers: { 'retry-after': '1' }, grpc: UNAVAILABLE } },
  { name: '503', refusal: { http: 503, grpc: UNAVAILABLE } },
  { name: '500', refusal: { http: 500, grpc: INTERNAL }, isFinalForOtlp: true },
  { name: 'hang', weather: 'hang' },
  { name: 'reset', weather: 'reset' },
  { name: 'lose answers', weather: 'lose answers' },
  { name: 'cut answers', weather: 'cut answers' },
  { name: 'refused, all or in part, with status 200', isPutOff: true },
];
/** The receiver has the request, and could not say so. */
const UNACKNOWLEDGED = ['lose answers', 'cut answers'];
const COUNT = 60;
/** One that the receivers' checks know. */
const RULE = 'Rule 0001';
const RULES = opensOf(SUFFIX).replace('Marked file opened', RULE);

/** Of that rule: the agent may have something to tell of itself, or of others on this machine, and these tests count. */
const onlyOurs = (ends: readonly FarEnd[]) =>
  Object.fromEntries(ends.map(({ id, exporter }) => [id, { ...exporter, filter: { rules: [RULE] } }]));

test('every detection arrives at every kind of receiver, whatever fails for a while, and one that does not fail has it at once', async (t) => {
  const { folder, file } = arrange(t);
  const now: Now = { fault: 'none' };
  const failing = [
    await otlpEnd(t, 'grpc', now),
    await otlpEnd(t, 'http/protobuf', now),
    ...(await Promise.all(SINKS.map((sink) => sinkEnd(t, sink, now)))),
  ];
  const steady = await webhookEnd(t, 'steady', now);
  const ends = [...failing, steady];
  const config = configure(folder, { rules: RULES, exporters: onlyOurs(ends) });
  const agent = await new Command(t, ['run', '-c', config]).ready();
  let made = 0;
  const arriveAt = (which: readonly FarEnd[]) =>
    until(
      `${made} detections during ${now.fault}`,
      () => which.every((end) => uniqueAt(end).size >= made),
      told(agent, which),
    );
  const retries = (id: string) => `shikra_exporter_retries_total{exporter="${id}"}`;
  const records = (id: string, outcome: string) =>
    `shikra_exporter_records_total{exporter="${id}",outcome="${outcome}"}`;

  for (const { name, weather, refusal, isFinalForOtlp = false, isPutOff = false } of FAULTS) {
    now.fault = name;
    const touched = failing.filter(({ putOff }) => !isPutOff || putOff !== undefined);
    const isFinal = ({ id }: FarEnd) => isFinalForOtlp && id.startsWith('otlp');
    const before = new Map<string, number>();
    for (const end of touched) {
      before.set(end.id, await agent.metric(retries(end.id)));
      if (weather !== undefined) await end.proxy.set(weather);
      if (isPutOff) end.putOff?.();
      else end.refuse(refusal);
    }
    await open(file, COUNT);
    made += COUNT;
    await arriveAt([steady]);
    for (const end of touched)
      if (isFinal(end)) await agent.metricUntil(records(end.id, 'dead_letter'), (value) => value === COUNT);
      else await agent.metricUntil(retries(end.id), (value) => value > before.get(end.id)!);
    now.fault = `after ${name}`;
    for (const end of touched) {
      await end.proxy.set('pass');
      end.refuse(undefined);
    }
    if (isFinalForOtlp) {
      // Not in this thread, which is all the receivers.
      await promisify(execFile)(process.execPath, ['cli/main.ts', 'deadletter', 'retry', '--all', '-c', config]);
    }
    await arriveAt(ends);
    // The next fault must not take an answer that is still on its way.
    for (const { id } of ends) await agent.metricUntil(records(id, 'delivered'), (value) => value === made);
  }

  const all = uniqueAt(steady);
  assert.equal(steady.arrived.length, made, 'the one that never failed has each once');
  for (const end of failing) {
    const arrived = end.arrived.filter(({ uid }) => all.has(uid));
    assert.deepEqual(new Set(arrived.map(({ uid }) => uid)), all, end.id);
    const first = new Map<string, string>();
    for (const { uid, during } of arrived) {
      const before = first.get(uid);
      if (before === undefined) first.set(uid, during);
      else
        assert.ok(UNACKNOWLEDGED.includes(before), `${end.id} got ${uid} again that it had acknowledged in ${before}`);
    }
    end.assertNoFailures?.();
  }
  for (const { id } of ends) assert.equal(await agent.metric(records(id, 'expired')), 0);
});

test('what an OTLP receiver rejects of a batch that it takes is counted and not sent again', async (t) => {
  const { folder, file } = arrange(t);
  const end = await otlpEnd(t, 'http/protobuf', { fault: 'none' });
  end.refuse({ rejected: 1 });
  const config = configure(folder, { rules: RULES, exporters: onlyOurs([end]) });
  const agent = await new Command(t, ['run', '-c', config]).ready();
  await open(file, 50);
  await until('the detections', () => uniqueAt(end).size === 50, told(agent, [end]));
  const records = (outcome: string) => `shikra_exporter_records_total{exporter="${end.id}",outcome="${outcome}"}`;
  const rejected = await agent.metricUntil(records('rejected'), (value) => value > 0);
  await agent.metricUntil(records('delivered'), (value) => value === 50 - rejected);
  assert.equal(end.arrived.length, 50);
});

const KILLS = 10;

test('killed ten times under load, the agent delivers all that it had stored; twice only what was on its way', async (t) => {
  const { folder, file } = arrange(t);
  const now: Now = { fault: 'none' };
  const ends = [await otlpEnd(t, 'http/protobuf', now), await webhookEnd(t, 'webhook', now)];
  const exporters = Object.fromEntries(ends.map(({ id, exporter }) => [id, exporter]));
  const config = configure(folder, { rules: opensOf(SUFFIX), exporters });
  const burst = 'while :; do i=0; while [ $i -lt 20 ]; do i=$((i+1)); : < "$0"; done; sleep 0.02; done';
  const load = spawn('sh', ['-c', burst, file], { stdio: 'ignore' });
  t.after(() => load.kill('SIGKILL'));
  const printed = new Set<string>();
  for (let kill = 0; kill < KILLS; kill++) {
    const agent = await new Command(t, ['run', '-c', config]).ready();
    const before = ends.map((end) => end.arrived.length);
    await until(
      'something new everywhere',
      () => ends.every((end, index) => end.arrived.length > before[index]! + kill * 10),
      told(agent, ends),
    );
    agent.child.kill('SIGKILL');
    assert.equal(await agent.ended(), 'SIGKILL');
    for (const [, uid] of agent.stdout.matchAll(/"uuid":"([^"]+)"\}\n/g)) printed.add(uid!);
  }
  load.kill('SIGKILL');
  const last = await new Command(t, ['run', '-c', config]).ready();
  const store = new DatabaseSync(join(folder, 'store.db'), { readOnly: true, timeout: 5000 });
  t.after(() => store.close());
  const stored = () => store.prepare('SELECT uid FROM detections').all() as unknown as { uid: string }[];
  await until(
    'everything stored',
    () => {
      const uids = stored();
      return ends.every((end) => uniqueAt(end).size === uids.length);
    },
    told(last, ends),
  );
  const uids = new Set(stored().map(({ uid }) => uid));
  for (const uid of printed) assert.ok(uids.has(uid), 'what was shown was on disk');
  for (const end of ends) {
    assert.deepEqual(uniqueAt(end), uids, end.id);
    const repeated = end.arrived.length - uids.size;
    assert.ok(repeated <= KILLS * BATCH, `${end.id} got ${repeated} twice: more than a batch for each kill`);
  }
});

test('a full disk loses nothing: what does not fit waits in memory, and goes to the disk as receivers take what is there', async (t) => {
  const { folder, file } = arrange(t);
  const disk = mkdtempSync(join(tmpdir(), 'shikra-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'shikra-test', disk]);
  t.after(() => {
    execFileSync('umount', ['-l', disk]);
    rmdirSync(disk);
  });
  const end = await webhookEnd(t, 'webhook', { fault: 'none' });
  await end.proxy.set('down');
  const config = configure(folder, { rules: RULES, exporters: onlyOurs([end]), store: join(disk, 'store.db') });
  const agent = await new Command(t, ['run', '-c', config]).ready();
  let made = 0;
  const waiting = async () => (await agent.metric('shikra_store_pending')) > 1000;
  while (!(await waiting())) {
    await open(file, 500);
    made += 500;
    assert.ok(made < 12_000, 'the disk fills up');
    await agent.metricUntil('shikra_detections_total{priority="Warning",source="syscall"}', (value) => value >= made);
  }
  assert.ok((await agent.metric('shikra_store_errors_total{operation="write"}')) > 0);
  await end.proxy.set('pass');
  await until(`${made} detections`, () => uniqueAt(end).size >= made, told(agent, [end]));
  assert.equal(end.arrived.length, made);
  assert.equal(await agent.metric('shikra_store_records_total{outcome="lost"}'), 0);
  await agent.metricUntil('shikra_store_pending', (value) => value === 0);
});
