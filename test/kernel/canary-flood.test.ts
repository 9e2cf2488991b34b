/** Canaries in rings that are full for real: one that is lost with other events says nothing of the program that told of it. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CanaryResult } from '../../collector/telemetry/collector-stats.ts';
import { HostCgroup } from '../containers/host-cgroup.ts';
import { Capture } from './capture.ts';
import { buildEvade, EVADE } from './evasion/evade.ts';

/** Those that tell of files, of which the flood is; the rest of the ring is free for the others. */
const OF_FILES = ['collect_open', 'collect_path', 'collect_descriptor', 'note_paths'];
/** So many opens on each processor fill the ring, a small one of which others on this machine have a part too. */
const ENOUGH = '20000';
const ROUNDS = 12;

let folder: string;
let file: string;
let elsewhere: HostCgroup;

before(() => {
  buildEvade();
  folder = mkdtempSync(join(tmpdir(), 'shikra-canary-flood-'));
  file = join(folder, 'file');
  writeFileSync(file, '');
  elsewhere = new HostCgroup(`shikra-canary-flood-${process.pid}`);
});

after(() => {
  elsewhere.close();
  rmSync(folder, { recursive: true });
});

async function start(t: TestContext): Promise<Capture> {
  const capture = await Capture.start({ ringPreset: 3, cpusPerRing: 0, hasCanaries: true });
  t.after(() => capture.close());
  assert.equal((await judged(capture)).size, 0, 'nothing is expected yet');
  return capture;
}

type Flooding = ChildProcessByStdio<Writable, Readable, null>;

async function underWay(t: TestContext, child: Flooding): Promise<() => Promise<void>> {
  t.after(() => child.stdin.end()); // its processes go on until then
  await once(child.stdout, 'data');
  return async () => {
    child.stdin.end();
    await once(child, 'exit');
  };
}

/** How the last round went, whose events are to be read by now; begins the next, and waits for the end of its process. */
async function judged({ source }: Capture): Promise<Map<string, CanaryResult>> {
  const others = children();
  const { canaries } = source.nextCanaries()!;
  while (children().some((pid) => !others.includes(pid))) {
    await sleep(1);
    source.endCanaries();
  }
  return new Map(canaries.map((result) => [result.name, result]));
}

function children(): string[] {
  const tasks = readdirSync('/proc/self/task');
  return tasks.flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean));
}

function refused({ source }: Capture): number {
  const drops = source.stats().drops.filter((drop) => drop.reason === 'cgroup_over_share' && drop.class === 'file');
  return drops.reduce((sum, { count }) => sum + count, 0);
}

/** Until the ring is full again, and stays so: nobody reads it. */
async function full(capture: Capture): Promise<void> {
  let last = refused(capture);
  // One refusal may have been decided before the last reading made room.
  for (let grown = 0; grown < 2; ) {
    await sleep(2);
    const now = refused(capture);
    grown = now > last ? grown + 1 : 0;
    last = now;
  }
}

const outcomes = (results: ReadonlyMap<string, CanaryResult>) =>
  new Map([...results.values()].map(({ name, outcome }) => [name, outcome]));
const isMissing = (results: ReadonlyMap<string, CanaryResult>) =>
  [...results.values()].filter(({ missing }) => missing).map(({ name }) => name);

test('what a flood elsewhere fills the rings with costs no canary', async (t) => {
  const capture = await start(t);
  capture.drain();
  const end = await underWay(t, elsewhere.start([EVADE, 'flood', 'open', ENOUGH, file]));
  await full(capture);
  await judged(capture);
  await end();
  capture.drain();
  const results = await judged(capture);
  assert.deepEqual([...new Set(outcomes(results).values())], ['seen']);
  assert.deepEqual(isMissing(results), []);
});

test('a canary that is lost in a flood is told as lost with other events, and its program not as gone until that goes on for long', async (t) => {
  // An agent that somebody had started by hand and what flooded had one cgroup: its canaries were refused with the flood, and after two rounds every program was
  // reported as if somebody had taken it away.
  const capture = await start(t);
  capture.drain();
  const end = await underWay(t, spawn(EVADE, ['flood', 'open', ENOUGH, file], { stdio: ['pipe', 'pipe', 'inherit'] }));
  await full(capture);
  assert.deepEqual(isMissing(await judged(capture)), []);
  for (let round = 1; round <= ROUNDS; round++) {
    capture.drain();
    await full(capture);
    const results = await judged(capture);
    for (const [name, outcome] of outcomes(results))
      assert.equal(outcome, OF_FILES.includes(name) ? 'dropped' : 'seen', `${name} in round ${round}`);
    assert.deepEqual(isMissing(results).sort(), round < ROUNDS ? [] : [...OF_FILES].sort());
  }
  await end();
  capture.drain();
  await judged(capture);
  capture.drain();
  const results = await judged(capture);
  assert.deepEqual([...new Set(outcomes(results).values())], ['seen']);
  assert.deepEqual(isMissing(results), []);
});
