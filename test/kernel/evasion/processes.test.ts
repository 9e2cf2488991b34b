import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { HostCgroup } from '../../containers/host-cgroup.ts';
import { Capture, type Fields } from '../capture.ts';
import { buildTrigger, TRIGGER } from '../trigger.ts';
import { attempt, missed, shown, told } from './attempt.ts';
import { buildEvade, EVADE, event } from './evade.ts';

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

/** An execution of `trigger`, as what was seen. */
const execution = (fields: Readonly<Record<string, unknown>>, ...names: readonly string[]) =>
  told({ type: 'execve', fields: fields as Fields }, ...names);

test('flags of a new process are those that the kernel acted on', () => {
  const made = event(capture, 'clone3', ['clone3'], ['evt.arg.flags', 'evt.rawres']);
  assert.deepEqual(made.fields, { 'evt.arg.flags': 'CLONE_FILES|CLONE_PARENT', 'evt.rawres': made.result });
  const forked = event(capture, 'vfork', ['vfork', TRIGGER, 'nothing'], ['evt.arg.flags', 'evt.arg.pid']);
  assert.deepEqual(forked.fields, {
    'evt.arg.flags': 'CLONE_VM|CLONE_VFORK',
    'evt.arg.pid': Number(forked.fields['evt.arg.pid']),
  });
});

attempt(20, 'a child that another process is given to by CLONE_PARENT has that one as its parent', {}, () => {
  const found = event(capture, 'clone3', ['clone3'], ['evt.arg.flags']);
  assert.equal(capture.source.table.known(found.result)?.parentPid, process.pid);
  return told(found, 'evt.arg.flags');
});

for (const way of ['exec-by-thread', 'exec-by-orphan-thread', 'fexecve', 'vfork']) {
  attempt(20, `a program that is started by ${way} is told with its process and its file`, {}, () => {
    const names = ['proc.args', 'proc.aname[1]', 'user.uid'];
    const found = executions(() => spawnSync(EVADE, [way, TRIGGER, 'nothing']), names);
    assert.equal(found.length, 1);
    assert.deepEqual([found[0]!['proc.args'], found[0]!['user.uid']], ['nothing', 0]);
    return execution(found[0]!, 'proc.args');
  });
}

attempt(20, 'a program whose parent has gone is still told with who started it', {}, () => {
  // the middle one ends before the program starts: what adopts it is not who did it
  const found = executions(
    () => spawnSync('sh', ['-c', `(${TRIGGER} nothing orphan &) ; sleep 0.2`]),
    ['proc.args', 'proc.aname', 'proc.pname'],
  );
  assert.equal(found.length, 1);
  assert.ok((found[0]!['proc.aname'] as string[]).slice(0, 2).includes('sh'), String(found[0]!['proc.aname']));
  return execution(found[0]!, 'proc.args', 'proc.pname');
});

attempt(20, 'forty forks deep, every ancestor is there', {}, () => {
  const found = executions(() => spawnSync(EVADE, ['deep', '40', TRIGGER, 'nothing']), ['proc.aname']);
  assert.equal(found.length, 1);
  const names = found[0]!['proc.aname'] as string[];
  assert.equal(names.filter((name) => name === 'evade').length, 40);
  return shown('`execve` with 40 times `evade` in `proc.aname`');
});

attempt([13, 29], 'among two thousand short processes the one in question is told', {}, () => {
  const script = `i=0; while [ $i -lt 2000 ]; do (:); i=$((i+1)); done; exec ${TRIGGER} nothing among-many`;
  const found = executions(() => spawnSync('sh', ['-c', script]), ['proc.args', 'proc.pname']);
  assert.deepEqual(
    found.map((one) => one['proc.args']),
    ['nothing among-many'],
  );
  return execution(found[0]!, 'proc.args', 'proc.pname');
});

attempt(
  7,
  'what a program calls itself (PR_SET_NAME), and what it writes over its arguments, changes nothing',
  {},
  () => {
    const names = ['proc.name', 'proc.exepath', 'proc.args', 'fd.name'];
    const found = event(capture, 'openat', ['renamed', 'argument'], names);
    assert.deepEqual(found.fields, {
      'proc.name': 'evade',
      'proc.exepath': EVADE,
      'proc.args': 'renamed argument',
      'fd.name': '/etc/hostname',
    });
    return told(found, 'proc.name', 'proc.exepath', 'proc.args');
  },
);

