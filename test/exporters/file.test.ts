import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { RotatingFile } from '../../exporters/file/rotating-file.ts';
import { detection, detections } from '../fixtures/detections.ts';
import { startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

async function arrange(test: TestContext, config: object = {}) {
  const folder = temporaryFolder(test);
  const path = join(folder, 'log', 'detections.jsonl');
  const exporters = { file: { path, retry: { initial_interval: '2ms', max_interval: '10ms' }, ...config } };
  const pipeline = await startPipeline({ store: join(folder, 's.db'), exporters });
  test.after(() => pipeline.shutdown(0));
  const flush = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    while (!(await pipeline.forceFlush()));
  };
  const uids = (file = path) =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { uuid: string }).uuid);
  return { path, pipeline, flush, uids };
}

it('appends a line of JSON for each detection, and keeps permissions tight', async (test) => {
  const { path, pipeline, flush, uids } = await arrange(test);
  const sent = detections(100);
  for (const one of sent) pipeline.emit(one);
  await flush();
  assert.deepEqual(
    uids(),
    sent.map(({ uuid }) => uuid),
  );
  assert.equal(statSync(path).mode & 0o777, 0o640);
});

it('rotates by size and keeps so many files, without a line torn or lost between them', async (test) => {
  const { path, pipeline, flush, uids } = await arrange(test, { max_bytes: '4KiB', max_files: 3 });
  const sent = detections(40);
  for (const one of sent) pipeline.emit(one);
  await flush();
  assert.ok(existsSync(`${path}.1`) && existsSync(`${path}.2`) && !existsSync(`${path}.3`));
  const kept = [`${path}.2`, `${path}.1`, path].flatMap((file) => uids(file));
  assert.deepEqual(kept, sent.map(({ uuid }) => uuid).slice(-kept.length));
  for (const file of [`${path}.2`, `${path}.1`, path]) assert.ok(statSync(file).size <= 4096);
});

it('goes on in a new file when someone else has rotated', async (test) => {
  const { path, pipeline, flush, uids } = await arrange(test);
  const [one, two] = [detection(1), detection(2)];
  pipeline.emit(one);
  await flush();
  renameSync(path, `${path}-old`);
  pipeline.emit(two);
  await flush();
  assert.deepEqual([uids(`${path}-old`), uids()], [[one.uuid], [two.uuid]]);
});

it('ends the half line that a killed agent left', async (test) => {
  const { path, pipeline, flush } = await arrange(test);
  mkdirSync(join(path, '..'), { recursive: true });
  appendFileSync(path, '{"half');
  pipeline.emit(detection(1));
  await flush();
  const lines = readFileSync(path, 'utf8').split('\n');
  assert.equal(lines[0], '{"half');
  assert.equal(JSON.parse(lines[1]!).rule, 'Read sensitive file untrusted');
});

it('keeps detections while the path cannot be written', async (test) => {
  const { path, pipeline, flush, uids } = await arrange(test);
  mkdirSync(path, { recursive: true });
  const one = detection(1);
  pipeline.emit(one);
  assert.equal(await pipeline.forceFlush(), false);
  renameSync(path, `${path}-folder`);
  await flush();
  assert.deepEqual(uids(), [one.uuid]);
});

it('gives a line that is longer than a file a file of its own', (test) => {
  const path = join(temporaryFolder(test), 'x');
  const file = new RotatingFile({ path, maxBytes: 10, maxFiles: 5, mode: 0o600 });
  file.append(['a\n', `${'b'.repeat(50)}\n`, 'c\n']);
  file.close();
  assert.deepEqual(
    [`${path}.2`, `${path}.1`, path].map((each) => readFileSync(each, 'utf8')),
    ['a\n', `${'b'.repeat(50)}\n`, 'c\n'],
  );
});
