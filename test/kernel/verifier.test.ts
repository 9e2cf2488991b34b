/**
 * How much the kernel's verifier had to look at. A comparison of two texts, unrolled into each way through two programs, once made the agent start in four
 * seconds instead of one, and nothing said so.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Probe } from '../../native/index.ts';

/** A quarter of a second on a slow machine, for all programs of this size together. */
const MOST_INSTRUCTIONS = 30_000;

test('no program takes the verifier long', async (t) => {
  const probe = await Probe.load();
  const programs = probe.programs().filter(({ loaded }) => loaded);
  probe.close();
  for (const { name, verifiedInstructions } of programs)
    t.diagnostic(`the verifier looked at ${verifiedInstructions} instructions of ${name}`);
  const counts = programs.map(({ verifiedInstructions }) => verifiedInstructions);
  assert.ok(Math.min(...counts) > 0, 'they are read');
  assert.ok(Math.max(...counts) < MOST_INSTRUCTIONS, `${Math.max(...counts)} instructions`);
});
