import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CollectorThread } from '../../collector/engine/thread.ts';

/**
 * The agent hung at its start, once in a while: it had asked the thread to begin and was still making the pipeline when the answer came. A Worker throws away
 * what is said before anybody listens.
 */
test('what the thread says before anybody listens is not lost', async (t) => {
  const thread = new CollectorThread();
  t.after(() => thread.terminate());
  const unusable = { rulesFiles: ['/nowhere/rules.yaml'], source: 'syscall' as const, receivers: {} };
  // Without the right to load a probe it says that instead: an answer all the same.
  thread.begin({ ...unusable, ruleSelection: [] } as unknown as Parameters<typeof thread.begin>[0]);
  await sleep(2500);
  const listeners = new Proxy({}, { get: () => () => {} }) as Parameters<typeof thread.start>[0];
  await assert.rejects(thread.start(listeners), { name: 'ShikraError' });
});
