import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { alerted, attempt, missed } from './evasion/attempt.ts';
import {
  agent,
  away,
  containers,
  detected,
  fires,
  folder,
  holdsAfterAll,
  quiet,
  run,
  token,
  withoutContainers,
} from './rules-agent.ts';
import { TRIGGER } from './trigger.ts';

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

holdsAfterAll('files');
