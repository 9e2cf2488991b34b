import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Capture } from '../capture.ts';
import { buildTrigger, TRIGGER } from '../trigger.ts';
import { buildEvade, EVADE, evade, event } from './evade.ts';

let capture: Capture;
let folder: string;

before(async () => {
  buildEvade();
  buildTrigger();
  folder = mkdtempSync(join(tmpdir(), 'shikra-evasion-'));
  capture = await Capture.start();
});

after(() => {
  capture.close();
  rmSync(folder, { recursive: true });
});

/** Executions of `trigger`, by whatever process. */
function executions(act: () => unknown, names: readonly string[]): Readonly<Record<string, unknown>>[] {
  return capture
    .all(act, ['proc.exepath', ...names])
    .filter(({ type, fields }) => type.startsWith('execve') && fields['proc.exepath'] === TRIGGER)
    .map(({ fields }) => Object.fromEntries(names.map((name) => [name, fields[name]])));
}

test('flags of a new process are those that the kernel acted on', () => {
  const made = event(capture, 'clone3', ['clone3'], ['evt.arg.flags', 'evt.rawres']);
  assert.deepEqual(made.fields, { 'evt.arg.flags': 'CLONE_FILES|CLONE_PARENT', 'evt.rawres': made.result });
  const forked = event(capture, 'vfork', ['vfork', TRIGGER, 'nothing'], ['evt.arg.flags', 'evt.arg.pid']);
  assert.deepEqual(forked.fields, {
    'evt.arg.flags': 'CLONE_VM|CLONE_VFORK',
    'evt.arg.pid': Number(forked.fields['evt.arg.pid']),
  });
});

test('a child that another process is given to by CLONE_PARENT has that one as its parent', () => {
  const { result } = capture.of(() => evade(['clone3']), []);
  assert.equal(capture.source.table.known(result.result)?.parentPid, process.pid);
});

for (const way of ['exec-by-thread', 'exec-by-orphan-thread', 'fexecve', 'vfork']) {
  test(`a program that is started by ${way} is told with its process and its file`, () => {
    const names = ['proc.args', 'proc.aname[1]', 'user.uid'];
    const found = executions(() => spawnSync(EVADE, [way, TRIGGER, 'nothing']), names);
    assert.equal(found.length, 1);
    assert.deepEqual([found[0]!['proc.args'], found[0]!['user.uid']], ['nothing', 0]);
  });
}

test('a program whose parent has gone is still told with who started it', () => {
  // the middle one ends before the program starts: what adopts it is not who did it
  const found = executions(
    () => spawnSync('sh', ['-c', `(${TRIGGER} nothing orphan &) ; sleep 0.2`]),
    ['proc.args', 'proc.aname'],
  );
  assert.equal(found.length, 1);
  assert.ok((found[0]!['proc.aname'] as string[]).slice(0, 2).includes('sh'), String(found[0]!['proc.aname']));
});

test('forty forks deep, every ancestor is there', () => {
  const found = executions(() => spawnSync(EVADE, ['deep', '40', TRIGGER, 'nothing']), ['proc.aname']);
  assert.equal(found.length, 1);
  const names = found[0]!['proc.aname'] as string[];
  assert.equal(names.filter((name) => name === 'evade').length, 40);
});

test('among two thousand short processes the one in question is told', () => {
  const script = `i=0; while [ $i -lt 2000 ]; do (:); i=$((i+1)); done; exec ${TRIGGER} nothing among-many`;
  const found = executions(() => spawnSync('sh', ['-c', script]), ['proc.args', 'proc.pname']);
  assert.deepEqual(
    found.map((one) => one['proc.args']),
    ['nothing among-many'],
  );
});

test('what a program calls itself, and what it writes over its arguments, changes nothing', () => {
  const names = ['proc.name', 'proc.exepath', 'proc.args', 'fd.name'];
  const { fields } = event(capture, 'openat', ['renamed', 'argument'], names);
  assert.deepEqual(fields, {
    'proc.name': 'evade',
    'proc.exepath': EVADE,
    'proc.args': 'renamed argument',
    'fd.name': '/etc/hostname',
  });
});

