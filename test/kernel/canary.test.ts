/** What the agent makes of somebody with root who takes its programs away, or what they go by: it says so, and helps itself where it can. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CANARIES, PROGRAMS } from '../../collector/telemetry/collector-stats.ts';
import { Probe } from '../../native/index.ts';
import { Command, configure, opensOf, temporaryFolder } from './agent-command.ts';
import { AgentProcess } from './agent-process.ts';
import { attempt, noEffect, shown } from './evasion/attempt.ts';

const SOURCE = fileURLToPath(new URL('../fixtures/tamper.c', import.meta.url));
const TAMPER = fileURLToPath(new URL('../build/tamper', import.meta.url));
const MISSING = 'Shikra internal: canary missing';
const BACK = 'Shikra internal: canary back';
const WAIT_MILLIS = 20_000;

/** Other agents on this machine have theirs. */
const CANARY = fileURLToPath(new URL('../../native/build/shikra-canary', import.meta.url));
/** What tells the agent's command line from others. */
const FOLDER = 'shikra-canary-test-';
const OF_THE_AGENT = `proc.cmdline contains ${FOLDER}`;
/** Rules that would match what the canaries do, and one that puts every program to use. */
const RULES = [
  ['Process made', `evt.type in (fork, vfork, clone, clone3) and ${OF_THE_AGENT}`],
  ['Canary executed', `evt.type in (execve, execveat, procexit) and proc.exepath = ${CANARY}`],
  ['BPF object looked at', `evt.type = bpf and evt.arg.cmd = BPF_OBJ_GET_INFO_BY_FD and ${OF_THE_AGENT}`],
  ['Ring set up', `evt.type = io_uring_setup and ${OF_THE_AGENT}`],
  ['Something of every family', 'evt.type in (openat, unlink, dup, connect, ptrace) and proc.name = no-such-program'],
] as const;

function buildTamper(): void {
  if (existsSync(TAMPER) && statSync(TAMPER).mtimeMs > statSync(SOURCE).mtimeMs) return;
  execFileSync('mkdir', ['-p', join(TAMPER, '..')]);
  execFileSync('gcc', ['-O1', '-o', `${TAMPER}.${process.pid}`, SOURCE]);
  renameSync(`${TAMPER}.${process.pid}`, TAMPER);
}

function tamper(...args: (string | number)[]): string {
  return execFileSync(TAMPER, args.map(String), { encoding: 'utf8' }).trim();
}

/** Descriptors of the agent whose description in /proc has these lines. */
function descriptors(pid: number, lines: Readonly<Record<string, string | number>>): { fd: number; text: string }[] {
  const folder = `/proc/${pid}/fdinfo`;
  return readdirSync(folder)
    .map((fd) => ({ fd: Number(fd), text: read(join(folder, fd)) }))
    .filter(({ text }) => Object.entries(lines).every(([key, value]) => lineOf(text, key) === String(value)));
}

function lineOf(text: string, key: string): string | undefined {
  return new RegExp(`^${key}:\\s*(.*?)\\s*$`, 'm').exec(text)?.[1];
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // closed meanwhile
  }
}

const INTERESTS_BYTES = 16_384;
const interestsOf = (pid: number) =>
  Number(lineOf(descriptors(pid, { map_type: 2, value_size: INTERESTS_BYTES, max_entries: 1 })[0]!.text, 'map_id'));

async function start(t: TestContext, receiver: object = {}): Promise<AgentProcess> {
  buildTamper();
  const folder = mkdtempSync(join(tmpdir(), FOLDER));
  const rules = join(folder, 'rules.yaml');
  const text = RULES.map(([rule, condition]) => ({
    rule,
    desc: 'A test.',
    condition,
    output: '%evt.type %proc.cmdline',
    priority: 'WARNING',
  }));
  writeFileSync(rules, JSON.stringify(text));
  const agent = await AgentProcess.start({
    bundled: [rules],
    folder,
    receiver: { canary_interval: '1s', ...receiver },
  });
  t.after(async () => {
    await agent.close();
    rmSync(folder, { recursive: true });
  });
  return agent;
}

/** The canaries of the next detection of a rule that is not in `before`. */
async function told(agent: AgentProcess, rule: string, canary: string): Promise<readonly string[]> {
  const names = (alert: { output_fields: Readonly<Record<string, unknown>> }) =>
    alert.output_fields['shikra.canaries'] as readonly string[];
  return names(await agent.detection((alert) => alert.rule === rule && names(alert).includes(canary), WAIT_MILLIS));
}

