import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AgentProcess } from './agent-process.ts';

const skip = lstatSync('/bin').isSymbolicLink() ? false : '/bin is no symbolic link here';

/** Each says /bin, and nothing of /usr/bin. */
const RULES = `
- rule: By start
  desc: d
  condition: evt.type in (open, openat) and fd.name startswith /bin/tru
  output: "%fd.name"
  priority: NOTICE
- rule: By folder
  desc: d
  condition: evt.type in (open, openat) and fd.directory in (/bin, /nowhere) and fd.filename = true
  output: "%fd.name"
  priority: NOTICE
- rule: By program
  desc: d
  condition: evt.type = execve and proc.exepath = /bin/true and not proc.args startswith shikra
  output: "%proc.exepath"
  priority: NOTICE
- rule: By change
  desc: d
  condition: evt.type in (chmod, fchmodat) and fs.path.name = /bin/true
  output: "%fs.path.name"
  priority: NOTICE
`;

let agent: AgentProcess;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shikra-linked-'));
  const file = join(folder, 'linked.yaml');
  writeFileSync(file, RULES);
  agent = await AgentProcess.start({ bundled: [file], receiver: { ring_preset: 6, rule_matching: 'all' } });
});

after(async () => {
  await agent?.close();
  rmSync(folder, { recursive: true });
});

/** The rules that fire for what a shell does, with the path that each tells. */
async function told(script: string): Promise<string[]> {
  const alerts = await agent.caused(() => spawnSync('/usr/bin/sh', ['-c', script]));
  return alerts.map(({ rule, output }) => `${rule}: ${output.split(' ')[0]}`).sort();
}

test('a rule that says /bin meets the file by every way to it', { skip }, async () => {
  const resolved = ['By folder: /usr/bin/true', 'By start: /usr/bin/true'];
  // the spelling of the caller was always one of those that a rule is asked about; which one an output shows is the first that matched
  assert.deepEqual(await told('read x < /usr/bin/true'), resolved);
  assert.deepEqual(await told('read x < /bin/true'), resolved);
  // here nobody but the kernel names the folder
  assert.deepEqual(await told('cd /bin; read x < true'), resolved);
  assert.deepEqual(await told('cd /; read x < bin/../bin/true'), resolved);
});

test('a rule that says /bin meets the program and the changed file', { skip }, async () => {
  assert.deepEqual(await told('exec /bin/true'), ['By program: /usr/bin/true']);
  assert.deepEqual(await told('cd /bin; chmod 755 true'), ['By change: /usr/bin/true']);
});
