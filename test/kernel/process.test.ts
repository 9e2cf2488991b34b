import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { HostCgroup } from '../containers/host-cgroup.ts';
import { Capture, type CapturedEvent } from './capture.ts';
import { attempt, shown, told } from './evasion/attempt.ts';
import { buildTrigger, TRIGGER, trigger } from './trigger.ts';

let capture: Capture;
let folder: string;

before(async () => {
  buildTrigger();
  folder = mkdtempSync(join(tmpdir(), 'shikra-process-'));
  capture = await Capture.start({ captureEnv: ['SHIKRA_TEST'] });
});

after(() => {
  capture.close();
  rmSync(folder, { recursive: true });
});

/** The one execution of a program that a call runs to its end. */
function execution(program: string, args: readonly string[], names: readonly string[], options: object = {}) {
  const { events } = capture.of(() => spawnSync(program, args, options), names);
  const executions = events.filter(({ type }) => type === 'execve' || type === 'execveat');
  assert.equal(executions.length, 1);
  return executions[0]!;
}

test('an execution tells program, arguments, working folder, parents and identity', () => {
  const names = [
    'proc.name',
    'proc.exe',
    'proc.exepath',
    'proc.args',
    'proc.cmdline',
    'proc.cwd',
    'proc.ppid',
    'proc.tty',
    'user.uid',
    'user.name',
    'group.gid',
    'proc.exe_ino',
    'evt.type',
    'evt.res',
    'container.id',
    'proc.aname[1]',
    'proc.env[SHIKRA_TEST]',
    'proc.env',
  ];
  const { fields } = execution(TRIGGER, ['nothing', 'a b', ''], names, {
    cwd: folder,
    env: { SHIKRA_TEST: 'yes', SECRET: 'no' },
  });
  assert.deepEqual(fields, {
    'proc.name': 'trigger',
    'proc.exe': TRIGGER,
    'proc.exepath': TRIGGER,
    'proc.args': 'nothing a b ',
    'proc.cmdline': 'trigger nothing a b ',
    'proc.cwd': `${folder}/`,
    'proc.ppid': process.pid,
    'proc.tty': 0,
    'user.uid': 0,
    'user.name': 'root',
    'group.gid': 0,
    'proc.exe_ino': BigInt(statSync(TRIGGER).ino),
    'evt.type': 'execve',
    'evt.res': 'SUCCESS',
    'container.id': 'host',
    'proc.aname[1]': fields['proc.aname[1]'],
    'proc.env[SHIKRA_TEST]': 'yes',
    'proc.env': 'SHIKRA_TEST=yes',
  });
});

attempt(7, 'argv[0] of another program: the executable is told by its file', {}, () => {
  const found = execution(TRIGGER, ['nothing'], ['proc.exe', 'proc.exepath', 'proc.name'], {
    argv0: '/usr/sbin/sshd',
  });
  assert.deepEqual(found.fields, { 'proc.exe': '/usr/sbin/sshd', 'proc.exepath': TRIGGER, 'proc.name': 'trigger' });
  return told(found, 'proc.exe', 'proc.exepath');
});

test('a long command line comes whole up to its limit, and is marked beyond', () => {
  const argument = 'x'.repeat(12_000);
  const whole = execution(TRIGGER, ['nothing', argument], ['proc.args']);
  assert.equal(whole.fields['proc.args'], `nothing ${argument}`);
  assert.equal(whole.truncated, 0);
  const cut = execution(TRIGGER, ['nothing', argument, argument], ['proc.args']);
  assert.equal(cut.truncated, 1 << 2);
  assert.ok(String(cut.fields['proc.args']).startsWith(`nothing ${argument} xxx`));
  assert.deepEqual(cut.truncatedFields, ['proc.args']);
});

attempt([8, 24], 'an execution out of memory (memfd, execveat with AT_EMPTY_PATH) says so', {}, () => {
  const names = ['proc.is_exe_from_memfd', 'proc.exepath', 'proc.args', 'evt.type'];
  const { events } = capture.of(() => trigger(['memfd-exec', TRIGGER, 'nothing']), names);
  const found = events.findLast(({ type }) => type === 'execveat')!;
  assert.deepEqual(found.fields, {
    'proc.is_exe_from_memfd': true,
    'proc.exepath': 'memfd:copy',
    'proc.args': 'nothing',
    'evt.type': 'execveat',
  });
  return told(found, 'proc.exepath', 'proc.is_exe_from_memfd');
});

