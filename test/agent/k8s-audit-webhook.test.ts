/** The agent as the audit webhook of an API server: real requests to a process of its own. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { certificates } from '../fixtures/certificates.ts';
import { Command, temporaryFolder } from '../kernel/agent-command.ts';
import { EXEC, event, type Json, SECRET_GET } from '../sources/k8s-audit/events.ts';

const RULES = `
- rule: Command in a pod
  desc: A test.
  source: k8s_audit
  condition: ka.target.subresource = exec
  output: "%ka.user.name %ka.auditid"
  priority: WARNING
`;

class Webhook {
  readonly agent: Command;
  readonly folder: string;

  constructor(t: TestContext, webhook: Json, folder = temporaryFolder(t), logs: string[] = []) {
    this.folder = folder;
    writeFileSync(join(folder, 'rules.yaml'), RULES);
    const receiver = {
      webhook: { port: 0, ...webhook },
      rules_files: ['rules.yaml'],
      ...(logs.length > 0 && { files: logs }),
    };
    const config = {
      receivers: { k8s_audit: receiver },
      exporters: { stdout: { format: 'json' }, prometheus: { port: 0 } },
      service: { store: { path: 'store.db' } },
    };
    writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config));
    this.agent = new Command(t, ['run', '-c', join(folder, 'config.yaml')]);
  }

  static async start(t: TestContext, webhook: Json = {}, folder?: string): Promise<Webhook> {
    const started = new Webhook(t, webhook, folder);
    await started.agent.until('it to watch', () => started.agent.stderr.includes('"msg":"watching '));
    return started;
  }

  get url(): string {
    return /"url":"([^"]*)","msg":"audit events are taken"/.exec(this.agent.stderr)![1]!;
  }

  async post(body: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: Json }> {
    return answer(await fetch(this.url, post(typeof body === 'string' ? body : JSON.stringify(body), headers)));
  }

  /** The uuids on disk. */
  stored(): string[] {
    const database = new DatabaseSync(join(this.folder, 'store.db'), { readOnly: true });
    try {
      return database
        .prepare('SELECT uid FROM detections ORDER BY seq')
        .all()
        .map((row) => String(row.uid));
    } finally {
      database.close();
    }
  }

  async stop(): Promise<void> {
    this.agent.child.kill('SIGTERM');
    assert.equal(await this.agent.ended(), 0, this.agent.stderr);
  }
}

function post(body: string, headers: Record<string, string> = {}): RequestInit {
  return { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } };
}

async function answer(response: Response): Promise<{ status: number; body: Json }> {
  return { status: response.status, body: (await response.json()) as Json };
}

/** As kube-apiserver sends it: items without kind and version. */
function batch(...events: Json[]): Json {
  const items = events.map(({ kind: _, apiVersion: __, ...item }) => item);
  return { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items };
}

const numbered = (number: number): Json => event({ ...EXEC, auditID: `audit-${number}` });

test('a batch is answered when its detections are on disk; sent again, it adds none', async (t) => {
  const webhook = await Webhook.start(t);
  const events = [numbered(1), SECRET_GET, numbered(2)];
  const url = `${webhook.url}?timeout=30s`;
  assert.deepEqual(await answer(await fetch(url, post(JSON.stringify(batch(...events))))), {
    status: 200,
    body: { accepted: 3 },
  });
  const stored = webhook.stored();
  assert.equal(stored.length, 2);
  assert.deepEqual(await webhook.post(batch(...events)), { status: 200, body: { accepted: 3 } });
  assert.deepEqual(webhook.stored(), stored);
  await webhook.agent.metricUntil('shikra_events_total{type="k8s_audit"}', (count) => count === 6);
  assert.equal(await webhook.agent.metric('shikra_store_records_total{outcome="duplicate"}'), 2);
  await webhook.stop();
});

