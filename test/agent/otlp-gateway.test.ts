/** One agent as the gateway of others: it takes detections as their otlp exporters send them, and passes them on. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { toFalcoJson } from '../../collector/detection/falco-json.ts';
import { certificates } from '../fixtures/certificates.ts';
import { detections } from '../fixtures/detections.ts';
import { freePort } from '../fixtures/free-ports.ts';
import { OtlpReceiver, serveHttp } from '../fixtures/otlp-receiver.ts';
import { startPipeline } from '../fixtures/pipeline.ts';
import { temporaryFolder } from '../kernel/agent-command.ts';
import { AgentWith } from './agent-with.ts';

type Json = Record<string, unknown>;

const BOTH = { grpc: { port: 0 }, http: { port: 0 } };
const QUICK = { retry: { initial_interval: '10ms', max_interval: '50ms' } };
const outcome = (name: string) => `shikra_receiver_records_total{receiver="otlp",outcome="${name}"}`;

async function gateway(t: TestContext, receiver: Json = BOTH, exporters: Json = {}, folder?: string) {
  const agent = await AgentWith.start(t, { otlp: receiver }, { exporters }, folder);
  return agent;
}

/** Somewhere at the end of the way. */
async function sink(t: TestContext) {
  const receiver = new OtlpReceiver();
  const server = await serveHttp(receiver);
  t.after(() => server.close());
  return { receiver, url: server.url };
}

for (const protocol of ['grpc', 'http/protobuf'] as const) {
  test(`a detection comes out of a gateway as it came out of its agent, over ${protocol}`, async (t) => {
    const [near, far] = [await sink(t), await sink(t)];
    const agent = await gateway(t, BOTH, { otlp: { endpoint: far.url, ...QUICK } });
    const url = agent.url(protocol === 'grpc' ? 'OTLP is taken over gRPC' : 'OTLP is taken over HTTP');
    const node = await startPipeline({
      store: join(temporaryFolder(t), 'store.db'),
      processors: { drop_rate: {}, enrichment: {}, priority: {} },
      exporters: {
        'otlp/direct': { endpoint: near.url },
        'otlp/gateway': { endpoint: url, protocol, compression: 'gzip', ...QUICK },
      },
    });
    t.after(() => node.shutdown(0));
    const made = detections(1200);
    for (const one of made) node.emit(one);
    assert.equal(await node.forceFlush(), true);
    await far.receiver.until(() => far.receiver.records.length >= made.length, 'all at the far end');

    assert.equal(far.receiver.records.length, near.receiver.records.length);
    for (const [index, record] of near.receiver.records.entries())
      assert.deepEqual(far.receiver.records[index], record);

    const lines = () => agent.command.stdout.split('\n').slice(0, -1);
    await agent.command.until('all of them printed', () => lines().length === made.length);
    const hostname = String(near.receiver.records[0]!.resource['host.name']);
    for (const [index, one] of made.entries()) {
      const { output_fields: fields, ...printed } = JSON.parse(lines()[index]!) as Json;
      const { output_fields: _, ...expected } = JSON.parse(toFalcoJson({ ...one, hostname })) as Json;
      assert.deepEqual(printed, expected);
      const { 'fd.name': file, 'proc.pid': pid, 'proc.cmdline': command, 'container.id': container } = fields as Json;
      assert.deepEqual([file, pid, command, container], ['/etc/shadow', 4000 + index, 'cat /etc/shadow', 'host']);
    }
    await agent.command.metricUntil(outcome('accepted'), (count) => count === made.length);
    await agent.stop();
  });
}

