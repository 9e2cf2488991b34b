/**
 * After a loss the process table was wrong for as long as the processes lived: a child of an unseen process had no ancestors, who died unseen stayed, and a process
 * that could not be asked about in time stayed unknown. Here more than ten thousand events are lost for real.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { toLogRecord } from '../../collector/detection/log-record.ts';
import { Evidence } from '../../collector/sources/kernel/fields/index.ts';
import { HostCgroup } from '../containers/host-cgroup.ts';
import { detection } from '../fixtures/detections.ts';
import { Capture, type CapturedEvent } from './capture.ts';
import { attempt, shown } from './evasion/attempt.ts';

const LOST = 10_000;
const STORM = 2000;
const CONTAINER = 'f'.repeat(64);
/** More than there are between a member of a family and the first process of the machine. */
const GENERATIONS = 20;
/** It is left out: not everywhere may it be looked at. */
const INIT = 1;
const ANCESTOR_FIELDS = ['proc.apid', 'proc.aname', 'proc.aexepath', 'proc.acmdline'];
const FIELDS = [
  'proc.name',
  'proc.exepath',
  'proc.cmdline',
  'container.id',
  ...Array.from({ length: GENERATIONS }, (_, n) => ANCESTOR_FIELDS.map((name) => `${name}[${n + 1}]`)).flat(),
];

let folder: string;
let capture: Capture;
let cgroup: HostCgroup;
let reused: number;
/** Nobody reads the ring. */
let isWithheld = false;
const families = new Map<string, Family>();
const programs = { family: '', two: '', three: '' };

/** Processes that stay, and open a file when they are told to. */
class Family {
  readonly child: ChildProcess;
  readonly members: number[] = [];
  #told = 0;

  constructor(words: readonly string[], run: readonly string[] = [programs.family]) {
    this.child = spawn(run[0]!, [...run.slice(1), ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.#told++;
      if (!this.members.includes(Number(line))) this.members.push(Number(line));
    });
  }

  async settle(members: number): Promise<void> {
    await waitUntil(() => this.members.length === members);
  }

  /** Each opens a file, and starts a program. */
  async act(): Promise<void> {
    this.#told = 0;
    for (const pid of this.members) process.kill(pid, 'SIGUSR1');
    isWithheld = true;
    await waitUntil(() => this.#told === this.members.length);
    isWithheld = false;
  }

  close(): void {
    for (const pid of this.members) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended
      }
    }
    this.child.kill('SIGKILL');
  }
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shikra-loss-'));
  for (const name of ['family', 'two', 'three'] as const) programs[name] = join(folder, name);
  execFileSync('gcc', [
    '-O1',
    '-Wall',
    '-static',
    '-o',
    programs.family,
    fileURLToPath(new URL('family.c', import.meta.url)),
  ]);
  for (const name of ['two', 'three'] as const) copyFileSync(programs.family, programs[name]);
  cgroup = new HostCgroup(`docker/${CONTAINER}`);
  capture = await Capture.start({ ringPreset: 1, cpusPerRing: 0, eventTypes: ['openat'] });
  const { two, three } = programs;

  families.set('known before', await started(3, ['fork', 'fork', 'stay']));
  const changed = await started(2, ['fork', 'orphan', 'fork', 'wait', `exec=${three}`, 'fork', 'stay']);
  const dead = await started(1, ['stay']);
  families.set('executed and grew since', changed);

  isWithheld = true;
  const before = lost();
  while (lost() === before) storm();
  changed.child.stdin!.write('x');
  await changed.settle(4);
  families.set('not seen at all', await started(4, ['fork', `exec=${two}`, 'fork', `exec=${three}`, 'fork', 'stay']));
  families.set('of an orphan', await started(3, ['fork', 'orphan', 'fork', 'stay']));
  families.set('left by a parent', await started(2, [`leave=${two}`, 'stay']));
  families.set('in a container', await started(2, ['fork', 'stay'], cgroup.command([programs.family])));
  families.set('with the number of a dead one', await withPid(await ended(dead), [`exec=${two}`, 'stay']));
  while (lost() < LOST) storm();

  isWithheld = false;
  capture.drain();
  capture.source.tick(); // as the agent does every second
});