test('bad events of a batch are told and counted, a batch of nothing else is refused', async (t) => {
  const webhook = await Webhook.start(t);
  const untimed = { ...numbered(2), stageTimestamp: undefined, requestReceivedTimestamp: undefined };
  const reason = 'items[1]: expected an RFC 3339 time in stageTimestamp or requestReceivedTimestamp, got neither';
  assert.deepEqual(await webhook.post(batch(numbered(1), untimed)), {
    status: 200,
    body: { accepted: 1, rejected: 1, problems: [reason] },
  });
  assert.match(webhook.agent.stderr, /"127\.0\.0\.1 items\[1\]: expected an RFC 3339 time/);
  assert.deepEqual(await webhook.post({ kind: 'Pod', apiVersion: 'v1' }), {
    status: 400,
    body: { error: 'expected kind Event or EventList, got "Pod"' },
  });
  const broken = await webhook.post('{"kind":');
  assert.equal(broken.status, 400);
  assert.match(String(broken.body.error), /^no JSON: /);
  const deep = await webhook.post(`${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`);
  assert.deepEqual(deep, { status: 400, body: { error: `${'[0]'.repeat(8)}: more than 8 lists in one another` } });
  assert.deepEqual(await webhook.post(batch()), { status: 200, body: { accepted: 0 } });
  await webhook.agent.metricUntil('shikra_k8s_audit_rejected_total{reason="no_time"}', (count) => count === 1);
  await webhook.stop();
});

test('what is no batch is refused with a reason', async (t) => {
  const webhook = await Webhook.start(t, { max_batch_size: '100kB', path: '/audit' });
  const reply = async (path: string, init: RequestInit) => {
    const { status, body } = await answer(await fetch(new URL(path, webhook.url), init));
    return [status, body.error];
  };
  assert.deepEqual(await reply('/k8s-audit', post('{}')), [404, 'expected /audit, got /k8s-audit']);
  assert.deepEqual(await reply('/audit', {}), [405, 'expected POST, got GET']);
  const type = post('{}', { 'content-type': 'text/plain' });
  assert.deepEqual(await reply('/audit', type), [415, 'expected content-type application/json, got text/plain']);
  const encoded = post('{}', { 'content-encoding': 'gzip' });
  assert.deepEqual(await reply('/audit', encoded), [415, 'expected no content-encoding, got gzip']);
  const large = [
    413,
    'a batch of more than 100000 bytes; lower --audit-webhook-batch-max-size, or raise receivers.k8s_audit.webhook.max_batch_size',
  ];
  const body = JSON.stringify(batch(...Array.from({ length: 300 }, (_, index) => numbered(index))));
  assert.deepEqual(await reply('/audit', post(body)), large);
  assert.deepEqual(await chunked(webhook.url, body), large, 'also when its length is not said before');
  assert.deepEqual(webhook.stored(), []);
  await webhook.stop();
});

test('a sender that breaks off in the middle of a batch harms nobody', async (t) => {
  const webhook = await Webhook.start(t);
  const { port, hostname, pathname } = new URL(webhook.url);
  for (let index = 0; index < 6; index++) {
    const socket = connect(Number(port), hostname);
    await new Promise<void>((resolve) => {
      const head = `POST ${pathname} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"kind"`;
      socket.write(head, () => {
        socket.destroy();
        socket.once('close', () => resolve());
      });
    });
  }
  assert.equal((await webhook.post(batch(numbered(1)))).status, 200);
  await webhook.stop();
});

test('only a sender with the token is let in', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'token'), 'a secret\n');
  const webhook = await Webhook.start(t, { bearer_token_file: 'token', host: '0.0.0.0' }, folder);
  assert.doesNotMatch(webhook.agent.stderr, /whoever reaches/);
  for (const authorization of ['', 'Bearer ', 'Bearer another', 'Basic a secret']) {
    const { status } = await webhook.post(batch(numbered(1)), { authorization });
    assert.equal(status, 401, authorization);
  }
  assert.deepEqual(webhook.stored(), []);
  assert.equal((await webhook.post(batch(numbered(1)), { authorization: 'Bearer a secret' })).status, 200);
  await webhook.stop();
});

test('a webhook that anybody can reach is warned about', async (t) => {
  const webhook = await Webhook.start(t, { host: '0.0.0.0' });
  assert.match(webhook.agent.stderr, /whoever reaches the webhook can make events up: set bearer_token_file or tls/);
  await webhook.stop();
});

test('over HTTPS only a client with a certificate of the authority is let in', async (t) => {
  const folder = temporaryFolder(t);
  certificates(folder);
  const tls = { cert_file: 'server.crt', key_file: 'server.key', client_ca_file: 'ca.crt' };
  const webhook = await Webhook.start(t, { tls }, folder);
  assert.match(webhook.url, /^https:/);
  const ca = readFileSync(join(folder, 'ca.crt'));
  const body = JSON.stringify(batch(numbered(1)));
  await assert.rejects(secure(webhook.url, body, { ca }));
  const stranger = {
    cert: readFileSync(join(folder, 'stranger.crt')),
    key: readFileSync(join(folder, 'stranger.key')),
  };
  await assert.rejects(secure(webhook.url, body, { ca, ...stranger }));
  assert.deepEqual(webhook.stored(), []);
  const client = { cert: readFileSync(join(folder, 'client.crt')), key: readFileSync(join(folder, 'client.key')) };
  assert.equal(await secure(webhook.url, body, { ca, ...client }), 200);
  assert.equal(webhook.stored().length, 1);
  await webhook.stop();
});

test('what keeps the webhook from being there keeps the agent from starting', async (t) => {
  const first = await Webhook.start(t);
  const taken = new Webhook(t, { port: Number(new URL(first.url).port) });
  assert.equal(await taken.agent.ended(), 1);
  assert.match(taken.agent.stderr, /cannot listen on 127\.0\.0\.1:\d+ \(receivers\.k8s_audit\.webhook\): .*EADDRINUSE/);
  const missing = new Webhook(t, { bearer_token_file: 'nowhere' });
  assert.equal(await missing.agent.ended(), 2);
  assert.match(missing.agent.stderr, /receivers\.k8s_audit\.webhook\.bearer_token_file: ENOENT/);
  await first.stop();
  writeFileSync(join(first.folder, 'a.pem'), 'no certificate');
  const tls = { cert_file: 'a.pem', key_file: 'a.pem' };
  const broken = new Webhook(t, { tls }, first.folder);
  assert.equal(await broken.agent.ended(), 2);
  assert.match(broken.agent.stderr, /the configuration has mistakes: receivers\.k8s_audit\.webhook\.tls: /);
});

/** Without a content-length. */
function chunked(url: string, body: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const request = httpRequest(url, { method: 'POST', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve([response.statusCode, JSON.parse(text).error]));
    });
    request.on('error', reject);
    for (let start = 0; start < body.length; start += 10_000) request.write(body.slice(start, start + 10_000));
    request.end();
  });
}

function secure(url: string, body: string, options: RequestOptions): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const request = httpsRequest(url, { method: 'POST', headers, agent: false, ...options }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
    request.end(body);
  });
}
