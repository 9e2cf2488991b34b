/**
 * How much the kernel's verifier had to look at. A comparison of two texts, unrolled into each way through two programs, once made the agent start in four
 * seconds instead of one, and nothing said so.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Probe } from '../../native/index.ts';

/** A quarter of a second on a slow machine, for all programs of this size together. */
const MOST_INSTRUCTIONS = 30_000;

test('no program takes the verifier long', async (t) => {
  const probe = await Probe.load();
  const counts = readdirSync('/proc/self/fdinfo').flatMap((fd) => verified(fd));
  probe.close();
  t.diagnostic(`instructions looked at, by program: ${counts.join(', ')}`);
  assert.ok(counts.length > 10, 'they are read');
  assert.ok(Math.max(...counts) < MOST_INSTRUCTIONS, `${Math.max(...counts)} instructions`);
});

function verified(fd: string): number[] {
  try {
    const found = /^verified_insns:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
    return found === null ? [] : [Number(found[1])];
  } catch {
    return []; // it was the folder's own
  }
}
