/** The agent in the place of Falcosidekick: alerts as Falco posts them, to a process of its own. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { certificates } from '../fixtures/certificates.ts';
import { temporaryFolder } from '../kernel/agent-command.ts';
import { AgentWith } from './agent-with.ts';

/** As Falco writes it, numbers beyond 2^53 included. */
const ALERT = `{"hostname":"node-7","output":"04:10:00.123456789: Warning Sensitive file opened (file=/etc/shadow inode=9007199254740993)","output_fields":{"container.id":"host","evt.time":1795000200123456789,"fd.ino":9007199254740993,"fd.name":"/etc/shadow","proc.aname":["bash","sshd"],"proc.pid":4242,"proc.pname":null,"user.loginuid":-1},"priority":"Warning","rule":"Read sensitive file untrusted","source":"syscall","tags":["T1555","filesystem"],"time":"2026-11-18T11:10:00.123456789Z"}`;

type Json = Record<string, unknown>;

const alert = (changes: Json = {}): string => {
  const text = JSON.stringify({ ...JSON.parse(ALERT), output_fields: { 'proc.name': 'cat' }, ...changes });
  return text;
};

async function start(t: TestContext, receiver: Json = {}, folder?: string) {
  const agent = await AgentWith.start(t, { falco_http: { port: 0, ...receiver } }, {}, folder);
  const url = agent.url('alerts of Falco are taken');
  const post = async (body: string | Buffer, headers: Record<string, string> = {}) => {
    const init = {
      method: 'POST',
      body: new Uint8Array(Buffer.from(body)),
      headers: { 'content-type': 'application/json', ...headers },
    };
    const response = await fetch(url, init);
    return { status: response.status, body: (await response.json()) as Json };
  };
  const outcome = (name: string) => `shikra_receiver_records_total{receiver="falco_http",outcome="${name}"}`;
  return { agent, url, post, outcome };
}

test('an alert of Falco is answered when it is on disk, and comes out as it came in', async (t) => {
  const { agent, post, outcome } = await start(t);
  const answer = await post(ALERT);
  assert.equal(answer.status, 200);
  assert.deepEqual(agent.stored(), [answer.body.uuid]);
  await agent.command.until('it on standard output', () => agent.command.stdout.includes('\n'));
  assert.equal(agent.command.stdout, `${ALERT.slice(0, -1)},"uuid":"${answer.body.uuid}"}\n`);
  await agent.command.metricUntil(outcome('accepted'), (count) => count === 1);
  await agent.command.metricUntil(
    'shikra_detections_total{priority="Warning",source="syscall"}',
    (count) => count === 1,
  );
  await agent.stop();
});

test('an alert that Falco sends again is the same one; another is another one', async (t) => {
  const { agent, post } = await start(t);
  const first = await post(ALERT);
  assert.deepEqual(await post(ALERT), first);
  const other = await post(ALERT.replace('4242', '4243'));
  assert.deepEqual(agent.stored(), [first.body.uuid, other.body.uuid]);
  const uuid = '4b8a26b1-1b0a-4d0f-8d0b-5f3d2ad5a3b1';
  assert.deepEqual((await post(alert({ uuid }))).body, { uuid }, 'an id that it has already is kept');
  await agent.stop();
});