test('nothing is lost and nothing doubled while gateway and agents are killed', async (t) => {
  const far = await sink(t);
  const [gatewayFolder, nodeFolder] = [temporaryFolder(t), temporaryFolder(t)];
  const [gatewayPort, nodePort] = [await freePort(), await freePort()];
  const startGateway = () =>
    gateway(t, { http: { port: gatewayPort } }, { otlp: { endpoint: far.url, ...QUICK } }, gatewayFolder);
  const startNode = () => {
    const exporters = { otlp: { endpoint: `http://127.0.0.1:${gatewayPort}`, ...QUICK } };
    return AgentWith.start(t, { falco_http: { port: nodePort } }, { exporters }, nodeFolder);
  };
  const sent = new Set<string>();
  const post = async (count: number) => {
    for (let index = 0; index < count; index++) sent.add(await postAlert(nodePort, sent.size));
  };
  const kill = async ({ command }: AgentWith) => {
    command.child.kill('SIGKILL');
    await command.ended();
  };

  let node = await startNode();
  await post(50); // the gateway is not there yet
  let between = await startGateway();
  await post(200);
  await kill(between);
  await post(50);
  between = await startGateway();
  await post(100);
  await kill(node);
  await kill(between);
  node = await startNode();
  between = await startGateway();
  await post(50);
  const arrived = () => new Set(far.receiver.uids);
  await far.receiver.until(() => arrived().size >= sent.size, 'all at the far end');
  assert.deepEqual(arrived(), sent);
  assert.deepEqual([...between.stored()].sort(), [...sent].sort());
  const bytes = new Map(far.receiver.records.map(({ attributes, raw }) => [attributes['log.record.uid'], raw]));
  for (const { attributes, raw } of far.receiver.records)
    assert.deepEqual(raw, bytes.get(attributes['log.record.uid']!));
  await between.stop();
  await node.stop();
});

test('log records that are no detections are refused one by one, told and counted; the others are taken', async (t) => {
  const agent = await gateway(t, { http: { port: 0 } });
  const { uid, record } = jsonRecord();
  const answer = await post(agent, [
    { ...record, eventName: 'user.login' },
    record,
    { body: { stringValue: 'a line of text' } },
    { ...record, attributes: record.attributes.filter(({ key }) => key !== 'log.record.uid') },
    { ...record, attributes: [...record.attributes, attribute('shikra.priority', 'severe')] },
  ]);
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body, {
    partialSuccess: {
      rejectedLogRecords: '4',
      errorMessage: [
        '1 x no detection: expected event name shikra.detection, got "user.login"',
        '1 x no detection: expected event name shikra.detection, got none',
        '1 x log.record.uid: expected a UUID, got nothing',
        '1 x shikra.priority: expected one of Emergency, Alert, Critical, Error, Warning, Notice, Informational, Debug, got "severe"',
      ].join('; '),
    },
  });
  assert.deepEqual(agent.stored(), [uid]);
  assert.match(agent.command.stderr, /"127\.0\.0\.1: no detection: expected event name/);
  await agent.command.metricUntil(outcome('foreign'), (count) => count === 2);
  await agent.command.metricUntil(outcome('invalid'), (count) => count === 1);
  await agent.command.metricUntil(outcome('unknown_priority'), (count) => count === 1);
  await agent.command.metricUntil(outcome('accepted'), (count) => count === 1);
  await agent.stop();
});

test('a request that is none is refused in the encoding that it came in', async (t) => {
  const agent = await gateway(t, { http: { port: 0 }, max_request_size: '10kB' });
  const url = `${agent.url('OTLP is taken over HTTP')}/v1/logs`;
  const send = async (body: string | Buffer, headers: Record<string, string>) => {
    const response = await fetch(url, { method: 'POST', body: new Uint8Array(Buffer.from(body)), headers });
    return [response.status, response.headers.get('content-type'), await response.text()] as const;
  };
  const json = { 'content-type': 'application/json; charset=utf-8' };
  const [status, type, text] = await send('{"resourceLogs": 7}', json);
  assert.deepEqual([status, type], [400, 'application/json']);
  assert.deepEqual(JSON.parse(text), {
    code: 3,
    message: 'no ExportLogsServiceRequest: resourceLogs: expected a list, got 7',
  });
  const protobuf = { 'content-type': 'application/x-protobuf' };
  const [broken, brokenType, message] = await send(Buffer.from([0x0a, 0xff]), protobuf);
  assert.deepEqual([broken, brokenType], [400, 'application/x-protobuf']);
  assert.match(message, /no ExportLogsServiceRequest: a protobuf message ends within a/);
  const [large, , why] = await send(gzipSync(Buffer.alloc(100_000)), { ...protobuf, 'content-encoding': 'gzip' });
  assert.equal(large, 413);
  assert.match(
    why,
    /a request of more than 10000 bytes; send smaller batches, or raise receivers\.otlp\.max_request_size/,
  );
  const [other] = await send('', { 'content-type': 'text/plain' });
  assert.equal(other, 415);
  await agent.command.metricUntil(outcome('malformed'), (count) => count === 2);
  await agent.stop();
});

