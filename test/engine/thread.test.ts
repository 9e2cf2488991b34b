import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import type { Worker } from 'node:worker_threads';
import { components } from '../../collector/components.ts';
import { parseConfig } from '../../collector/config/load.ts';
import { CollectorThread } from '../../collector/engine/thread.ts';
import type { ShikraError } from '../../collector/errors.ts';
import { ReceiversInUse } from '../../collector/receivers-in-use.ts';

/**
 * The agent hung at its start, once in a while: it had asked the thread to begin and was still making the pipeline when the answer came. A Worker throws away
 * what is said before anybody listens.
 */
test('what the thread says before anybody listens is not lost', { timeout: 30_000 }, async (t) => {
  const text = JSON.stringify({ receivers: { kernel: { rules_files: ['/nowhere/rules.yaml'] } } });
  const { config } = parseConfig(text, '/etc/shikra.yaml', { registry: components, environment: {} });
  const receivers = new ReceiversInUse(config);
  const thread = new CollectorThread();
  t.after(() => thread.terminate());
  thread.begin(receivers.collectorOptions(receivers.kernel!));
  await sleep(2500); // by then it has refused; if it takes longer, this test only tells less
  const nobody = {
    onDetections() {},
    onStats() {},
    onCanaries() {},
    onContainersWanted() {},
    onDomainNames() {},
    onDeath() {},
  };
  await assert.rejects(thread.start(nobody), ({ code }: ShikraError) => /^(RULES_INVALID|PROBE_\w+)$/.test(code));
});

/**
 * The agent took ten megabytes more than it had to: its process is started with a flag for the young generation of the main thread, and a flag goes before what
 * a Worker is told, so the collector's had the main thread's size.
 */
test('the thread has a young generation of its own size, whatever the flags of the process say', async (t) => {
  setFlagsFromString('--max-semi-space-size=8'); // as the agent is started; for threads that are made from now on
  const made = once(process, 'worker') as Promise<[Worker]>;
  const thread = new CollectorThread();
  t.after(() => thread.terminate());
  const [worker] = await made;
  await once(worker, 'online');
  const { heap_size_limit } = await worker.getHeapStatistics();
  assert.equal(heap_size_limit / 2 ** 20, 512 + 6);
});
