import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { detection } from '../fixtures/detections.ts';
import { startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';
import { SmtpServer } from '../fixtures/smtp-server.ts';

async function arrange(test: TestContext, config: object = {}) {
  const server = await new SmtpServer().listen(test);
  const smtp = {
    host: '127.0.0.1',
    port: server.port,
    security: 'none',
    from: 'Shikra <shikra@example.com>',
    to: ['soc@example.com', 'oncall@example.com'],
    retry: { initial_interval: '2ms', max_interval: '10ms' },
    ...config,
  };
  const pipeline = await startPipeline({ store: join(temporaryFolder(test), 's.db'), exporters: { smtp } });
  test.after(() => pipeline.shutdown(0));
  const flush = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    while (!(await pipeline.forceFlush()));
  };
  return { server, pipeline, flush };
}

it('sends what has come up as one mail, whose subject is about the worst of it', async (test) => {
  const { server, pipeline, flush } = await arrange(test, { username: 'u', password: 'secretsecret' });
  pipeline.emit(detection(1));
  pipeline.emit(
    detection(2, { rule: 'Reverse\r\nBcc: x@example.com', priority: 'Critical', output: 'a <b> & "c" 💀' }),
  );
  pipeline.emit(detection(3));
  await flush();
  assert.equal(server.mails.length, 1);
  const [{ from, to, data }] = server.mails as [(typeof server.mails)[0]];
  assert.equal(from, 'shikra@example.com');
  assert.deepEqual(to, ['soc@example.com', 'oncall@example.com'], 'and nobody that a rule brought in');
  const subject = /^Subject: (.*(?:\n .*)*)/m.exec(data)?.[1]?.replace(/\n /g, ' ');
  assert.equal(subject, '[Critical] Reverse Bcc: x@example.com on node-1 (and 2 more)');
  assert.doesNotMatch(data.split('\n\n')[0]!, /^Bcc:/m);
  assert.match(data.replaceAll('=\n', ''), /a &lt;b&gt; &amp; &quot;c&quot;/);
  assert.match(data, /detections\.jsonl/);
  assert.deepEqual(server.logins, ['\u0000u\u0000secretsecret']);
});

it('tries again after 4xx and a refused connection, and parks after 5xx', async (test) => {
  const { server, pipeline, flush } = await arrange(test, { batch: { max_records: 1 } });
  server.refusals.set('MAIL', '451 try later');
  pipeline.emit(detection(1));
  await flush();
  assert.equal(server.mails.length, 1);
  server.refusals.set('RCPT', '550 no such user\u001b[2J');
  server.refusals.set('EHLO', '421 busy');
  pipeline.emit(detection(2));
  await flush();
  assert.equal(pipeline.store.deadLetters.count() + server.mails.length, 2);
});

it('parks whole what a refused login costs, without the password in the reason', async (test) => {
  const { server, pipeline, flush } = await arrange(test, { username: 'u', password: 'secretsecret' });
  server.refusals.set('AUTH', '535 5.7.8 no');
  pipeline.emit(detection(1));
  pipeline.emit(detection(2));
  await flush();
  const letters = pipeline.store.deadLetters.list();
  assert.equal(letters.length, 2);
  assert.match(letters[0]!.reason, /535/);
  assert.doesNotMatch(JSON.stringify(pipeline.lines) + letters[0]!.reason, /secretsecret/);
});

it('writes nothing in the clear to a server that does not offer STARTTLS', async (test) => {
  const { server, pipeline } = await arrange(test, { security: 'starttls' });
  pipeline.emit(detection(1));
  assert.equal(await pipeline.forceFlush(), false);
  assert.equal(server.mails.length, 0);
  assert.equal(pipeline.store.deadLetters.count(), 0);
});
