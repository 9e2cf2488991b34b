import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bundledRulesPath } from '../../../rules/index.ts';
import { AgentProcess } from '../agent-process.ts';
import { buildEvade, EVADE } from './evade.ts';

/** The bundled rules, unchanged, on what is done in the way of somebody who hides. */
let agent: AgentProcess;
let folder: string;

before(async () => {
  buildEvade();
  folder = mkdtempSync(join(tmpdir(), 'shikra-evasion-'));
  agent = await AgentProcess.start({ bundled: [bundledRulesPath()], receiver: { ring_preset: 6 } });
});

after(async () => {
  await agent?.close();
  rmSync(folder, { recursive: true });
});

const SECRET = '/etc/shadow';
const READ = 'Password database read by an untrusted program';
const x64 = process.arch === 'x64' ? false : 'there is no such convention here';

/** The detections of a rule that `act` caused. */
async function of(rule: string, act: () => unknown) {
  const alerts = await agent.caused(act);
  const found = alerts.filter((alert) => alert.rule === rule);
  assert.ok(found.length > 0, `no ${rule}: ${JSON.stringify(alerts.map((alert) => alert.rule))}`);
  return found;
}

const evade = (...args: string[]) => spawnSync(EVADE, args, { cwd: folder, timeout: 20_000 });

for (const [way, args] of [
  ['a ring', ['uring', 'openat2', SECRET]],
  ['a ring that the kernel polls', ['uring-sqpoll', 'openat2', SECRET]],
  ['a ring without an answer', ['uring-skip-success', 'openat2', SECRET]],
  ['a page that comes when it is asked for', ['open-faulting', SECRET, '/etc/hostname']],
  ['a path that another thread writes over', ['open-flipped', SECRET, '/etc/passwd', '20000']],
] as const) {
  test(`passwords are read by ${way}`, async () => {
    const [alert] = await of(READ, () => evade(...args));
    assert.equal(alert!.output_fields['fd.name'], SECRET);
    assert.equal(alert!.output_fields['proc.exepath'], EVADE);
  });
}

test('a path that another thread writes over while a file is removed is a threat by itself', async () => {
  const [one, other] = [join(folder, 'absent-1'), join(folder, 'absent-2')];
  const [alert] = await of('Path changed while a call used it', () => evade('unlink-flipped', one, other, '3000'));
  assert.equal(alert!.priority, 'Critical');
  assert.equal(alert!.output_fields['proc.exepath'], EVADE);
});

test('so is a number of x32, also where the kernel has none', { skip: x64 }, async () => {
  const [alert] = await of('Call by a number of x32', () => evade('x32', '257', SECRET));
  assert.equal(alert!.output_fields['fd.name'], SECRET);
});

test('passwords read in namespaces of their own, by a name of their own', async () => {
  const copy = join(folder, 'sshd');
  execFileSync('cp', ['/bin/cat', copy]);
  const [alert] = await of(READ, () => spawnSync('unshare', ['--mount', '--uts', '--ipc', copy, SECRET]));
  assert.equal(alert!.output_fields['proc.exepath'], copy);
});

test('a file name with a line of its own makes no second detection out of one', async () => {
  const hostile = join(folder, 'x\n{"rule":"none"}');
  writeFileSync(hostile, '');
  const alerts = await of(READ, () => spawnSync('cat', [hostile, SECRET], { cwd: folder }));
  assert.equal(alerts.length, 1);
});
