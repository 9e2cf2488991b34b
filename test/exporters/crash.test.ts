import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { freePort } from '../fixtures/free-ports.ts';
import { OtlpReceiver, serveGrpc } from '../fixtures/otlp-receiver.ts';
import { startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

const COUNT = 500;
const child = new URL('../fixtures/emit-and-wait.ts', import.meta.url).pathname;

/** Runs the child until everything is stored. */
async function emitAndKill(path: string, endpoint: string, killWhen: () => Promise<void>): Promise<string[]> {
  const agent = spawn(process.execPath, [child, path, endpoint, String(COUNT)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(agent, 'exit');
  const [line] = (await once(createInterface({ input: agent.stdout }), 'line')) as [string];
  await killWhen();
  agent.kill('SIGKILL');
  const [, signal] = await exited;
  assert.equal(signal, 'SIGKILL');
  return JSON.parse(line) as string[];
}

it('delivers after kill -9 what was emitted while the receiver was away', async (test) => {
  const path = join(temporaryFolder(test), 'store.db');
  const receiver = new OtlpReceiver();
  const away = await serveGrpc(receiver, await freePort());
  await away.close();
  const uids = await emitAndKill(path, away.url, async () => {});
  assert.equal(receiver.records.length, 0);

  const server = await serveGrpc(receiver, away.port);
  const pipeline = await startPipeline({
    store: path,
    exporters: { otlp: { endpoint: server.url, protocol: 'grpc' } },
  });
  test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
  await receiver.until(() => receiver.records.length >= COUNT, 'what was stored before the kill');
  assert.deepEqual(receiver.uids, uids);
});

it('repeats with the same log.record.uid and the same bytes what was on its way at kill -9', async (test) => {
  const path = join(temporaryFolder(test), 'store.db');
  const receiver = new OtlpReceiver();
  const server = await serveGrpc(receiver);
  const first = new Map<string, Buffer>();
  // The receiver takes everything but its answer says otherwise: to the agent nothing is delivered.
  receiver.answer = (records) => {
    for (const record of records) first.set(String(record.attributes['log.record.uid']), record.raw);
    return { grpc: 14 };
  };
  const uids = await emitAndKill(path, server.url, () => receiver.until(() => first.size > 0, 'a first delivery'));
  receiver.answer = () => undefined;

  const pipeline = await startPipeline({
    store: path,
    exporters: { otlp: { endpoint: server.url, protocol: 'grpc' } },
  });
  test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
  await receiver.until(() => receiver.records.length >= COUNT, 'everything again');
  assert.deepEqual(receiver.uids, uids);
  const repeated = receiver.records.filter((record) => first.has(String(record.attributes['log.record.uid'])));
  assert.ok(repeated.length > 0);
  for (const record of repeated) assert.deepEqual(record.raw, first.get(String(record.attributes['log.record.uid'])));
});
