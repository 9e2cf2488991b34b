import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { ReplyReader } from '../../exporters/redis/reply-reader.ts';
import { detection, detections } from '../fixtures/detections.ts';
import { freePort } from '../fixtures/free-ports.ts';
import { startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

/** A real server, whose data live in memory. */
async function serve(port: number, ...options: string[]): Promise<ChildProcess> {
  const parameters = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...options];
  const child = spawn('redis-server', parameters, { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout! })) if (line.includes('Ready to accept')) break;
  child.stdout!.resume();
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function cli(port: number, ...words: string[]): string {
  return spawnSync('redis-cli', ['-p', String(port), ...words], { encoding: 'utf8', timeout: 10_000 }).stdout;
}

/** What a reader of the stream gets. */
function uids(port: number, stream = 'shikra'): string[] {
  const lines = cli(port, 'XRANGE', stream, '-', '+').split('\n');
  return lines.flatMap((line, index) => (line === 'uid' ? [lines[index + 1]!] : []));
}

async function arrange(test: TestContext, config: object = {}, options: string[] = []) {
  const port = await freePort();
  let server = await serve(port, ...options);
  const exporters = {
    redis: { host: '127.0.0.1', port, retry: { initial_interval: '2ms', max_interval: '20ms' }, ...config },
  };
  const pipeline = await startPipeline({ store: join(temporaryFolder(test), 's.db'), exporters });
  test.after(async () => {
    await pipeline.shutdown(0);
    await stop(server);
  });
  const flush = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    while (!(await pipeline.forceFlush()));
  };
  const restart = async () => {
    await stop(server);
    server = await serve(port, ...options);
  };
  return { port, pipeline, flush, restart, stop: () => stop(server) };
}

describe('redis', { skip: hasRedis ? false : 'needs redis-server' }, () => {
  it('adds detections to a stream, in order and once', async (test) => {
    const { port, pipeline, flush } = await arrange(test);
    const sent = detections(250);
    for (const one of sent) pipeline.emit(one);
    await flush();
    assert.deepEqual(
      uids(port),
      sent.map(({ uuid }) => uuid),
    );
    const json = cli(port, 'XREVRANGE', 'shikra', '+', '-', 'COUNT', '1').split('\n').at(-2)!;
    assert.equal((JSON.parse(json) as { rule: string }).rule, 'Read sensitive file untrusted');
  });

  it('logs in, chooses the database, and bounds the stream', async (test) => {
    const config = {
      password: 'secretsecret',
      database: 3,
      stream: 'alerts',
      max_length: 100,
      batch: { max_records: 1000 },
    };
    const { port, pipeline, flush } = await arrange(test, config, ['--requirepass', 'secretsecret']);
    for (const one of detections(1000)) pipeline.emit(one);
    await flush();
    const length = Number(cli(port, '-a', 'secretsecret', '--no-auth-warning', '-n', '3', 'XLEN', 'alerts'));
    assert.ok(length >= 100 && length < 300, `${length} entries`);
  });

  it('goes on when the server was killed and is back', async (test) => {
    const { port, pipeline, flush, restart, stop } = await arrange(test);
    const sent = detections(20);
    for (const one of sent.slice(0, 10)) pipeline.emit(one);
    await flush();
    await stop();
    for (const one of sent.slice(10)) pipeline.emit(one);
    assert.equal(await pipeline.forceFlush(), false);
    await restart();
    await flush();
    assert.deepEqual(
      uids(port),
      sent.slice(10).map(({ uuid }) => uuid),
    );
  });

  it('waits while the server has no memory, and parks what a wrong key or password costs', async (test) => {
    const { port, pipeline, flush } = await arrange(test);
    cli(port, 'CONFIG', 'SET', 'maxmemory', '1');
    const one = detection(1);
    pipeline.emit(one);
    assert.equal(await pipeline.forceFlush(), false);
    cli(port, 'CONFIG', 'SET', 'maxmemory', '0');
    await flush();
    assert.deepEqual(uids(port), [one.uuid]);
    cli(port, 'DEL', 'shikra');
    cli(port, 'SET', 'shikra', 'text');
    pipeline.emit(detection(2));
    await flush();
    assert.match(pipeline.store.deadLetters.list()[0]!.reason, /^WRONGTYPE /);
  });

  it('does not tell the password when it is wrong', async (test) => {
    const { pipeline, flush } = await arrange(test, { password: 'wrongwrong' }, ['--requirepass', 'secretsecret']);
    pipeline.emit(detection(1));
    await flush();
    const [letter] = pipeline.store.deadLetters.list();
    assert.match(letter!.reason, /^WRONGPASS /);
    assert.doesNotMatch(JSON.stringify(pipeline.lines) + letter!.reason, /wrongwrong/);
  });
});

it('cuts replies out of any pieces', () => {
  const text =
    '+OK\r\n$5\r\nhe\r\no\r\n$-1\r\n:12\r\n*2\r\n$2\r\nab\r\n*1\r\n:1\r\n-ERR no\r\n*2\r\n+OK\r\n-WRONGTYPE x\r\n*-1\r\n*0\r\n';
  const expected = [
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    'ERR no',
    'WRONGTYPE x',
    'EXECABORT',
    undefined,
  ];
  for (let size = 1; size <= text.length; size++) {
    const replies: (string | undefined)[] = [];
    const reader = new ReplyReader();
    reader.onReply = (error) => replies.push(error?.startsWith('EXECABORT') ? 'EXECABORT' : error);
    for (let at = 0; at < text.length; at += size) reader.push(Buffer.from(text.slice(at, at + size)));
    assert.deepEqual(replies, expected, `in pieces of ${size}`);
  }
});
