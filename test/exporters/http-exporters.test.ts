import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { createResource } from '../../collector/pipeline/resource.ts';
import { detection } from '../fixtures/detections.ts';
import { HttpReceiver, type HttpReceiverSettings, type ReceivedRequest } from '../fixtures/http-receiver.ts';
import { startPipeline, type TestPipeline, temporaryFolder } from '../fixtures/pipeline.ts';
import { bulkAnswer } from './sinks.ts';

const QUICK = { retry: { initial_interval: '2ms', max_interval: '10ms' } };

async function start(test: TestContext, exporters: Record<string, object>): Promise<TestPipeline> {
  const pipeline = await startPipeline({ store: join(temporaryFolder(test), 's.db'), exporters });
  test.after(() => pipeline.shutdown(0));
  return pipeline;
}

function receive(test: TestContext, settings: HttpReceiverSettings = {}): Promise<HttpReceiver> {
  return new HttpReceiver(settings).listen(test);
}

async function flush(pipeline: TestPipeline): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  while (!(await pipeline.forceFlush()));
}

const bodies = ({ taken }: HttpReceiver) => taken.map(({ request }) => JSON.parse(request.body));

it('gives Alertmanager labels that repeats share, and an end that lies ahead', async (test) => {
  const receiver = await receive(test);
  const pipeline = await start(test, { alertmanager: { urls: [receiver.url], resolve_after: '10m', ...QUICK } });
  const evidence = (pod: string) => ({
    'proc.pid': 1,
    'k8s.ns.name': 'shop',
    'k8s.deployment.name': 'api',
    'k8s.pod.name': pod,
  });
  pipeline.emit(detection(1, { time: '2020-01-01T00:00:00.000000000Z', evidence: evidence('api-1') }));
  await flush(pipeline);
  pipeline.emit(detection(2, { evidence: evidence('api-2') }));
  await flush(pipeline);
  const [[first], [second]] = bodies(receiver) as [[Alert], [Alert]];
  assert.deepEqual(first.labels, {
    alertname: 'Read sensitive file untrusted',
    severity: 'warning',
    priority: 'warning',
    source: 'syscall',
    host: 'node-1',
    namespace: 'shop',
    workload: 'api',
  });
  assert.deepEqual(second.labels, first.labels, 'another pod and process, the same alert');
  assert.equal(first.annotations.pod, 'api-1');
  assert.equal(first.startsAt, '2020-01-01T00:00:00.000000000Z');
  assert.ok(Date.parse(first.endsAt) > Date.now(), 'a late alert does not arrive as one that is over');
});

interface Alert {
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
  readonly startsAt: string;
  readonly endsAt: string;
}

it('delivers to every Alertmanager, and is done when one of them has it', async (test) => {
  const [well, ill] = [await receive(test), await receive(test)];
  ill.faults = [{ status: 500 }, 'reset'];
  const pipeline = await start(test, { alertmanager: { urls: [ill.url, well.url], ...QUICK } });
  for (const index of [1, 2, 3]) {
    pipeline.emit(detection(index));
    await flush(pipeline);
  }
  assert.deepEqual([well.taken.length, ill.taken.length], [3, 1]);
  const said = pipeline.lines.filter(({ peer }) => peer === `${ill.url}/api/v2/alerts`).map(({ msg }) => msg);
  assert.deepEqual(said, ['an Alertmanager does not take alerts', 'the Alertmanager is back']);
});

it('tries again when no Alertmanager answers', async (test) => {
  const [one, two] = [await receive(test), await receive(test)];
  one.faults = ['reset', { status: 503 }];
  two.faults = [{ status: 500 }, { status: 400 }];
  const pipeline = await start(test, { alertmanager: { urls: [one.url, two.url], ...QUICK } });
  pipeline.emit(detection(1));
  await flush(pipeline);
  assert.deepEqual([one.taken.length, two.taken.length], [1, 1]);
  assert.equal(pipeline.store.deadLetters.count(), 0);
});

it("names Loki's structured metadata as Loki does for OTLP, and keeps every digit", async (test) => {
  const receiver = await receive(test);
  const pipeline = await start(test, { loki: { url: receiver.url, ...QUICK } });
  const one = detection(1, { priority: 'Emergency' });
  pipeline.emit(one);
  await flush(pipeline);
  const [{ streams }] = bodies(receiver) as [
    { streams: { stream: object; values: [string, string, Record<string, string>][] }[] },
  ];
  assert.deepEqual(streams[0]!.stream, {
    service_name: 'shikra',
    level: 'critical',
    priority: 'emergency',
    source: 'syscall',
    host: 'node-1',
  });
  const [nanos, line, metadata] = streams[0]!.values[0]!;
  assert.equal(nanos, '1795000000123456790');
  assert.equal(line, one.output);
  assert.equal(metadata.log_record_uid, one.uuid);
  assert.equal(
    metadata.host_name,
    createResource({ version: '1' }).attributes['host.name'],
    "the agent's own, as over OTLP",
  );
  assert.equal(metadata.service_name, undefined, 'a label already');
  assert.equal(metadata.security_rule_name, one.rule);
  assert.equal(metadata.process_command_line, 'cat /etc/shadow');
  assert.equal(metadata.shikra_event_number, '9007199254740993');
});

