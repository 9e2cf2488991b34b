import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { detections } from '../fixtures/detections.ts';
import { OtlpReceiver, serveHttp } from '../fixtures/otlp-receiver.ts';
import { metricValue, startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

/** In a process of its own, while the pipeline of this one runs on. */
function run(parameters: readonly string[]): Promise<{ exitCode: unknown; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['cli/main.ts', ...parameters], (error, stdout, stderr) =>
      resolve({ exitCode: error?.code ?? 0, stdout, stderr }),
    );
  });
}

/** A running pipeline whose receiver has refused everything so far. */
async function arrange(test: TestContext) {
  const folder = temporaryFolder(test);
  const store = join(folder, 'store.db');
  const config = join(folder, 'shikra.yaml');
  writeFileSync(config, `exporters: { otlp/far: {} }\nservice: { store: { path: ${store} } }\n`);
  const receiver = new OtlpReceiver();
  receiver.answer = () => ({ http: 401 });
  const server = await serveHttp(receiver);
  const pipeline = await startPipeline({ store, exporters: { 'otlp/far': { endpoint: server.url } } });
  test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
  const sent = detections(3);
  for (const one of sent) pipeline.emit(one);
  await pipeline.forceFlush();
  const shikra = (...words: string[]) => run(['deadletter', ...words, '-c', config]);
  return { pipeline, receiver, sent, shikra };
}

it('lists what was refused, by whom and why', async (test) => {
  const { shikra, sent } = await arrange(test);
  const text = await shikra('list');
  assert.equal(text.exitCode, 0);
  assert.match(
    text.stdout,
    new RegExp(`${sent[2]!.uuid}  \\S+  otlp/far\n  Warning Read sensitive file untrusted: .*\n  refused: HTTP 401`),
  );
  const letters = JSON.parse((await shikra('list', '--json', '-n', '2')).stdout) as {
    uuid: string;
    exporter: string;
  }[];
  assert.deepEqual(
    letters.map(({ uuid, exporter }) => [uuid, exporter]),
    [sent[2]!, sent[1]!].map(({ uuid }) => [uuid, 'otlp/far']),
  );
  assert.equal((await shikra('list', '--exporter', 'other')).stderr, 'no dead letters\n');
});

it('has the running agent send one of them again, then the others', async (test) => {
  const { shikra, sent, receiver, pipeline } = await arrange(test);
  receiver.answer = () => undefined;
  assert.equal((await shikra('retry', sent[1]!.uuid)).stdout, '1 will be sent again\n');
  await receiver.until(() => receiver.uids.length === 1, 'the one');
  assert.deepEqual(receiver.uids, [sent[1]!.uuid]);
  assert.equal((await shikra('retry', '--exporter', 'otlp/far')).stdout, '2 will be sent again\n');
  await receiver.until(() => receiver.uids.length === 3, 'the others');
  assert.deepEqual(
    receiver.uids,
    [sent[1]!, sent[0]!, sent[2]!].map(({ uuid }) => uuid),
  );
  await pipeline.forceFlush();
  assert.equal((await shikra('list')).stderr, 'no dead letters\n');
  const count = await metricValue(pipeline.metrics, 'shikra_exporter_records_total', {
    exporter: 'otlp/far',
    outcome: 'delivered',
  });
  assert.equal(count, 3);
});

it('keeps those that are refused once more', async (test) => {
  const { shikra, receiver } = await arrange(test);
  receiver.answer = () => ({ http: 403 });
  await shikra('retry', '--all');
  const refusedAgain = async () =>
    (JSON.parse((await shikra('list', '--json')).stdout) as { reason: string }[]).every(({ reason }) =>
      reason.startsWith('HTTP 403'),
    );
  while (!(await refusedAgain()));
  assert.equal(JSON.parse((await shikra('list', '--json')).stdout).length, 3);
});

it('warns of a retry for an exporter that nothing uses', async (test) => {
  const { shikra } = await arrange(test);
  const { stderr, exitCode } = await shikra('retry', '--exporter', 'otlp/gone');
  assert.equal(stderr, 'shikra: warning: no pipeline uses otlp/gone: they wait until one does\n');
  assert.equal(exitCode, 1);
});

it('drops what it is told to, and nothing without being told', async (test) => {
  const { shikra, sent } = await arrange(test);
  const bare = await shikra('drop');
  assert.deepEqual([bare.exitCode, bare.stderr], [2, 'shikra: say which: uuids, --exporter or --all\n']);
  assert.equal((await shikra('drop', sent[0]!.uuid)).stdout, '1 dropped\n');
  assert.equal((await shikra('drop', '--exporter', 'other')).exitCode, 1);
  assert.equal((await shikra('drop', '--all')).stdout, '2 dropped\n');
});
