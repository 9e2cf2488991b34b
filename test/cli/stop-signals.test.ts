import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

const PROGRAM = `
import { whenStopped } from './cli/stop-signals.ts';
const stopped = whenStopped();
setTimeout(() => process.exit(9), 20_000);
console.log('ready');
console.log(await stopped);
if (process.argv[1] !== 'stuck') setTimeout(() => process.exit(0), 300);`;

async function start(t: TestContext, ...parameters: string[]) {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', PROGRAM, ...parameters], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit');
  await once(child.stdout, 'data');
  return { child, exit };
}

test('the first signal asks, and its echo changes nothing', async (t) => {
  const { child, exit } = await start(t);
  child.kill('SIGINT');
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  assert.deepEqual(await exit, [0, null]);
});

test('a second signal ends a program that is stuck', async (t) => {
  const { child, exit } = await start(t, 'stuck');
  child.kill('SIGTERM');
  await once(child.stdout, 'data');
  await pause(700);
  child.kill('SIGTERM');
  assert.deepEqual(await exit, [143, null]);
});