after(() => {
  for (const family of families.values()) family.close();
  capture.close();
  cgroup.close();
  rmSync(folder, { recursive: true });
});

describe('after ten thousand events were lost', () => {
  for (const name of ['known before', 'not seen at all', 'in a container', 'with the number of a dead one'])
    attempt(11, `after ten thousand process events were lost: processes ${name}, and their children`, {}, async () => {
      for (const { event, truth } of await seen(families.get(name)!)) {
        assert.deepEqual(told(event), {
          ...truth,
          container: name === 'in a container' ? CONTAINER.slice(0, 12) : 'host',
        });
        assert.equal(event.uncertainFields, undefined);
      }
      return shown('names, paths, ancestors and containers are those of `/proc`');
    });

  test('who started a process that has an adoptive parent by now stays known', async () => {
    const lineages: string[] = [];
    for (const { event } of await seen(families.get('executed and grew since')!)) {
      assert.equal(event.uncertainFields, undefined);
      const { ancestors } = told(event);
      const ours = ancestors.findIndex(({ pid }) => pid === String(process.pid));
      assert.ok(ours >= 0, 'it comes from this test');
      if (event.type === 'openat')
        lineages.push(
          ancestors
            .slice(0, ours)
            .map(({ name }) => name)
            .join(' < '),
        );
    }
    const f = 'family';
    assert.deepEqual(lineages.sort(), ['', `${f} < ${f}`, `${f} < ${f} < ${f}`, `three < ${f} < ${f} < ${f}`]);
  });

  attempt(11, 'after ten thousand process events were lost: a process that may have been adopted', {}, async () => {
    const family = families.get('of an orphan')!;
    const orphan = family.members.find((pid) => ![process.pid, ...family.members].includes(parentOf(pid)))!;
    for (const { event, truth } of await seen(family)) {
      assert.deepEqual(told(event), { ...truth, container: 'host' });
      const generation = generationOf(event, orphan);
      assert.deepEqual(event.uncertainFields, generation === undefined ? undefined : [`proc.apid[${generation + 1}]`]);
    }
    return shown('`evt.uncertain=proc.apid[1]`');
  });

  test('a detection has the mark, in its evidence and in its log record', async () => {
    const { table, clock, users, groups } = capture.source;
    const evidence = new Evidence({ table, clock, users, groups, hostname: 'here', domainNames: capture.domainNames });
    const marks: unknown[] = [];
    const family = families.get('of an orphan')!;
    const orphan = family.members.find((pid) => ![process.pid, ...family.members].includes(parentOf(pid)))!;
    capture.watch((event) => {
      if (event.typeName === 'openat' && event.process.pid === orphan) marks.push(evidence.of(event)['evt.uncertain']);
    });
    await seen(family);
    capture.watch(undefined);
    assert.deepEqual(marks, [['proc.apid[1]']]);
    const { attributes } = toLogRecord(detection(0, { evidence: { 'evt.uncertain': ['proc.apid[1]'] } }));
    assert.deepEqual(attributes?.['shikra.event.uncertain'], ['proc.apid[1]']);
  });

  test('that a parent has executed something since, and may have been another program, is said', async () => {
    const family = families.get('left by a parent')!;
    const child = family.members.find((pid) => family.members.includes(parentOf(pid)))!;
    for (const { event, truth } of await seen(family)) {
      assert.deepEqual(told(event), { ...truth, container: 'host' });
      const generation = generationOf(event, child);
      assert.deepEqual(event.uncertainFields, generation === undefined ? undefined : [`proc.aname[${generation + 1}]`]);
    }
  });

  test('nothing is left of processes that ended meanwhile', async () => {
    const { table } = capture.source;
    const dead = [...table.pids()].filter((pid) => !isAlive(pid)).map((pid) => table.known(pid));
    await waitUntil(() => {
      capture.drain();
      capture.source.tick();
      return dead.every((entry) => table.known(entry!.pid) !== entry);
    });
    assert.ok(table.size < STORM);
    assert.equal(table.known(reused)?.image.comm, 'two');
  });
});

