/**
 * Certificates, keys and tokens were read when the agent started, or its configuration changed. cert-manager renews a certificate by replacing its files: from the day that the one of the
 * start expired, a receiver was shut to everybody, and an exporter's receiver refused it.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { certificates } from '../fixtures/certificates.ts';
import { OtlpReceiver, serveGrpc, serveHttp } from '../fixtures/otlp-receiver.ts';
import { temporaryFolder } from '../kernel/agent-command.ts';
import { AgentWith } from './agent-with.ts';

const NAMES = ['ca.crt', 'server.crt', 'server.key', 'client.crt', 'client.key'];
const QUICK = { retry: { initial_interval: '10ms', max_interval: '50ms' }, timeout: '2s' };
const CANNOT_USE = 'what the files had before is in use';

/** A folder with the files of one authority, and another with those of the next. */
function twoAuthorities(t: TestContext): { folder: string; first: Files; second: Files } {
  const folder = temporaryFolder(t);
  certificates(folder);
  const first = filesIn(folder);
  mkdirSync(join(folder, 'next'));
  certificates(join(folder, 'next'));
  return { folder, first, second: filesIn(join(folder, 'next')) };
}

type Files = Readonly<Record<string, Buffer>>;
const filesIn = (folder: string): Files =>
  Object.fromEntries(NAMES.map((name) => [name, readFileSync(join(folder, name))]));

/** As whoever renews does it: another file takes the place of the one that is there. */
function replace(folder: string, name: string, content: Buffer | string): void {
  writeFileSync(join(folder, `${name}.new`), content);
  renameSync(join(folder, `${name}.new`), join(folder, name));
}

const server = (files: Files) => ({ key: files['server.key']!, cert: files['server.crt']!, ca: files['ca.crt']! });
const client = (files: Files) => ({ key: files['client.key']!, cert: files['client.crt']!, ca: files['ca.crt']! });

let alerts = 0;

/** @returns the status, or the code of the error that TLS ended with */
function post(url: string, tls: object = {}, token = 'first'): Promise<number | string> {
  const time = `2026-11-18T11:10:00.${String(alerts++).padStart(9, '0')}Z`;
  const alert = { rule: 'A rule', priority: 'Warning', time, output: `number ${alerts}`, output_fields: { alerts } };
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  return new Promise((resolve) => {
    const request = httpsRequest(url, { method: 'POST', headers, agent: false, ...tls }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode!));
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    request.end(JSON.stringify(alert));
  });
}

/** Whether a server shows a certificate of the authority. */
function isTrusted(port: number, tls: object): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], ...tls });
    const settle = (trusted: boolean) => {
      socket.destroy();
      resolve(trusted);
    };
    socket.on('secureConnect', () => settle(true)).on('error', () => settle(false));
  });
}

test('a receiver shows a renewed certificate and lets the clients of a renewed authority in, without a restart', async (t) => {
  const { folder, first, second } = twoAuthorities(t);
  const tls = { cert_file: 'server.crt', key_file: 'server.key', client_ca_file: 'ca.crt' };
  const receivers = { falco_http: { port: 0, tls }, otlp: { grpc: { port: 0, tls } } };
  const agent = await AgentWith.start(t, receivers, {}, folder);
  const url = agent.url('alerts of Falco are taken');
  const grpcPort = Number(new URL(agent.url('OTLP is taken over gRPC')).port);
  assert.equal(await post(url, client(first)), 200);
  assert.equal(await isTrusted(grpcPort, client(first)), true);

  // Between two files of three: the new certificate does not fit the old key.
  replace(folder, 'server.crt', second['server.crt']!);
  assert.equal(await post(url, client(first)), 200);
  await agent.command.until('it to tell', () => agent.command.stderr.includes(CANNOT_USE));
  replace(folder, 'server.key', second['server.key']!);
  replace(folder, 'ca.crt', second['ca.crt']!);

  assert.equal(await post(url, client(second)), 200);
  const stranger = { ...client(first), ca: second['ca.crt']! };
  assert.notEqual(await post(url, stranger), 200, 'a client of the authority from before');
  while (!(await isTrusted(grpcPort, client(second)))) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(await isTrusted(grpcPort, client(first)), false);
  await agent.stop();
});

test('a receiver asks for the token that its file has now', async (t) => {
  const { folder, first } = twoAuthorities(t);
  writeFileSync(join(folder, 'token'), 'first\n');
  const tls = { cert_file: 'server.crt', key_file: 'server.key' };
  const receivers = { falco_http: { port: 0, tls, bearer_token_file: 'token' } };
  const agent = await AgentWith.start(t, receivers, {}, folder);
  const url = agent.url('alerts of Falco are taken');
  const ca = { ca: first['ca.crt']! };
  assert.equal(await post(url, ca, 'first'), 200);
  replace(folder, 'token', 'second\n');
  assert.equal(await post(url, ca, 'first'), 401);
  assert.equal(await post(url, ca, 'second'), 200);
  replace(folder, 'token', '');
  assert.equal(await post(url, ca, ''), 401, 'an empty file opens no door');
  assert.equal(await post(url, ca, 'second'), 200);
  const told = 'receivers.falco_http.bearer_token_file: expected a token, got an empty file';
  await agent.command.until('it to tell', () => agent.command.stderr.includes(told));
  await agent.stop();
});

for (const [name, serve, settings] of [
  ['otlp over HTTP', serveHttp, { protocol: 'http/protobuf' }],
  ['otlp over gRPC', serveGrpc, { protocol: 'grpc' }],
] as const) {
  test(`${name} trusts a renewed authority and shows a renewed certificate, without a restart`, async (t) => {
    const { folder, first, second } = twoAuthorities(t);
    const file = (key: string) => join(folder, key);
    const receiver = new OtlpReceiver();
    const before = await serve(receiver, 0, server(first));
    const tls = { ca_file: file('ca.crt'), cert_file: file('client.crt'), key_file: file('client.key') };
    const exporters = { otlp: { endpoint: before.url, ...settings, tls, ...QUICK } };
    const input = { falco_http: { port: 0, tls: { cert_file: 'server.crt', key_file: 'server.key' } } };
    const agent = await AgentWith.start(t, input, { exporters }, folder);
    const url = agent.url('alerts of Falco are taken');
    assert.equal(await post(url, { ca: first['ca.crt']! }), 200);
    await receiver.until(() => receiver.uids.length > 0, 'the first');

    await before.close();
    for (const each of NAMES) replace(folder, each, second[each]!);
    const after = await serve(receiver, before.port, server(second));
    t.after(() => after.close());
    assert.equal(await post(url, { ca: second['ca.crt']! }), 200);
    // The first comes again if its answer was cut off with the server.
    const arrived = () => new Set(receiver.uids);
    await receiver.until(() => arrived().size >= 2, 'the second');
    assert.deepEqual(arrived(), new Set(agent.stored()));
    await agent.stop();
  });
}
