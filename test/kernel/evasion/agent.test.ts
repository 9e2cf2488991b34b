import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { bundledRulesPath } from '../../../rules/index.ts';
import { AgentProcess } from '../agent-process.ts';
import { alerted, attempt, shown } from './attempt.ts';
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

for (const [row, way, args] of [
  [9, 'a ring', ['uring', 'openat2', SECRET]],
  [9, 'a ring that the kernel polls', ['uring-sqpoll', 'openat2', SECRET]],
  [9, 'a ring without an answer', ['uring-skip-success', 'openat2', SECRET]],
  [2, 'a page that comes when it is asked for', ['open-faulting', SECRET, '/etc/hostname']],
  [1, 'a path that another thread writes over', ['open-flipped', SECRET, '/etc/passwd', '20000']],
] as const) {
  attempt(row, `passwords are read by ${way}`, {}, async () => {
    const [alert] = await of(READ, () => evade(...args));
    assert.equal(alert!.output_fields['fd.name'], SECRET);
    assert.equal(alert!.output_fields['proc.exepath'], EVADE);
    return alerted(alert!, 'fd.name');
  });
}

attempt(1, 'a path that another thread writes over while a file is removed is a threat by itself', {}, async () => {
  const [one, other] = [join(folder, 'absent-1'), join(folder, 'absent-2')];
  const [alert] = await of('Path changed while a call used it', () => evade('unlink-flipped', one, other, '3000'));
  assert.equal(alert!.priority, 'Critical');
  assert.equal(alert!.output_fields['proc.exepath'], EVADE);
  return alerted(alert!);
});

attempt(37, 'a number of x32 is a threat by itself, also where the kernel has none', { skip: x64 }, async () => {
  const [alert] = await of('Call by a number of x32', () => evade('x32', '257', SECRET));
  assert.equal(alert!.output_fields['fd.name'], SECRET);
  return alerted(alert!, 'fd.name');
});

attempt([6, 35], 'passwords are read in namespaces of their own, by a program with a trusted name', {}, async () => {
  const copy = join(folder, 'sshd');
  execFileSync('cp', ['/bin/cat', copy]);
  const [alert] = await of(READ, () => spawnSync('unshare', ['--mount', '--uts', '--ipc', copy, SECRET]));
  assert.equal(alert!.output_fields['proc.exepath'], copy);
  return alerted(alert!, 'proc.name', 'proc.exepath');
});

attempt(32, 'a file name with a line of its own makes no second detection out of one', {}, async () => {
  const hostile = join(folder, 'x\n{"rule":"none"}');
  writeFileSync(hostile, '');
  const alerts = await of(READ, () => spawnSync('cat', [hostile, SECRET], { cwd: folder }));
  assert.equal(alerts.length, 1);
  return alerted(alerts[0]!, 'fd.name', 'proc.cmdline');
});

attempt(12, 'three hundred harmless alerts before the one', {}, async () => {
  const [one, other] = [join(folder, 'absent-1'), join(folder, 'absent-2')];
  const script = `i=0; while [ $i -lt 300 ]; do i=$((i+1)); : < ${SECRET}; done; ${EVADE} unlink-flipped ${one} ${other} 3000`;
  const alerts = await agent.caused(() => spawnSync('sh', ['-c', script], { cwd: folder, timeout: 20_000 }));
  assert.equal(alerts.filter(({ rule }) => rule === READ).length, 300);
  const alert = alerts.find(({ rule }) => rule === 'Path changed while a call used it');
  assert.ok(alert);
  return shown(`${alerted(alert).evidence}, and all 300 of *${READ}*`);
});