attempt(24, 'a program that takes its file away is told by where it was', {}, () => {
  const copy = join(folder, 'gone');
  copyFileSync(EVADE, copy);
  const { events: all } = capture.of(() => spawnSync(copy, ['unlinked', copy]), ['proc.exepath', 'fd.name']);
  const opened = all.find(({ fields }) => fields['fd.name'] === '/etc/hostname');
  assert.equal(opened?.fields['proc.exepath'], copy);
  return told(opened!, 'proc.exepath');
});

attempt([6, 25], 'a program by another name is told by its file: symbolic link, interpreter of a script', {}, () => {
  const link = join(folder, 'systemd-logind');
  symlinkSync(TRIGGER, link);
  const byLink = executions(() => spawnSync(link, ['nothing']), ['proc.name', 'proc.exe', 'proc.args']);
  assert.deepEqual(byLink, [{ 'proc.name': 'systemd-logind', 'proc.exe': link, 'proc.args': 'nothing' }]);
  const script = join(folder, 'script');
  writeFileSync(script, `#!${TRIGGER} nothing\n`, { mode: 0o755 });
  const byScript = executions(() => spawnSync(script, ['x']), ['proc.args']);
  assert.deepEqual(byScript, [{ 'proc.args': `nothing ${script} x` }]);
  return execution({ ...byLink[0], 'proc.exepath': TRIGGER }, 'proc.name', 'proc.exepath');
});

const LOADER = '/lib64/ld-linux-x86-64.so.2';
const noLoader = existsSync(LOADER) ? false : 'no such loader here';

attempt(
  25,
  'a program that the dynamic loader is told to start is in its arguments and among the files it opens',
  { skip: noLoader },
  () => {
    const { events: all } = capture.of(
      () => spawnSync(LOADER, ['/bin/cat', '/dev/null']),
      ['proc.args', 'fd.name', 'proc.exepath'],
    );
    const started = all.findLast(({ type }) => type === 'execve')!;
    assert.match(String(started.fields['proc.exepath']), /ld-linux/);
    assert.equal(started.fields['proc.args'], '/bin/cat /dev/null');
    assert.ok(all.some((one) => one.type === 'openat' && String(one.fields['fd.name']).endsWith('/bin/cat')));
    return told(started, 'proc.exepath', 'proc.args');
  },
);

attempt(
  25,
  'a library that LD_PRELOAD has loaded is among the files that the program opens',
  { skip: noLoader },
  () => {
    const library = join(folder, 'preloaded.so');
    execFileSync('gcc', ['-shared', '-o', library, '-x', 'c', '/dev/null']);
    const env = { LD_PRELOAD: library };
    const { events: all } = capture.of(
      () => spawnSync('/bin/cat', ['/dev/null'], { env }),
      ['fd.name', 'proc.exepath'],
    );
    const opened = all.find(({ fields }) => fields['fd.name'] === library);
    assert.ok(opened);
    return told(opened, 'fd.name', 'proc.exepath');
  },
);

attempt(
  27,
  'behind a hundred kilobytes of arguments stands what it is about: the end is told too, and that the middle was cut',
  {},
  () => {
    const { events: all } = capture.of(() => spawnSync(EVADE, ['long-argv', TRIGGER]), ['proc.exepath', 'proc.args']);
    const last = all.findLast(({ type }) => type === 'execve')!;
    assert.equal(last.fields['proc.exepath'], TRIGGER);
    assert.deepEqual(last.truncatedFields, ['proc.args']);
    assert.match(String(last.fields['proc.args']), /^nothing {100,} \.\.\. {100,} the-payload$/);
    return told(last, 'proc.args');
  },
);

attempt(27, 'it stands in the middle of them: that it was cut is told', { expect: 'not detected' }, () => {
  const args = ['nothing', ...Array<string>(50).fill(' '.repeat(999))];
  const names = ['proc.exepath', 'proc.args'];
  const { events: all } = capture.of(() => spawnSync(TRIGGER, [...args, 'the-payload', ...args]), names);
  const last = all.findLast(({ type }) => type === 'execve')!;
  assert.equal(last.fields['proc.exepath'], TRIGGER);
  assert.deepEqual(last.truncatedFields, ['proc.args']);
  const seen = told(last, 'proc.args');
  return String(last.fields['proc.args']).includes('the-payload')
    ? seen
    : missed(`${seen.evidence} with \`evt.truncated=proc.args\``);
});