async function started(members: number, words: readonly string[], run?: readonly string[]): Promise<Family> {
  const family = new Family(words, run);
  await family.settle(members);
  return family;
}

async function ended({ child }: Family): Promise<number> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
  return child.pid!;
}

/** Processes get their numbers in turn. */
async function withPid(pid: number, words: readonly string[]): Promise<Family> {
  reused = pid;
  for (let tries = 0; tries < 100; tries++) {
    writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
    const family = new Family(words);
    if (family.child.pid === pid) {
      await family.settle(1);
      return family;
    }
    family.close();
  }
  throw new Error(`no process got the number ${pid}`);
}

function storm(): void {
  assert.equal(spawnSync(programs.family, [`storm=${STORM}`]).status, 0);
}

/** Events about processes, as the kernel counts them. */
function lost(): number {
  const { drops } = capture.source.stats();
  return drops
    .filter(({ class: of, reason }) => of === 'process' && ['ring_full', 'cgroup_over_share'].includes(reason))
    .reduce((sum, { count }) => sum + count, 0);
}

interface Told {
  readonly name: string;
  readonly exepath: string;
  readonly cmdline: string;
}

interface Truth {
  readonly self: Told;
  readonly ancestors: readonly (Told & { readonly pid: string })[];
}

/** What each member does, and its child, beside what /proc says of them. */
async function seen(family: Family): Promise<{ event: CapturedEvent; truth: Truth }[]> {
  const events = await capture.during(() => family.act(), FIELDS);
  const found = events.flatMap((event) => {
    const parent = Number(event.fields['proc.apid[1]']);
    if (event.type === 'openat' && family.members.includes(event.pid) && event.spellings[0] === '/etc/hostname')
      return { event, truth: { self: processOf(event.pid), ancestors: ancestorsOf(event.pid) } };
    if (event.type !== 'execve' || !family.members.includes(parent)) return [];
    const self = { name: 'true', exepath: realpathSync('/bin/true'), cmdline: 'true of-the-family' };
    return {
      event,
      truth: { self, ancestors: [{ pid: String(parent), ...processOf(parent) }, ...ancestorsOf(parent)] },
    };
  });
  assert.equal(found.length, 2 * family.members.length);
  return found;
}

function told({ fields }: CapturedEvent): Truth & { container: unknown } {
  const text = (name: string) => String(fields[name]);
  const self = { name: text('proc.name'), exepath: text('proc.exepath'), cmdline: cut(text('proc.cmdline')) };
  const ancestors = [];
  for (let n = 1; ![undefined, String(INIT)].includes(fields[`proc.apid[${n}]`] as string | undefined); n++) {
    const [pid, name, exepath, cmdline] = ANCESTOR_FIELDS.map((field) => text(`${field}[${n}]`));
    ancestors.push({ pid: pid!, name: name!, exepath: exepath!, cmdline: cut(cmdline!) });
  }
  return { self, ancestors, container: fields['container.id'] };
}

/** How many generations the event's process is from another: 0 if it is that one; undefined if it does not descend from it. */
function generationOf({ pid, fields }: CapturedEvent, other: number): number | undefined {
  if (pid === other) return 0;
  for (let n = 1; n <= GENERATIONS; n++) if (fields[`proc.apid[${n}]`] === String(other)) return n;
  return undefined;
}

function processOf(pid: number): Told {
  const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
  const exepath = readlinkSync(`/proc/${pid}/exe`).replace(/^\/(memfd:.*) \(deleted\)$/, '$1');
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, -1);
  return { name, exepath, cmdline: cut([name, ...args].join(' ')) };
}

/** Of a command line of more than 16 KiB an event has the beginning and the end; what started the tests may have such a one. */
function cut(cmdline: string): string {
  return cmdline.slice(0, 8192);
}

function ancestorsOf(pid: number): (Told & { pid: string })[] {
  const ancestors = [];
  for (let at = parentOf(pid); at !== INIT; at = parentOf(at)) ancestors.push({ pid: String(at), ...processOf(at) });
  return ancestors;
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

async function waitUntil(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the condition did not come true within 20 s');
    if (!isWithheld) capture.drain();
    await sleep(5);
  }
}