/**
 * Holds a thread of the agent. Once in some hundred times it is held while it passes something on to another thread, which then waits for it: that `/readyz` does not
 * answer says enough to whoever asks, but here the agent is to say more, so it is held at another moment. @returns what lets it go
 */
async function hold(agent: AgentProcess, tid: string): Promise<() => Promise<void>> {
  for (;;) {
    const held = spawn(TAMPER, ['hold', tid], { stdio: ['pipe', 'pipe', 'inherit'] });
    const release = async () => {
      held.stdin.end();
      await once(held, 'exit');
    };
    assert.equal(String((await once(held.stdout, 'data'))[0]).trim(), 'done');
    const answer = await agent.get('/readyz').catch((error: Error) => {
      if (error.name !== 'TimeoutError') throw error;
    });
    if (answer !== undefined) return release;
    await release();
  }
}

/** What `/readyz` said while it was not ready; waits for it. */
async function unready(agent: AgentProcess): Promise<string> {
  for (const end = performance.now() + WAIT_MILLIS; performance.now() < end; await sleep(20)) {
    const { status, body } = await agent.get('/readyz');
    if (status === 503) return (body as { parts: { canaries: string } }).parts.canaries;
  }
  throw new Error('/readyz stayed 200');
}

async function isReady(agent: AgentProcess): Promise<void> {
  for (const end = performance.now() + WAIT_MILLIS; performance.now() < end; await sleep(50))
    if ((await agent.get('/readyz')).status === 200) return;
  throw new Error('/readyz stayed 503');
}

test('every program of the probe is in the list of programs', async () => {
  const probe = await Probe.load();
  const names = probe.programs().map(({ name }) => name);
  probe.close();
  assert.deepEqual([...names].sort(), [...PROGRAMS].sort());
});

attempt(
  18,
  'every program has something to tell every second: each comes back, and no rule sees any',
  {},
  async (t) => {
    const agent = await start(t);
    const seen = (canary: string) => `shikra_canaries_total{canary="${canary}",outcome="seen"}`;
    const watched = CANARIES.filter((name) => name !== 'collector');
    let metrics = await agent.metrics();
    for (const end = performance.now() + WAIT_MILLIS; performance.now() < end; await sleep(200)) {
      metrics = await agent.metrics();
      if (watched.every((name) => metrics.get(seen(name))! >= 3)) break;
    }
    for (const name of CANARIES) {
      if (name !== 'collector') assert.ok(metrics.get(seen(name))! >= 3, `${name} was seen`);
      assert.equal(metrics.get(`shikra_canaries_total{canary="${name}",outcome="missed"}`), 0, name);
      assert.equal(metrics.get(`shikra_canary_missing{canary="${name}"}`), 0, name);
    }
    assert.equal(metrics.get('shikra_probe_missed_runs_total{program="dispatch_sys_exit"}'), 0);
    assert.equal(metrics.get('shikra_probe_runs_total{program="dispatch_sys_exit"}'), 0, 'nobody has runs counted');
    assert.deepEqual(await agent.get('/readyz').then(({ status }) => status), 200);
    // others on this machine may flood, which is told too
    const own = new Set<string>([...RULES.map(([rule]) => rule), MISSING]);
    assert.deepEqual(
      agent.detections.filter(({ rule }) => own.has(rule)),
      [],
    );
    assert.equal(metrics.get('shikra_events_total{type="canary_open"}'), undefined);
    await agent.stop();
    return shown(`${watched.length} canaries seen, none missed; no run of \`dispatch_sys_exit\` missed`);
  },
);

test('runs and their time are counted for who wants it', async (t) => {
  const agent = await start(t, { program_statistics: true });
  const counted = (what: string) => `shikra_probe_${what}_total{program="collect_exec"}`;
  let metrics = await agent.metrics();
  for (const end = performance.now() + WAIT_MILLIS; performance.now() < end; await sleep(100)) {
    metrics = await agent.metrics();
    if (metrics.get(counted('runs'))! >= 3) break;
  }
  assert.ok(metrics.get(counted('runs'))! >= 3);
  assert.ok(metrics.get(counted('run_seconds'))! > 0);
});

test('without canaries all else is as it was', async (t) => {
  const agent = await start(t, { canary_interval: '0s' });
  assert.equal((await agent.get('/readyz')).status, 200);
  await agent.caused(() => {});
  assert.equal((await agent.metrics()).get('shikra_canaries_total{canary="interests",outcome="seen"}'), 0);
  await agent.stop();
});

