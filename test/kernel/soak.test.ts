/** The soak of ten minutes (docs/soak.md), for a few seconds: what shows at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failuresOf, soak } from '../../bench/soak-run.ts';

test('nothing is left of processes and containers that came and went', async () => {
  const results = await soak({ seconds: 6, sampleSeconds: 2, processesPerSecond: 200, containersPerSecond: 4 });
  assert.deepEqual(failuresOf(results), []);
  assert.ok(results.processes > 0);
  assert.ok(results.containers > 0);
});