test('what versions and settings of Falco write in other ways, or not at all, is read', async (t) => {
  const { agent, post } = await start(t);
  const accepted: [Json, Json][] = [
    [{ time: '2026-11-18T12:10:00.5+0100' }, { time: '2026-11-18T11:10:00.500000000Z' }],
    [{ time: '2026-11-18T11:10:00Z' }, { time: '2026-11-18T11:10:00.000000000Z' }],
    [{ time: undefined, output_fields: { 'evt.time': 1763464200000000 } }, { time: '1970-01-21T09:51:04.200000000Z' }],
    [
      { time: undefined, output_fields: { 'evt.time.iso8601': '2026-11-18T11:10:00.1+0000' } },
      { time: '2026-11-18T11:10:00.100000000Z' },
    ],
    [{ priority: 'WARNING' }, { priority: 'Warning' }],
    [{ priority: 'info' }, { priority: 'Informational' }],
    [{ hostname: undefined }, { hostname: '127.0.0.1' }],
    [{ tags: undefined }, { tags: [] }],
    [{ tags: null }, { tags: [] }],
    [{ output_fields: null }, { output_fields: {} }],
    [{ source: undefined }, { source: 'syscall' }],
    [{ source: 'aws_cloudtrail' }, { source: 'aws_cloudtrail' }],
    [{ output: undefined, message: 'the message' }, { output: 'the message' }],
    [{ output: undefined }, { output: 'Read sensitive file untrusted' }],
    [{ another: { key: 1 } }, {}],
  ];
  for (const [changes] of accepted) {
    const { status, body } = await post(alert(changes));
    assert.equal(status, 200, JSON.stringify([changes, body]));
  }
  const lines = () => agent.command.stdout.split('\n').slice(0, -1);
  await agent.command.until('all of them', () => lines().length === accepted.length);
  for (const [index, [changes, expected]] of accepted.entries()) {
    const printed = JSON.parse(lines()[index]!) as Json;
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(printed[key], value, JSON.stringify(changes));
  }
  await agent.stop();
});

test('what is no alert is refused with what was found, told and counted', async (t) => {
  const { agent, post, outcome } = await start(t);
  const refused: [string, string | RegExp][] = [
    ['04:10:00: Warning text', /^no JSON: .*; Falco sends text unless json_output is true$/s],
    ['[]', 'expected one alert as a JSON object, got a list'],
    [
      alert({ priority: 'Severe' }),
      'priority: expected one of Emergency, Alert, Critical, Error, Warning, Notice, Informational, Debug, got "Severe"',
    ],
    [
      alert({ priority: undefined }),
      'priority: expected one of Emergency, Alert, Critical, Error, Warning, Notice, Informational, Debug, got nothing',
    ],
    [alert({ rule: '' }), 'rule: expected a name, got ""'],
    [alert({ rule: 7 }), 'rule: expected text, got 7'],
    [alert({ time: 'yesterday' }), 'time: expected an RFC 3339 time, got "yesterday"'],
    [alert({ time: undefined }), 'time: expected an RFC 3339 time, got nothing'],
    [alert({ tags: 'one' }), 'tags: expected a list of texts, got "one"'],
    [alert({ output_fields: [] }), 'output_fields: expected a mapping, got a list'],
    [
      alert({ output_fields: { a: { b: 1 } } }),
      'output_fields.a: expected a text, a number, true, false, null or a list of them, got a mapping',
    ],
    [alert({ uuid: 'seven' }), 'uuid: expected a UUID, got "seven"'],
  ];
  for (const [body, reason] of refused) {
    const answer = await post(body);
    assert.equal(answer.status, 400, body);
    if (typeof reason === 'string') assert.equal(answer.body.error, reason);
    else assert.match(String(answer.body.error), reason);
  }
  assert.deepEqual(agent.stored(), []);
  assert.match(agent.command.stderr, /"127\.0\.0\.1: priority: expected one of .*, got \\"Severe\\""/);
  await agent.command.metricUntil(outcome('unknown_priority'), (count) => count === 2);
  await agent.command.metricUntil(outcome('malformed'), (count) => count === 2);
  await agent.command.metricUntil(outcome('invalid'), (count) => count === 8);
  await agent.stop();
});