attempt(31, 'a process that was there before the agent is known with all that it is', {}, async () => {
  const waiting = spawn(EVADE, ['wait', '/etc/hostname'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(waiting, 'spawn');
  const later = await Capture.start({ eventTypes: ['openat'] });
  try {
    waiting.stdin!.write('\n');
    await once(waiting, 'close');
    const found = later.waiting(waiting.pid!, ['proc.exepath', 'proc.args', 'proc.aname[1]', 'fd.name']);
    const opened = found.find(({ type }) => type === 'openat')!;
    const { fields } = opened;
    assert.deepEqual(fields, {
      'proc.exepath': EVADE,
      'proc.args': 'wait /etc/hostname',
      'proc.aname[1]': fields['proc.aname[1]'],
      'fd.name': '/etc/hostname',
    });
    assert.notEqual(fields['proc.aname[1]'], undefined);
    return told(opened, 'fd.name', 'proc.exepath', 'proc.args');
  } finally {
    later.close();
  }
});

attempt([19, 35], 'in namespaces of its own a process has the numbers and the user of the host', {}, () => {
  const found = executions(
    () => spawnSync('unshare', ['--user', '--pid', '--fork', '--map-user=7', TRIGGER, 'nothing']),
    ['user.uid', 'proc.vpid', 'proc.args'],
  );
  assert.deepEqual(found, [{ 'user.uid': 0, 'proc.vpid': 1, 'proc.args': 'nothing' }]);
  return execution(found[0]!, 'user.uid', 'proc.vpid');
});

attempt(19, 'a user that changes between is the one of each event', {}, () => {
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
  return shown('`openat` with `user.uid=33`, then with `user.uid=0`');
});

/** What is told of a program that leaves the cgroup of its container, opens a file, and executes others: itself, and by a child. */
function leaveCgroup() {
  const id = randomBytes(32).toString('hex');
  const cgroup = new HostCgroup(`docker/${id}`);
  const [, , , inside] = cgroup.command([]);
  const script = `echo $$ > ${inside}/../../cgroup.procs; : < /etc/hostname; ${TRIGGER} nothing; exec ${TRIGGER} nothing`;
  const names = ['fd.name', 'container.id', 'proc.exepath', 'proc.pexepath', 'thread.cgroups'];
  let pid = 0;
  const all = capture.all(() => {
    // with mounts of its own, as every container has them
    pid = cgroup.run(['unshare', '--mount', 'sh', '-c', script]);
  }, names);
  cgroup.close();
  const executed = all.filter(({ type, fields }) => type === 'execve' && fields['proc.exepath'] === TRIGGER);
  return {
    id: id.slice(0, 12),
    opened: all.find((event) => event.pid === pid && event.fields['fd.name'] === '/etc/hostname')!,
    itself: executed.find((event) => event.pid === pid)!,
    child: executed.find((event) => event.pid !== pid && String(event.fields['proc.pexepath']).endsWith('sh'))!,
  };
}

attempt(35, 'a program in a container moves out of its cgroup: it is still told with the container', {}, () => {
  const { id, opened } = leaveCgroup();
  assert.equal(opened.fields['container.id'], id);
  return told(opened, 'fd.name', 'container.id');
});

attempt(35, 'it executes another there, itself or by a child: that is told with the container', {}, () => {
  const { id, itself, child } = leaveCgroup();
  for (const { fields } of [itself, child]) {
    assert.ok(!String(fields['thread.cgroups']).includes(id), 'it is in a cgroup of the host');
    assert.equal(fields['container.id'], id);
  }
  return told(itself, 'proc.exepath', 'container.id');
});

attempt(
  35,
  'it left before the agent was started: it is told with the container that its ancestors are in',
  {},
  async () => {
    const id = randomBytes(32).toString('hex');
    const cgroup = new HostCgroup(`docker/${id}`);
    const [, , , inside] = cgroup.command([]);
    const leaves = `echo $$ > ${inside}/../../cgroup.procs; echo $$; read go; : < /etc/hostname; exec ${TRIGGER} nothing`;
    const program = cgroup.start(['unshare', '--mount', 'sh', '-c', `sh -c '${leaves}'; true`]);
    const pid = Number(String((await once(program.stdout, 'data'))[0]));
    const late = await Capture.start();
    const all = await late.during(async () => {
      program.stdin.end('\n');
      await once(program, 'exit');
    }, ['fd.name', 'container.id', 'proc.exepath', 'thread.cgroups']);
    late.close();
    cgroup.close();
    const found = all.filter((event) => event.pid === pid);
    const opened = found.find(({ fields }) => fields['fd.name'] === '/etc/hostname')!;
    const executed = found.find(({ type, fields }) => type === 'execve' && fields['proc.exepath'] === TRIGGER)!;
    for (const { fields } of [opened, executed]) {
      assert.ok(!String(fields['thread.cgroups']).includes(id), 'it is in a cgroup of the host');
      assert.equal(fields['container.id'], id.slice(0, 12));
    }
    return told(opened, 'fd.name', 'container.id');
  },
);