test('only who shows the token, or a certificate of the authority, is let in', async (t) => {
  const folder = temporaryFolder(t);
  certificates(folder);
  writeFileSync(join(folder, 'token'), 'a secret\n');
  const tls = { cert_file: 'server.crt', key_file: 'server.key', client_ca_file: 'ca.crt' };
  const receiver = { http: { port: 0, bearer_token_file: 'token' }, grpc: { port: 0, tls } };
  const agent = await gateway(t, receiver, {}, folder);
  const { record, uid } = jsonRecord();
  assert.equal((await post(agent, [record])).status, 401);
  assert.deepEqual(agent.stored(), []);
  assert.equal((await post(agent, [record], { authorization: 'Bearer a secret' })).status, 200);
  assert.deepEqual(agent.stored(), [uid]);
  await agent.command.metricUntil(outcome('unauthorized'), (count) => count === 1);

  const endpoint = agent.url('OTLP is taken over gRPC');
  const send = async (files: Json, forMillis?: number) => {
    const store = join(temporaryFolder(t), 'store.db');
    const tls = Object.fromEntries(Object.entries(files).map(([key, name]) => [key, join(folder, String(name))]));
    const pipeline = await startPipeline({ store, exporters: { otlp: { endpoint, protocol: 'grpc', tls, ...QUICK } } });
    t.after(() => pipeline.shutdown(0));
    for (const one of detections(1)) pipeline.emit(one);
    return pipeline.forceFlush(forMillis);
  };
  assert.equal(await send({ ca_file: 'ca.crt', cert_file: 'client.crt', key_file: 'client.key' }), true);
  assert.equal(agent.stored().length, 2);
  assert.equal(await send({ ca_file: 'ca.crt', cert_file: 'stranger.crt', key_file: 'stranger.key' }, 2000), false);
  assert.equal(agent.stored().length, 2);
  await agent.stop();
});

const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } });

/** As OTLP's JSON mapping has it. */
function jsonRecord() {
  const uid = '01935f3e-1b0a-7d0f-8d0b-5f3d2ad5a3b1';
  const record = {
    timeUnixNano: '1795000000123456789',
    observedTimeUnixNano: 1795000000123456000,
    severityNumber: 13,
    severityText: 'WARN',
    eventName: 'shikra.detection',
    body: { stringValue: 'a shell' },
    attributes: [
      attribute('log.record.uid', uid),
      attribute('security_rule.name', 'Shell'),
      attribute('shikra.priority', 'warning'),
      attribute('shikra.event.source', 'syscall'),
      { key: 'process.pid', value: { intValue: '42' } },
    ],
  };
  return { uid, record };
}

async function post(agent: AgentWith, logRecords: readonly object[], headers: Record<string, string> = {}) {
  const request = { resourceLogs: [{ resource: {}, scopeLogs: [{ scope: { name: 'any' }, logRecords }] }] };
  const response = await fetch(`${agent.url('OTLP is taken over HTTP')}/v1/logs`, {
    method: 'POST',
    body: JSON.stringify(request),
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: response.status, body: (await response.json()) as Json };
}

async function postAlert(port: number, number: number): Promise<string> {
  const time = `2026-11-18T11:10:00.${String(number).padStart(9, '0')}Z`;
  const alert = { rule: 'A rule', priority: 'Warning', time, output: `number ${number}`, output_fields: { number } };
  const init = { method: 'POST', body: JSON.stringify(alert), headers: { 'content-type': 'application/json' } };
  const response = await fetch(`http://127.0.0.1:${port}/`, init);
  assert.equal(response.status, 200);
  return ((await response.json()) as { uuid: string }).uuid;
}