test('another path, method, type, encoding or size is refused', async (t) => {
  const { agent, url, post, outcome } = await start(t, { max_alert_size: '1kB' });
  const get = await fetch(url);
  assert.deepEqual([get.status, await get.json()], [405, { error: 'expected POST, got GET' }]);
  const elsewhere = await fetch(new URL('/events', url), { method: 'POST', body: ALERT });
  assert.deepEqual([elsewhere.status, await elsewhere.json()], [404, { error: 'expected /, got /events' }]);
  assert.deepEqual(await post(ALERT, { 'content-type': 'text/plain' }), {
    status: 415,
    body: { error: 'expected content-type application/json, got text/plain; set json_output: true in falco.yaml' },
  });
  assert.deepEqual(await post(ALERT, { 'content-encoding': 'br' }), {
    status: 415,
    body: { error: 'expected content-encoding gzip or none, got br' },
  });
  const large = {
    status: 413,
    body: { error: 'an alert of more than 1000 bytes; raise receivers.falco_http.max_alert_size' },
  };
  assert.deepEqual(await post(alert({ output: 'x'.repeat(1000) })), large);
  assert.deepEqual(await post(gzipSync(alert({ output: 'x'.repeat(100_000) })), { 'content-encoding': 'gzip' }), large);
  assert.deepEqual(await post('no gzip', { 'content-encoding': 'gzip' }), {
    status: 400,
    body: { error: 'expected a body that is gzip, as content-encoding says' },
  });
  assert.equal((await post(gzipSync(ALERT), { 'content-encoding': 'gzip' })).status, 200);
  await agent.command.metricUntil(outcome('unsupported'), (count) => count === 3);
  await agent.command.metricUntil(outcome('too_large'), (count) => count === 2);
  await agent.stop();
});

test('who asks whether Falcosidekick lives gets its answers', async (t) => {
  const { agent, url } = await start(t, { bearer_token_file: 'token' }, withToken(t));
  const ping = await fetch(new URL('/ping', url));
  assert.deepEqual([ping.status, await ping.text()], [200, 'pong\n']);
  const health = await fetch(new URL('/healthz', url));
  assert.deepEqual([health.status, await health.json()], [200, { status: 'ok' }]);
  await agent.stop();
});

test('with a token, only who shows it is let in', async (t) => {
  const { agent, post, outcome } = await start(t, { bearer_token_file: 'token', host: '0.0.0.0' }, withToken(t));
  assert.doesNotMatch(agent.command.stderr, /whoever reaches/);
  const refusal = { status: 401, body: { error: 'expected the bearer token of this receiver' } };
  assert.deepEqual(await post(ALERT), refusal);
  assert.deepEqual(await post(ALERT, { authorization: 'Bearer another' }), refusal);
  assert.equal((await post(ALERT, { authorization: 'Bearer a secret' })).status, 200);
  assert.equal(agent.stored().length, 1);
  await agent.command.metricUntil(outcome('unauthorized'), (count) => count === 2);
  await agent.stop();
});

test('with client authorities, only their clients are let in', async (t) => {
  const folder = temporaryFolder(t);
  certificates(folder);
  const tls = { cert_file: 'server.crt', key_file: 'server.key', client_ca_file: 'ca.crt' };
  const { agent, url } = await start(t, { tls }, folder);
  const file = (name: string) => readFileSync(join(folder, name));
  await assert.rejects(secure(url, { ca: file('ca.crt') }));
  await assert.rejects(secure(url, { ca: file('ca.crt'), cert: file('stranger.crt'), key: file('stranger.key') }));
  assert.deepEqual(agent.stored(), []);
  assert.equal(await secure(url, { ca: file('ca.crt'), cert: file('client.crt'), key: file('client.key') }), 200);
  assert.equal(agent.stored().length, 1);
  await agent.stop();
});

test('a port that is taken keeps the agent from starting, and is named', async (t) => {
  const first = await start(t);
  const taken = new AgentWith(t, { falco_http: { port: Number(new URL(first.url).port) } });
  assert.equal(await taken.command.ended(), 1);
  assert.match(taken.command.stderr, /cannot listen on 127\.0\.0\.1:\d+ \(receivers\.falco_http\): .*EADDRINUSE/);
  await first.agent.stop();
});

test('many nodes at once lose nothing', async (t) => {
  const { agent, post } = await start(t);
  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, index) => post(alert({ hostname: `node-${index}` }))),
  );
  assert.ok(answers.every(({ status }) => status === 200));
  assert.deepEqual(new Set(agent.stored()), new Set(answers.map(({ body }) => body.uuid)));
  assert.equal(agent.stored().length, 500);
  await agent.stop();
});

function withToken(t: TestContext): string {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'token'), 'a secret\n');
  return folder;
}

function secure(url: string, options: RequestOptions): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const request = httpsRequest(url, { method: 'POST', headers, agent: false, ...options }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
    request.end(ALERT);
  });
}
