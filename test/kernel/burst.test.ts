/** 10,000 detections a second through store and exporters (docs/delivery-benchmark.md), for three seconds: what is lost shows at once. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildPrograms, buildShikra } from '../../bench/programs.ts';
import { failuresOf } from '../../bench/throughput-page.ts';
import { DeliveryRun } from '../../bench/throughput-run.ts';

test('a burst is on the disk before it is sent, and then all of it is with both receivers', async (t) => {
  buildShikra();
  buildPrograms();
  const folder = mkdtempSync(join(tmpdir(), 'shikra-burst-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const run = await DeliveryRun.start(folder, []);
  const results = await run.measure(10_000, 3).finally(() => run.stop());
  assert.deepEqual(failuresOf(results), []);
  assert.ok(results.made >= 30_000);
  assert.deepEqual([results.otlp.unique, results.file.unique], [results.made, results.made]);
});