attempt(5, 'an executable of the upper layer of an overlay is told from one below', {}, (t) => {
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(folder, name));
  copyFileSync(TRIGGER, join(folder, 'lower/old'));
  const layers = `lowerdir=${folder}/lower,upperdir=${folder}/upper,workdir=${folder}/work`;
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, join(folder, 'merged')]);
  t.after(() => execFileSync('umount', [join(folder, 'merged')]));
  copyFileSync(TRIGGER, join(folder, 'merged/new'));
  const names = ['proc.is_exe_upper_layer', 'proc.exepath'];
  assert.deepEqual(execution(join(folder, 'merged/old'), ['nothing'], names).fields, {
    'proc.is_exe_upper_layer': false,
    'proc.exepath': join(folder, 'merged/old'),
  });
  const found = execution(join(folder, 'merged/new'), ['nothing'], names);
  assert.deepEqual(found.fields, {
    'proc.is_exe_upper_layer': true,
    'proc.exepath': join(folder, 'merged/new'),
  });
  return told(found, 'proc.exepath', 'proc.is_exe_upper_layer');
});

attempt([5, 6], 'an executable mounted over another is told by its own name', {}, () => {
  // `unshare -m; mount --bind cat su; su /etc/shadow` made cat look like a program that may read passwords.
  const { events } = capture.of(
    () => spawnSync('unshare', ['-m', 'sh', '-c', `mount --bind ${TRIGGER} /usr/bin/su && exec /usr/bin/su nothing`]),
    ['proc.exepath', 'proc.args'],
  );
  const last = events.findLast(({ type }) => type === 'execve')!;
  assert.deepEqual(last.fields, { 'proc.exepath': TRIGGER, 'proc.args': 'nothing' });
  return told(last, 'proc.exepath');
});

test('a runtime is of the host until it has executed something with the mounts of the container', (t) => {
  // Of some sixty containers one was in its cgroup before runc had executed its copy of itself: seven mounts of runc were told as the container's. A path does
  // not tell the runtime, as an image may have a program there.
  const id = randomBytes(32).toString('hex');
  const cgroup = new HostCgroup(`docker/${id}`);
  t.after(() => cgroup.close());
  const back = `nsenter --target ${process.pid} --mount "$0" nothing`;
  const command = ['unshare', '--mount', 'sh', '-c', `"$0" nothing; ${back}`, TRIGGER];
  const names = ['container.full_id', 'evt.res', 'proc.name', 'shikra.proc.is_host_program'];
  const executions = capture
    .all(() => cgroup.run(command), names)
    .filter(
      ({ type, fields }) => type === 'execve' && fields['container.full_id'] === id && fields['evt.res'] === 'SUCCESS',
    );
  assert.deepEqual(
    executions.map(({ fields }) => [fields['proc.name'], fields['shikra.proc.is_host_program']]),
    [
      ['unshare', true],
      ['sh', false],
      ['trigger', false],
      ['nsenter', false],
      ['trigger', false],
    ],
  );
});

test('standard streams are told by what they lead to', () => {
  const names = ['proc.stdin.type', 'proc.stdout.type', 'proc.stderr.type'];
  const { fields } = execution(TRIGGER, ['nothing'], names, { stdio: ['ignore', 'pipe', 'ignore'] });
  assert.deepEqual(fields, { 'proc.stdin.type': 'file', 'proc.stdout.type': 'unix', 'proc.stderr.type': 'file' });
});

test('standard streams that lie in no folder are told by their kind', () => {
  // All of them were told as files.
  const kinds = 'event eventpoll inotify signalfd timerfd userfaultfd io_uring pidfd bpf memfd'.split(' ');
  for (const kind of kinds) {
    const { events } = capture.of(() => trigger(['exec-with-stdin', kind, TRIGGER, 'nothing']), ['proc.stdin.type']);
    assert.deepEqual(events.findLast(({ type }) => type === 'execve')!.fields, { 'proc.stdin.type': kind });
  }
});

test('a fork is told with its kind, and the child has the image of its parent until it executes', () => {
  const { result, events } = capture.of(() => trigger(['fork']), ['evt.type', 'evt.rawres']);
  assert.deepEqual(events.find(({ type }) => type === 'fork')!.fields, {
    'evt.type': 'fork',
    'evt.rawres': result.result,
  });
});

test('the end of a process is told once, whatever threads it had', () => {
  // Threads that end side by side, on processors of their own, all find that none is left: each told of the end.
  for (let round = 0; round < 200; round++) {
    const { events } = capture.of(() => trigger(['threads', '12']));
    assert.equal(events.filter(({ type }) => type === 'procexit').length, 1, `round ${round}`);
  }
});

