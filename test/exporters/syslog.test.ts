import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { PRIORITIES } from '../../collector/detection/priority.ts';
import { formatMessage } from '../../exporters/syslog/message.ts';
import { detection } from '../fixtures/detections.ts';
import { freePort } from '../fixtures/free-ports.ts';
import { startPipeline, type TestPipeline, temporaryFolder } from '../fixtures/pipeline.ts';
import { SyslogServer } from '../fixtures/syslog-server.ts';

const RETRY = { retry: { initial_interval: '2ms', max_interval: '10ms' } };
/** RFC 5424: PRI VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP STRUCTURED-DATA SP MSG */
const RFC5424 =
  /^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) ([!-~]{1,255}) ([!-~]{1,48}) - ([!-~]{1,32}) (\[[!-~]{1,32}(?: [!-~]+="(?:[^"\\\]]|\\["\\\]])*")*\]) \ufeff(.*)$/s;

async function start(test: TestContext, syslog: object): Promise<TestPipeline> {
  const exporters = { syslog: { host: '127.0.0.1', ...RETRY, ...syslog } };
  const pipeline = await startPipeline({ store: join(temporaryFolder(test), 's.db'), exporters });
  test.after(() => pipeline.shutdown(0));
  return pipeline;
}

const SETTINGS = { facility: 'local0', format: 'json', app_name: 'shikra', maxBytes: 8192 } as const;

it('writes messages of RFC 5424 with the severity of the priority', () => {
  for (const [severity, priority] of PRIORITIES.entries()) {
    const one = detection(1, { priority, rule: 'A "quoted] \\ rule', hostname: 'node 1 ü' });
    const [, pri, time, host, app, id, data, text] = RFC5424.exec(formatMessage(one, SETTINGS)) ?? [];
    assert.deepEqual([pri, host, app, id], [String(16 * 8 + severity), 'node1', 'shikra', 'detection']);
    assert.equal(time, `${one.time.slice(0, 26)}Z`);
    assert.match(data!, /rule="A \\"quoted\\\] \\\\ rule"/);
    assert.equal((JSON.parse(text!) as { uuid: string }).uuid, one.uuid);
  }
});

it('cuts at the limit and keeps the structured data; a newline forges no line', () => {
  const one = detection(1, { output: `first\n<0>1 forged ${'ü'.repeat(5000)}` });
  const message = formatMessage(one, { ...SETTINGS, format: 'text', maxBytes: 1000 });
  assert.ok(Buffer.byteLength(message) <= 1000);
  assert.match(message, RFC5424);
  assert.ok(message.includes(`uid="${one.uuid}"`));
  assert.doesNotMatch(message, /\n/);
});

it('escapes what CEF takes for its own', () => {
  const one = detection(1, { rule: 'a|b\\c', output: 'x=1 y\\z\nw', priority: 'Alert' });
  const text = RFC5424.exec(formatMessage(one, { ...SETTINGS, format: 'cef' }))?.[7] ?? '';
  assert.match(text, /^CEF:0\|Shikra\|Shikra\|1\|shikra_rules\|a\\\|b\\\\c\|9\|externalId=/);
  assert.match(text, /msg=x\\=1 y\\\\z\\nw cs1Label=/);
});

it('sends over TCP in order, and goes on after the server was away', async (test) => {
  const server = await new SyslogServer().listen(await freePort());
  const pipeline = await start(test, { protocol: 'tcp', port: server.port });
  for (let index = 0; index < 50; index++) pipeline.emit(detection(index, { output: `number=${index}` }));
  await server.until(50);
  const { port } = server;
  await server.close();
  // The end of the connection is noticed before the next batch.
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (let index = 50; index < 60; index++) pipeline.emit(detection(index, { output: `number=${index}` }));
  assert.equal(await pipeline.forceFlush(), false);
  const again = await new SyslogServer().listen(port);
  test.after(() => again.close());
  await again.until(10);
  const numbers = [...server.messages, ...again.messages].map((message) => Number(/number=(\d+)/.exec(message)?.[1]));
  assert.deepEqual(
    numbers,
    Array.from({ length: 60 }, (_, index) => index),
  );
});

it('sends over UDP, each message a datagram of at most 2048 bytes', async (test) => {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  test.after(() => socket.close());
  const pipeline = await start(test, { protocol: 'udp', port: socket.address().port, format: 'text' });
  pipeline.emit(detection(1, { output: 'x'.repeat(9000) }));
  const [datagram] = (await once(socket, 'message')) as [Buffer];
  assert.ok(datagram.length <= 2048);
  assert.match(datagram.toString(), RFC5424);
});

it('keeps over UDP what the server says that nobody listens for', async (test) => {
  const port = await freePort();
  const pipeline = await start(test, { protocol: 'udp', port });
  const sent = [detection(1), detection(2)];
  for (const one of sent) pipeline.emit(one);
  assert.equal(await pipeline.forceFlush(), false);
  const messages: string[] = [];
  const back = createSocket('udp4', (datagram) => messages.push(datagram.toString())).bind(port, '127.0.0.1');
  test.after(() => back.close());
  await once(back, 'listening');
  while (!(await pipeline.forceFlush()));
  assert.deepEqual(
    messages.map((message) => /uid="([^"]+)"/.exec(message)?.[1]),
    sent.map(({ uuid }) => uuid),
  );
});