attempt(23, 'the table of interests is written over', {}, async (t) => {
  const agent = await start(t);
  assert.equal(tamper('wipe', interestsOf(agent.pid)), 'done');
  assert.match(await unready(agent), /^missing: .*interests/);
  assert.ok((await told(agent, MISSING, 'interests')).includes('interests'));
  assert.ok((await told(agent, BACK, 'interests')).includes('interests'));
  await isReady(agent);
  const metrics = await agent.metrics();
  assert.ok(metrics.get('shikra_canaries_total{canary="interests",outcome="missed"}')! >= 1);
  assert.equal(metrics.get('shikra_canary_missing{canary="interests"}'), 0);
  return shown(`*${MISSING}* (interests), \`/readyz\` 503; written again, *${BACK}*`);
});

const cannotDetach = arch() === 'x64' ? false : 'the helper closes descriptors of another process on x86-64 only';

attempt([18, 23], 'a program is detached inside the process of the agent', { skip: cannotDetach }, async (t) => {
  const agent = await start(t);
  const links = descriptors(agent.pid, { link_type: 'raw_tracepoint', tp_name: 'sched_process_exec' });
  assert.equal(links.length, 1);
  let result = 'EAGAIN';
  while (result === 'EAGAIN') result = tamper('close', agent.pid, links[0]!.fd);
  assert.equal(result, 'done');
  assert.equal(await unready(agent), 'missing: collect_exec');
  assert.deepEqual(await told(agent, MISSING, 'collect_exec'), ['collect_exec']);
  assert.deepEqual(await told(agent, BACK, 'collect_exec'), ['collect_exec']);
  await isReady(agent);
  await agent.caused(() => {}); // an execution is told again
  await agent.stop();
  return shown(`*${MISSING}* (collect_exec), \`/readyz\` 503; attached again, *${BACK}*`);
});

attempt(
  23,
  'the programs behind the dispatcher or the rings are taken away, the counts of loss reset, the table of interests frozen',
  { expect: 'no effect' },
  async (t) => {
    const agent = await start(t);
    const idOf = (lines: Readonly<Record<string, number>>) =>
      Number(lineOf(descriptors(agent.pid, lines)[0]!.text, 'map_id'));
    assert.equal(tamper('clear', idOf({ map_type: 3 }), 7), 'EPERM');
    assert.equal(tamper('clear', idOf({ map_type: 12 }), 1), 'EPERM', 'the rings');
    assert.equal(tamper('wipe', idOf({ map_type: 6 })), 'EPERM');
    assert.equal(tamper('freeze', interestsOf(agent.pid)), 'EBUSY');
    return noEffect('the kernel refuses it: `EPERM`, `EBUSY`');
  },
);

for (const [thread, canary] of [
  ['shikra-ring', 'dispatch_sys_exit'],
  ['collector', 'collector'],
] as const) {
  attempt(23, `the thread ${thread} of the agent is held`, {}, async (t) => {
    const agent = await start(t);
    const tasks = `/proc/${agent.pid}/task`;
    const tid = readdirSync(tasks).find((task) => read(join(tasks, task, 'comm')).trim() === thread);
    assert.ok(tid, `a thread ${thread}`);
    const release = await hold(agent, tid);
    try {
      assert.match(await unready(agent), new RegExp(canary));
      assert.ok((await told(agent, MISSING, canary)).includes(canary));
    } finally {
      await release(); // an agent with a thread that is held cannot end
    }
    assert.ok((await told(agent, BACK, canary)).includes(canary));
    await isReady(agent);
    return shown(`*${MISSING}* (${canary}), \`/readyz\` 503; then *${BACK}*`);
  });
}

for (const [verdict, unknown] of [
  ['kill', /dispatch_sys_exit, note_paths: no canary here \(EPERM\)/],
  ['refuse', /note_paths: no canary here \(a seccomp filter answers first\)/],
] as const) {
  test(`a seccomp filter that would ${verdict} for a call without meaning does the agent no harm, and is told of`, async (t) => {
    buildTamper();
    const folder = temporaryFolder(t);
    const file = join(folder, 'canary-opened');
    writeFileSync(file, '');
    const config = configure(folder, { rules: opensOf('canary-opened'), kernel: { canary_interval: '1s' } });
    const agent = await new Command(t, ['run', '-c', config], { prefix: [TAMPER, verdict] }).ready();
    await agent.until('a note about canaries', () => unknown.test(agent.stderr));
    // rounds go by in which nothing may be missed
    await agent.metricUntil('shikra_canaries_total{canary="collect_exec",outcome="seen"}', (seen) => seen >= 3);
    readFileSync(file);
    await agent.until('a detection', () => agent.detections.length > 0);
    assert.doesNotMatch(agent.stderr, /is not told any more/);
    agent.child.kill('SIGTERM');
    assert.equal(await agent.ended(), 0);
  });
}