test('ancestors are known to the first process', () => {
  const names = ['proc.aname', 'proc.pname', 'proc.aname[2]', 'proc.apid[1]'];
  const { events } = capture.of(() => spawnSync('sh', ['-c', `${TRIGGER} nothing; true`]), names);
  const shell = events.findLast(({ type }) => type === 'execve')!;
  const own = capture.source.table;
  const inner = capture.of(() => {
    const { pid, stdout } = spawnSync('sh', ['-c', `${TRIGGER} nothing & wait $!; echo $!`], { encoding: 'utf8' });
    return { shell: pid, pid: Number(stdout.trim().split('\n').at(-1)) };
  }, names);
  const { fields } = inner.events.findLast(({ type }) => type === 'execve')!;
  assert.equal(fields['proc.pname'], 'sh');
  assert.equal(fields['proc.apid[1]'], String(inner.result.shell));
  assert.equal((fields['proc.aname'] as string[])[0], 'sh');
  assert.equal(fields['proc.aname[2]'], shell.fields['proc.pname']);
  assert.ok(own.size > 2);
});

test('processes that ran before are known with arguments and parents', async () => {
  const other = await Capture.start({ eventTypes: ['openat'] });
  try {
    const { events } = other.of(() => {
      statSync('/');
      spawnSync('true');
      return process;
    }, ['proc.cmdline', 'proc.exepath', 'proc.pname']);
    const { fields } = events[0]!;
    assert.equal(fields['proc.exepath'], process.execPath);
    assert.match(String(fields['proc.cmdline']), /process\.test\.ts/);
    assert.notEqual(fields['proc.pname'], undefined);
  } finally {
    other.close();
  }
});

attempt([13, 20], 'an entry that a lost execution made stale is noticed and read again', {}, async (t) => {
  // The table believes that the shell is still what it was before an execution whose event is lost: its generation is behind.
  const script = 'echo ready; read line; : < /etc/hostname; read line';
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  capture.drain();
  const healedBefore = capture.source.table.counts.healed;
  const stale = capture.source.table.known(child.pid!)!;
  Object.assign(stale, { execId: stale.execId - 1, image: { ...stale.image, comm: 'stale' } });
  child.stdin.write('go\n');
  const seen: CapturedEvent[] = [];
  await waitUntil(() => {
    seen.push(...capture.waiting(child.pid!, ['proc.name', 'fd.name']));
    return seen.length > 0;
  });
  assert.deepEqual(seen[0]!.fields, { 'proc.name': 'sh', 'fd.name': '/etc/hostname' });
  assert.equal(capture.source.table.counts.healed, healedBefore + 1);
  return told(seen[0]!, 'proc.name', 'fd.name');
});

attempt(
  [13, 14],
  'a process table that is full pushes out entries, counts them, and finds them again',
  {},
  async () => {
    const small = await Capture.start({ eventTypes: ['openat'], processTableEntries: 4 });
    try {
      const { events } = small.of(
        () => trigger(['openat', 'cwd', '/etc/hostname', '0', '0']),
        ['proc.name', 'fd.name'],
      );
      const found = events.findLast(({ type }) => type === 'openat')!;
      assert.deepEqual(found.fields, {
        'proc.name': 'trigger',
        'fd.name': '/etc/hostname',
      });
      assert.equal(small.source.table.size, 4);
      assert.ok(small.source.table.counts.evicted > 0);
      return told(found, 'proc.name', 'fd.name');
    } finally {
      small.close();
    }
  },
);

attempt(14, 'a chain of ninety processes that each start the next and leave', {}, () => {
  // Each shell starts the next and leaves: the chain of parents grows by one with each.
  const script = 'n=$1; if [ $n -gt 0 ]; then sh "$0" $((n-1)); else cat /etc/hostname; fi';
  const { events } = capture.of(() => {
    const { stdout } = spawnSync(
      'sh',
      ['-c', `echo '${script.replaceAll("'", "'\\''")}' > ${folder}/chain; sh ${folder}/chain 90 > /dev/null; echo $$`],
      { encoding: 'utf8' },
    );
    return { pid: Number(stdout) };
  }, ['proc.name']);
  assert.ok(events.length > 0);
  return shown('every one is told, and is not kept for the sake of the chain');
});

async function waitUntil(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the condition did not come true within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