it('answers in the thread of the first detection when one repeats', async (test) => {
  let number = 0;
  const accept = () => ({ status: 200, body: JSON.stringify({ ok: true, ts: `17000000${number++}.000100` }) });
  const receiver = await receive(test, { accept });
  const slack = { token: 'xoxb-1', channel: 'C1', api_url: receiver.url, ...QUICK };
  const pipeline = await start(test, { slack, 'slack/flat': { ...slack, channel: 'C2', thread_window: '0s' } });
  for (const index of [1, 2, 3]) pipeline.emit(detection(index, { rule: index === 3 ? 'Other' : 'Same' }));
  await flush(pipeline);
  const threads = (channel: string) =>
    bodies(receiver)
      .filter((body) => body.channel === channel)
      .map(({ thread_ts }) => thread_ts !== undefined);
  assert.deepEqual(threads('C1'), [false, true, false]);
  assert.deepEqual(threads('C2'), [false, false, false]);
});

it('begins a new thread when someone has deleted the first message', async (test) => {
  const accept = () => ({ status: 200, body: '{"ok":true,"ts":"1.1"}' });
  const receiver = await receive(test, { accept });
  const pipeline = await start(test, { slack: { token: 'xoxb-1', channel: 'C1', api_url: receiver.url, ...QUICK } });
  pipeline.emit(detection(1));
  await flush(pipeline);
  receiver.faults = [{ status: 200, body: '{"ok":false,"error":"thread_not_found"}' }];
  pipeline.emit(detection(2));
  await flush(pipeline);
  assert.deepEqual(
    bodies(receiver).map(({ thread_ts }) => thread_ts),
    [undefined, undefined],
  );
  assert.equal(pipeline.store.deadLetters.count(), 0);
});

it("reads Slack's errors out of answers with status 200", async (test) => {
  const receiver = await receive(test, { accept: () => ({ status: 200, body: '{"ok":true,"ts":"1.1"}' }) });
  receiver.faults = [
    { status: 200, body: '{"ok":false,"error":"ratelimited"}' },
    { status: 200, body: '{"ok":false,"error":"channel_not_found"}' },
  ];
  const pipeline = await start(test, { slack: { token: 'xoxb-1', channel: 'C1', api_url: receiver.url, ...QUICK } });
  pipeline.emit(detection(1));
  pipeline.emit(detection(2));
  await flush(pipeline);
  assert.deepEqual(
    pipeline.store.deadLetters.list().map(({ reason }) => reason),
    ['HTTP 200 channel_not_found'],
  );
  assert.equal(receiver.taken.length, 1);
});

for (const [type, config, isResolve] of [
  [
    'pagerduty',
    { routing_key: 'R1', resolve_after: '60ms' },
    ({ body }: ReceivedRequest) => JSON.parse(body).event_action === 'resolve',
  ],
  ['opsgenie', { api_key: 'K1', close_after: '60ms' }, ({ path }: ReceivedRequest) => path.includes('/close?')],
] as const) {
  it(`closes what is quiet at ${type}, once, also when that fails at first`, async (test) => {
    const receiver = await receive(test);
    let refused = 0;
    receiver.refuse = (request) => (isResolve(request) && refused++ === 0 ? { status: 503 } : undefined);
    const pipeline = await start(test, { [type]: { ...config, url: receiver.url, ...QUICK } });
    pipeline.emit(detection(1));
    pipeline.emit(detection(2));
    await flush(pipeline);
    const closing = () => receiver.taken.filter(({ request }) => isResolve(request)).map(({ request }) => request);
    await receiver.until(() => closing().length === 1);
    const opening = receiver.taken.map(({ request }) => request).filter((request) => !isResolve(request));
    const keys = opening.map(({ body }) => JSON.parse(body).dedup_key ?? JSON.parse(body).alias);
    assert.equal(new Set(keys).size, 1, 'repeats join one incident');
    const [closed] = closing();
    assert.ok(closed!.path.includes(keys[0]) || JSON.parse(closed!.body).dedup_key === keys[0]);
    pipeline.emit(detection(3));
    await flush(pipeline);
    await receiver.until(() => closing().length === 2);
  });
}

