import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { AgentProcess } from './agent-process.ts';

test('shikra rules top tells what the rules of a running agent did and cost', async (t) => {
  const agent = await AgentProcess.start();
  t.after(() => agent.close());
  const { url } = JSON.parse(agent.log.find((line) => line.includes('metrics are served'))!) as { url: string };
  const top = spawn(process.execPath, [
    ...['cli/main.ts', 'rules', 'top', '--url', url],
    ...['--once', '--interval', '4', '--json'],
  ]);
  const printed = text(top.stdout);
  const closed = once(top, 'close');
  // some ten thousand events, so that several are measured
  const busy = setInterval(() => {
    for (let i = 0; i < 500; i++) closeSync(openSync('/etc/passwd', 'r'));
  }, 50);
  await closed;
  clearInterval(busy);
  const { rules } = JSON.parse(await printed) as { rules: { evaluations: number; seconds: number; share: number }[] };
  const measured = rules.filter(({ evaluations }) => evaluations > 0);
  assert.ok(measured.length > 0, 'some rules were measured');
  assert.ok(measured.every(({ seconds }) => seconds > 0));
  assert.ok(Math.abs(rules.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9, 'the shares are those of the whole');
  assert.deepEqual(
    rules,
    rules.toSorted((a, b) => b.seconds - a.seconds),
  );
});