test('a program that takes its file away is told by where it was', () => {
  const copy = join(folder, 'gone');
  copyFileSync(EVADE, copy);
  const { events: all } = capture.of(() => spawnSync(copy, ['unlinked', copy]), ['proc.exepath', 'fd.name']);
  const opened = all.find(({ fields }) => fields['fd.name'] === '/etc/hostname');
  assert.equal(opened?.fields['proc.exepath'], copy);
});

test('a program by another name is told by its file: symbolic link, interpreter, dynamic loader', () => {
  const link = join(folder, 'systemd-logind');
  symlinkSync(TRIGGER, link);
  const byLink = executions(() => spawnSync(link, ['nothing']), ['proc.name', 'proc.exe', 'proc.args']);
  assert.deepEqual(byLink, [{ 'proc.name': 'systemd-logind', 'proc.exe': link, 'proc.args': 'nothing' }]);
  const script = join(folder, 'script');
  writeFileSync(script, `#!${TRIGGER} nothing\n`, { mode: 0o755 });
  const byScript = executions(() => spawnSync(script, ['x']), ['proc.args']);
  assert.deepEqual(byScript, [{ 'proc.args': `nothing ${script} x` }]);
});

test('a program that the dynamic loader is told to start is in its arguments and among the files it opens', (t) => {
  const loader = execFileSync('sh', ['-c', 'ls /lib64/ld-linux-x86-64.so.2 2>/dev/null || true'], {
    encoding: 'utf8',
  }).trim();
  if (loader === '') return t.skip('no such loader here');
  const { events: all } = capture.of(
    () => spawnSync(loader, ['/bin/cat', '/dev/null']),
    ['proc.args', 'fd.name', 'proc.exepath'],
  );
  const { fields } = all.findLast(({ type }) => type === 'execve')!;
  assert.match(String(fields['proc.exepath']), /ld-linux/);
  assert.equal(fields['proc.args'], '/bin/cat /dev/null');
  assert.ok(all.some((one) => one.type === 'openat' && String(one.fields['fd.name']).endsWith('/bin/cat')));
});

test('behind a hundred kilobytes of arguments stands what it is about: the end is told too, and that the middle was cut', () => {
  const { events: all } = capture.of(() => spawnSync(EVADE, ['long-argv', TRIGGER]), ['proc.exepath', 'proc.args']);
  const last = all.findLast(({ type }) => type === 'execve')!;
  assert.equal(last.fields['proc.exepath'], TRIGGER);
  assert.deepEqual(last.truncatedFields, ['proc.args']);
  assert.match(String(last.fields['proc.args']), /^nothing {100,} \.\.\. {100,} the-payload$/);
});

test('a process that was there before the agent is known with all that it is', async () => {
  const waiting = spawn(EVADE, ['wait', '/etc/hostname'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(waiting, 'spawn');
  const later = await Capture.start({ eventTypes: ['openat'] });
  try {
    waiting.stdin!.write('\n');
    await once(waiting, 'close');
    const found = later.waiting(waiting.pid!, ['proc.exepath', 'proc.args', 'proc.aname[1]', 'fd.name']);
    const { fields } = found.find(({ type }) => type === 'openat')!;
    assert.deepEqual(fields, {
      'proc.exepath': EVADE,
      'proc.args': 'wait /etc/hostname',
      'proc.aname[1]': fields['proc.aname[1]'],
      'fd.name': '/etc/hostname',
    });
    assert.notEqual(fields['proc.aname[1]'], undefined);
  } finally {
    later.close();
  }
});

test('in namespaces of its own a process has the numbers and the user of the host', () => {
  const found = executions(
    () => spawnSync('unshare', ['--user', '--pid', '--fork', '--map-user=7', TRIGGER, 'nothing']),
    ['user.uid', 'proc.vpid', 'proc.args'],
  );
  assert.deepEqual(found, [{ 'user.uid': 0, 'proc.vpid': 1, 'proc.args': 'nothing' }]);
});

test('a user that changes between is the one of each event', () => {
  const { events: all } = capture.of(
    () =>
      spawnSync('python3', [
        '-c',
        "import os\nos.seteuid(33)\nopen('/etc/hostname')\nos.seteuid(0)\nopen('/etc/hostname')",
      ]),
    ['fd.name', 'user.uid'],
  );
  const opened = all
    .filter(({ fields }) => fields['fd.name'] === '/etc/hostname')
    .map(({ fields }) => fields['user.uid']);
  assert.deepEqual(opened, [33, 0]);
});