it('parks the documents that Elasticsearch refuses, and only them', async (test) => {
  const receiver = await receive(test, {
    accept: (request) => bulkAnswer(request, (index) => (index === 2 ? 400 : 201)),
  });
  const pipeline = await start(test, { elasticsearch: { url: receiver.url, ...QUICK } });
  for (let index = 0; index < 5; index++) pipeline.emit(detection(index, { rule: `Rule ${index}` }));
  await flush(pipeline);
  assert.equal(receiver.taken.length, 1);
  assert.deepEqual(
    pipeline.store.deadLetters.list().map(({ item, reason }) => [item.detection.rule, reason]),
    [['Rule 2', 'HTTP 400 document_parsing_exception: failed to parse field [proc.pid]']],
  );
});

it('sends a batch again while Elasticsearch has no room for one of its documents', async (test) => {
  let tries = 0;
  const statuses = [
    [201, 429, 201],
    [409, 201, 409],
  ];
  const receiver = await receive(test, {
    accept: (request) => {
      const answer = bulkAnswer(request, (index) => statuses[tries]![index]!);
      tries++;
      return answer;
    },
  });
  const pipeline = await start(test, { elasticsearch: { url: receiver.url, ...QUICK } });
  for (let index = 0; index < 3; index++) pipeline.emit(detection(index));
  await flush(pipeline);
  assert.equal(receiver.taken.length, 2);
  assert.equal(
    receiver.taken[0]!.request.body,
    receiver.taken[1]!.request.body,
    'the same documents with the same ids',
  );
  assert.equal(pipeline.store.deadLetters.count(), 0);
});

it('signs requests as Standard Webhooks says, with a secret out of a file that may change', async (test) => {
  const receiver = await receive(test);
  const file = join(temporaryFolder(test), 'secret');
  const key = Buffer.from('0123456789abcdef');
  writeFileSync(file, `whsec_${key.toString('base64')}\n`);
  const pipeline = await start(test, { webhook: { url: receiver.url, signing_secret_file: file, ...QUICK } });
  const [one, two] = [detection(1), detection(2)];
  pipeline.emit(one);
  await flush(pipeline);
  writeFileSync(file, 'another secret');
  pipeline.emit(two);
  await flush(pipeline);
  const verify = ({ headers, body }: ReceivedRequest, secret: Buffer) => {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const expected = createHmac('sha256', secret).update(signed).digest('base64');
    assert.equal(headers['webhook-signature'], `v1,${expected}`);
  };
  const [first, second] = receiver.taken.map(({ request }) => request);
  assert.deepEqual([first!.headers['webhook-id'], second!.headers['webhook-id']], [one.uuid, two.uuid]);
  verify(first!, key);
  verify(second!, Buffer.from('another secret'));
});

it('does not start with a secret that cannot be read, and keeps detections if it vanishes later', async (test) => {
  const receiver = await receive(test);
  const file = join(temporaryFolder(test), 'secret');
  const exporters = { webhook: { url: receiver.url, bearer_token_file: file, ...QUICK } };
  await assert.rejects(start(test, exporters), {
    code: 'CONFIG_INVALID',
    message: `the configuration has mistakes: exporters.webhook.bearer_token_file: expected a file that can be read, got ${file} (ENOENT)`,
  });
  writeFileSync(file, ' \n');
  await assert.rejects(start(test, exporters), /expected a secret, got the empty file/);
  writeFileSync(file, 'token\n');
  const pipeline = await start(test, exporters);
  rmSync(file);
  pipeline.emit(detection(1));
  assert.equal(await pipeline.forceFlush(), false);
  writeFileSync(file, 'token\n');
  await flush(pipeline);
  assert.equal(receiver.taken[0]!.request.headers.authorization, 'Bearer token');
});

it('follows no redirect: the next host would get the secrets', async (test) => {
  const [receiver, other] = [await receive(test), await receive(test)];
  receiver.refuse = () => ({ status: 307, headers: { location: other.url } });
  const pipeline = await start(test, { webhook: { url: receiver.url, bearer_token: 'token', ...QUICK } });
  pipeline.emit(detection(1));
  await flush(pipeline);
  assert.equal(other.requests, 0);
  assert.equal(pipeline.store.deadLetters.count(), 1);
});

it('waits as long as Discord says in its answer', async (test) => {
  const receiver = await receive(test, { accept: () => ({ status: 204 }) });
  receiver.faults = [{ status: 429, headers: { 'retry-after': '65' }, body: '{"retry_after": 0.02, "global": false}' }];
  const pipeline = await start(test, { discord: { webhook_url: receiver.url, ...QUICK } });
  pipeline.emit(detection(1));
  await flush(pipeline);
  assert.equal(receiver.taken.length, 1);
});
