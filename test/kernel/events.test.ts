import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Capture, type CapturedEvent, type Fields } from './capture.ts';
import { buildTrigger, TRIGGER, trigger } from './trigger.ts';

let capture: Capture;
let folder: string;

before(async () => {
  buildTrigger();
  folder = mkdtempSync(join(tmpdir(), 'shikra-events-'));
  writeFileSync(join(folder, 'file'), 'content');
  mkdirSync(join(folder, 'sub'));
  capture = await Capture.start();
});

after(() => {
  capture.close();
  rmSync(folder, { recursive: true });
});

/** What every event says of the process that caused it. */
const PROCESS_FIELDS = ['proc.name', 'proc.exepath', 'proc.pname', 'user.uid', 'container.id', 'evt.res', 'evt.rawres'];

/** Makes one system call and returns its event: there must be exactly one. */
function event(
  type: string,
  args: readonly string[],
  names: readonly string[],
  options: Parameters<typeof trigger>[1] = {},
): CapturedEvent & { result: number } {
  const { result, events } = capture.of(() => trigger(args, options), [...names, ...PROCESS_FIELDS]);
  // before its execution stands what the test's process does in the child; the program is static, so no loader opens files after
  const started = events.findIndex((one) => one.type === 'execve');
  const found = events.slice(started).filter((one) => one.type === type);
  assert.equal(found.length, 1, `expected one ${type}, got ${events.map((one) => one.type).join(' ')}`);
  const {
    'proc.name': comm,
    'proc.exepath': exe,
    'proc.pname': parent,
    'user.uid': uid,
    'container.id': container,
    ...rest
  } = found[0]!.fields;
  assert.deepEqual({ comm, exe, uid, container }, { comm: 'trigger', exe: TRIGGER, uid: 0, container: 'host' });
  assert.ok(String(parent).startsWith('node'), `parent ${parent}`);
  assert.equal(rest['evt.rawres'], result.result);
  return { ...found[0]!, fields: pick(rest, names), result: result.result };
}

function pick(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(names.map((name) => [name, fields[name]]));
}

const OPEN_FIELDS = [
  'fd.name',
  'fd.nameraw',
  'fd.type',
  'evt.arg.flags',
  'evt.is_open_read',
  'evt.is_open_write',
  'evt.is_open_create',
  'fd.ino',
  'evt.res',
];

function opened(path: string, raw: string, flags: string, kind = 'file'): Fields {
  const { ino } = statSync(path);
  return {
    'fd.name': path,
    'fd.nameraw': raw,
    'fd.type': kind,
    'evt.arg.flags': flags,
    'evt.is_open_read': flags.includes('O_RDONLY') || flags.includes('O_RDWR'),
    'evt.is_open_write': flags.includes('O_WRONLY') || flags.includes('O_RDWR'),
    'evt.is_open_create': flags.includes('O_CREAT'),
    'fd.ino': ino,
    'evt.res': 'SUCCESS',
  };
}

test('open tells the file that was opened, how, and by whom', () => {
  const path = join(folder, 'file');
  const { fields, spellings } = event('open', ['open', path, '0', '0'], OPEN_FIELDS);
  assert.deepEqual(fields, opened(path, path, 'O_RDONLY'));
  assert.deepEqual(spellings, [path]);
});

test('raw arguments are the numbers that the names stand for', () => {
  const path = join(folder, 'raw');
  const names = ['flags', 'mode', 'dirfd', 'path', 'res', 'nothing'].map((name) => `evt.rawarg.${name}`);
  const { fields, result } = event('openat', ['openat', 'cwd', path, '0101', '0640'], names);
  assert.deepEqual(Object.values(fields), [0o101, 0o640, -100, path, result, undefined]);
  const changed = event('fchmodat', ['fchmodat', 'cwd', path, '0600'], ['evt.arg.mode', 'evt.rawarg.mode']);
  assert.deepEqual(changed.fields, { 'evt.arg.mode': 'S_IRUSR|S_IWUSR', 'evt.rawarg.mode': 0o600 });
  const refused = event('open', ['open', `${path}/x`, '0', '0'], ['evt.arg.res', 'evt.rawarg.res']);
  assert.deepEqual(refused.fields, { 'evt.arg.res': 'ENOTDIR', 'evt.rawarg.res': -20 });
});

test('open of a folder says that it is one', () => {
  const { fields } = event('open', ['open', folder, '0200000', '0'], OPEN_FIELDS);
  assert.deepEqual(fields, opened(folder, folder, 'O_RDONLY|O_DIRECTORY', 'directory'));
});

test('openat joins a relative name to the folder of its descriptor', () => {
  const path = join(folder, 'file');
  // two openat: of the folder by the program itself, then the one in question
  const { events } = capture.of(() => trigger(['openat', folder, 'file', '2', '0']), OPEN_FIELDS);
  assert.deepEqual(events.at(-2)!.fields, opened(path, 'file', 'O_RDWR'));
  assert.deepEqual(events.at(-2)!.spellings, [path]);
});

test('openat from the working folder tells the full path', () => {
  const path = join(folder, 'file');
  const { fields, spellings } = event('openat', ['openat', 'cwd', 'file', '0', '0'], OPEN_FIELDS, { cwd: folder });
  assert.deepEqual(fields, opened(path, 'file', 'O_RDONLY'));
  assert.deepEqual(spellings, [path]);
});

test('openat2 tells the flags that stand in its structure', () => {
  const path = join(folder, 'new');
  const { fields } = event('openat2', ['openat2', 'cwd', path, '0101', '0640'], [...OPEN_FIELDS, 'evt.arg.mode']);
  assert.deepEqual(fields, { ...opened(path, path, 'O_WRONLY|O_CREAT'), 'evt.arg.mode': 'S_IRUSR|S_IWUSR|S_IRGRP' });
});

test('creat is an open that creates', () => {
  const path = join(folder, 'created');
  const { fields } = event('creat', ['creat', path, '0755'], [...OPEN_FIELDS, 'evt.is_open_exec']);
  assert.deepEqual(fields, { ...opened(path, path, 'O_WRONLY|O_CREAT|O_TRUNC'), 'evt.is_open_exec': true });
});

test('open_by_handle_at has no path to say: the kernel knows it', () => {
  const path = join(folder, 'file');
  const { fields } = event('open_by_handle_at', ['open_by_handle_at', folder, path], OPEN_FIELDS);
  assert.deepEqual(fields, { ...opened(path, '', 'O_RDONLY'), 'fd.nameraw': undefined });
});

test('an open by the 32-bit convention is decoded as what it is', () => {
  const path = join(folder, 'file');
  const { fields, abi } = event('open', ['open-int80', path, '0', '0'], OPEN_FIELDS);
  assert.deepEqual(fields, opened(path, path, 'O_RDONLY'));
  assert.equal(abi, 1);
});

test('an open that fails tells the path as the caller wrote it, and the error', () => {
  const path = join(folder, 'sub/../absent');
  const { fields, spellings } = event(
    'open',
    ['open', path, '0', '0'],
    ['fd.name', 'fd.nameraw', 'evt.res', 'fd.type'],
  );
  const absolute = join(folder, 'absent');
  assert.deepEqual(fields, { 'fd.name': absolute, 'fd.nameraw': path, 'evt.res': 'ENOENT', 'fd.type': undefined });
  assert.deepEqual(spellings, [absolute]);
});

test('a path that cannot be read is flagged, not passed over', () => {
  const found = event('open', ['open-unreadable'], ['fd.name', 'evt.res']);
  assert.deepEqual(found.fields, { 'fd.name': undefined, 'evt.res': 'EFAULT' });
  assert.equal(found.unreadable, 2);
});

test('a symbolic link and the file behind it are two spellings of one open', () => {
  const link = join(folder, 'link');
  symlinkSync(join(folder, 'file'), link);
  const { spellings } = event('open', ['open', link, '0', '0'], []);
  assert.deepEqual(spellings, [join(folder, 'file'), link]);
});

test('a folder reached through a link and .. is told where it really is', () => {
  const link = join(folder, 'dirlink');
  symlinkSync('/etc', link);
  const { spellings } = event('open', ['open', `${link}/../etc/hostname`, '0', '0'], []);
  assert.deepEqual(spellings, ['/etc/hostname', join(folder, 'etc/hostname')]);
});

test('/proc/self/root does not hide a path', () => {
  const { fields } = event('open', ['open', '/proc/self/root/etc/hostname', '0', '0'], ['fd.name']);
  assert.deepEqual(fields, { 'fd.name': '/etc/hostname' });
});

test('a path of the length that the kernel allows comes whole', () => {
  const parts = Array.from({ length: 24 }, (_, i) => `${i}`.padEnd(160, 'x'));
  let deep = folder;
  for (const part of parts.slice(0, Math.floor((4090 - folder.length) / 161))) {
    deep = join(deep, part);
    mkdirSync(deep);
  }
  const found = event('open', ['open', deep, '0', '0'], ['fd.name']);
  assert.equal(found.fields['fd.name'], deep);
  assert.ok(deep.length > 3800);
  assert.equal(found.truncated, 0);
});

const PATH_CALLS: readonly [
  type: string,
  args: (at: string) => string[],
  expected: (at: string) => Fields,
  setUp?: (at: string) => void,
][] = [
  [
    'chmod',
    (at) => ['chmod', at, '04755'],
    (at) => ({
      'evt.arg.filename': at,
      'evt.arg.mode': 'S_ISUID|S_IRUSR|S_IWUSR|S_IXUSR|S_IRGRP|S_IXGRP|S_IROTH|S_IXOTH',
    }),
  ],
  [
    'fchmodat',
    (at) => ['fchmodat', 'cwd', at, '0600'],
    (at) => ({ 'evt.arg.filename': at, 'evt.arg.mode': 'S_IRUSR|S_IWUSR' }),
  ],
  [
    'fchmodat2',
    (at) => ['fchmodat2', 'cwd', at, '0600'],
    (at) => ({ 'evt.arg.filename': at, 'evt.arg.mode': 'S_IRUSR|S_IWUSR' }),
  ],
  [
    'fchmod',
    (at) => ['fchmod', at, '02711'],
    (at) => ({ 'fd.name': at, 'evt.arg.mode': 'S_ISGID|S_IRUSR|S_IWUSR|S_IXUSR|S_IXGRP|S_IXOTH' }),
  ],
  ['truncate', (at) => ['truncate', at, '3'], (at) => ({ 'fs.path.name': at, 'evt.arg.length': 3 })],
  ['ftruncate', (at) => ['ftruncate', at, '5'], (at) => ({ 'fd.name': at, 'evt.arg.length': 5 })],
  [
    'rename',
    (at) => ['rename', at, `${at}.new`],
    (at) => ({
      'fs.path.source': at,
      'fs.path.target': `${at}.new`,
      'evt.arg.oldpath': at,
      'evt.arg.newpath': `${at}.new`,
    }),
  ],
  [
    'renameat',
    (at) => ['renameat', 'cwd', at, 'cwd', `${at}.new`],
    (at) => ({ 'fs.path.source': at, 'fs.path.target': `${at}.new` }),
  ],
  [
    'renameat2',
    (at) => ['renameat2', 'cwd', at, 'cwd', `${at}.new`, '1'],
    (at) => ({ 'fs.path.source': at, 'fs.path.target': `${at}.new` }),
  ],
  ['link', (at) => ['link', at, `${at}.hard`], (at) => ({ 'fs.path.source': at, 'fs.path.target': `${at}.hard` })],
  [
    'linkat',
    (at) => ['linkat', 'cwd', at, 'cwd', `${at}.hard2`, '0'],
    (at) => ({ 'evt.arg.oldpath': at, 'evt.arg.newpath': `${at}.hard2` }),
  ],
  [
    'symlink',
    (at) => ['symlink', '../some/target', `${at}.sym`],
    (at) => ({ 'evt.arg.target': '../some/target', 'evt.arg.linkpath': `${at}.sym`, 'fs.path.target': `${at}.sym` }),
  ],
  [
    'symlinkat',
    (at) => ['symlinkat', '/etc/shadow', 'cwd', `${at}.sym2`],
    (at) => ({ 'fs.path.source': '/etc/shadow', 'fs.path.target': `${at}.sym2` }),
  ],
  [
    'mkdir',
    (at) => ['mkdir', `${at}.d`, '0700'],
    (at) => ({ 'evt.arg.path': `${at}.d`, 'evt.arg.mode': 'S_IRUSR|S_IWUSR|S_IXUSR' }),
  ],
  ['mkdirat', (at) => ['mkdirat', 'cwd', `${at}.d2`, '0700'], (at) => ({ 'evt.arg.path': `${at}.d2` })],
  ['rmdir', (at) => ['rmdir', `${at}.r`], (at) => ({ 'fs.path.name': `${at}.r` }), (at) => mkdirSync(`${at}.r`)],
  ['unlink', (at) => ['unlink', at], (at) => ({ 'fs.path.name': at, 'evt.arg.path': at })],
  [
    'unlinkat',
    (at) => ['unlinkat', 'cwd', `${at}.u`, '0x200'],
    (at) => ({ 'evt.arg.name': `${at}.u`, 'evt.arg.flags': 'AT_REMOVEDIR' }),
    (at) => mkdirSync(`${at}.u`),
  ],
];

for (const [type, args, expected, setUp] of PATH_CALLS) {
  test(`${type} tells its paths and arguments`, () => {
    const at = join(folder, `subject-${type}`);
    writeFileSync(at, 'content');
    setUp?.(at);
    const wanted = { ...expected(at), 'evt.res': 'SUCCESS' };
    if (type === 'renameat2') writeFileSync(`${at}.occupied`, '');
    assert.deepEqual(event(type, args(at), Object.keys(wanted)).fields, wanted);
  });
}

test('a relative path is joined to the working folder, .. and all', () => {
  const at = join(folder, 'relative');
  writeFileSync(at, '');
  const { fields } = event('unlink', ['unlink', './sub/../relative'], ['fs.path.name', 'fs.path.nameraw'], {
    cwd: folder,
  });
  assert.deepEqual(fields, { 'fs.path.name': at, 'fs.path.nameraw': './sub/../relative' });
});

test('dup tells both descriptors and the file behind them', () => {
  const wanted = ['evt.arg.oldfd', 'fd.type', 'fd.num'];
  for (const [type, args, fd] of [
    ['dup', ['dup', '1'], 3],
    ['dup2', ['dup2', '1', '9'], 9],
    ['dup3', ['dup3', '1', '8', '0'], 8],
  ] as const) {
    assert.deepEqual(event(type, args, wanted).fields, { 'evt.arg.oldfd': 1, 'fd.type': 'unix', 'fd.num': fd });
  }
});

test('socket tells what was asked for', () => {
  const { fields } = event('socket', ['socket', '17', '3', '0'], ['evt.arg.domain', 'evt.arg.type', 'evt.res']);
  assert.deepEqual(fields, { 'evt.arg.domain': 'AF_PACKET', 'evt.arg.type': 3, 'evt.res': 'SUCCESS' });
});

const TUPLE = [
  'fd.type',
  'fd.l4proto',
  'fd.sip',
  'fd.sport',
  'fd.rip',
  'fd.rport',
  'fd.cip',
  'fd.sockfamily',
  'evt.res',
];

test('connect tells the peer that the kernel connected to', () => {
  const { fields } = event('connect', ['connect', 'v4:127.0.0.1:9', '2'], [...TUPLE, 'fd.connected']);
  assert.deepEqual(fields, {
    'fd.type': 'ipv4',
    'fd.l4proto': 'udp',
    'fd.sip': '127.0.0.1',
    'fd.sport': 9,
    'fd.rip': '127.0.0.1',
    'fd.rport': 9,
    'fd.cip': '127.0.0.1',
    'fd.sockfamily': 'ip',
    'evt.res': 'SUCCESS',
    'fd.connected': true,
  });
});

test('a connect that is refused tells the address that was asked for', () => {
  const { fields } = event(
    'connect',
    ['connect', 'v4:127.0.0.1:1', '1'],
    ['fd.sip', 'fd.sport', 'fd.l4proto', 'evt.res', 'fd.net'],
  );
  assert.deepEqual(fields, {
    'fd.sip': '127.0.0.1',
    'fd.sport': 1,
    'fd.l4proto': 'tcp',
    'evt.res': 'ECONNREFUSED',
    'fd.net': fields['fd.net'],
  });
});

test('connect over IPv6 writes addresses in their short form', () => {
  const { fields } = event('connect', ['connect', 'v6:::1:9', '2'], ['fd.type', 'fd.rip', 'fd.rport']);
  assert.deepEqual(fields, { 'fd.type': 'ipv6', 'fd.rip': '::1', 'fd.rport': 9 });
});

test('bind and listen tell the local side', () => {
  const names = ['fd.lip', 'fd.lport', 'fd.is_server', 'evt.res'];
  const expected = { 'fd.lip': '127.0.0.1', 'fd.lport': 39999, 'fd.is_server': true, 'evt.res': 'SUCCESS' };
  assert.deepEqual(event('bind', ['bind', 'v4:127.0.0.1:39999'], names).fields, expected);
  const listening = event('listen', ['listen', 'v4:127.0.0.1:39999', '17'], [...names, 'evt.arg.backlog']);
  assert.deepEqual(listening.fields, { ...expected, 'evt.arg.backlog': 17 });
});

for (const type of ['accept', 'accept4']) {
  test(`${type} tells client and server of the new connection`, () => {
    const { fields } = event(
      type,
      [type, 'v4:127.0.0.1:0'],
      ['fd.cip', 'fd.sip', 'fd.l4proto', 'fd.is_server', 'fd.connected'],
    );
    assert.deepEqual(fields, {
      'fd.cip': '127.0.0.1',
      'fd.sip': '127.0.0.1',
      'fd.l4proto': 'tcp',
      'fd.is_server': true,
      'fd.connected': true,
    });
  });
}

test('a unix socket is told by its path', () => {
  const at = join(folder, 'socket');
  const { fields } = event('bind', ['bind', `unix:${at}`], ['fd.name', 'fd.type', 'fd.sockfamily']);
  assert.deepEqual(fields, { 'fd.name': at, 'fd.type': 'unix', 'fd.sockfamily': 'unix' });
});

test('ptrace names its request', () => {
  assert.deepEqual(event('ptrace', ['ptrace-traceme'], ['evt.arg.request']).fields, {
    'evt.arg.request': 'PTRACE_TRACEME',
  });
  assert.deepEqual(event('ptrace', ['ptrace-attach'], ['evt.arg.request']).fields, {
    'evt.arg.request': 'PTRACE_ATTACH',
  });
});

test('unshare and setns name the namespaces', () => {
  assert.deepEqual(event('unshare', ['unshare', '0x04020000'], ['evt.arg.flags']).fields, {
    'evt.arg.flags': 'CLONE_NEWNS|CLONE_NEWUTS',
  });
  const { fields } = event('setns', ['setns', '/proc/self/ns/uts', '0x04000000'], ['evt.arg.nstype', 'evt.res']);
  assert.deepEqual(fields, { 'evt.arg.nstype': 'CLONE_NEWUTS', 'evt.res': 'SUCCESS' });
});

test('setuid names the user', () => {
  const { events } = capture.of(() => trigger(['setuid', '33']), ['evt.arg.uid', 'user.uid', 'user.name']);
  const name = /^([^:]*):[^:]*:33:/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1];
  assert.deepEqual(events.find(({ type }) => type === 'setuid')!.fields, {
    'evt.arg.uid': name,
    'user.uid': 33,
    'user.name': name,
  });
});

test('module loading tells parameters, file and error', () => {
  assert.deepEqual(event('init_module', ['init_module', 'a=1'], ['evt.arg.uargs', 'evt.failed']).fields, {
    'evt.arg.uargs': 'a=1',
    'evt.failed': true,
  });
  const path = join(folder, 'file');
  const { fields } = event('finit_module', ['finit_module', path, 'b=2'], ['evt.arg.uargs', 'evt.arg.path']);
  assert.deepEqual(fields, { 'evt.arg.uargs': 'b=2', 'evt.arg.path': path });
  assert.deepEqual(event('delete_module', ['delete_module', 'absent'], ['evt.arg.name']).fields, {
    'evt.arg.name': 'absent',
  });
});

test('memfd_create tells its name', () => {
  const { fields } = event('memfd_create', ['memfd_create', 'hidden'], ['evt.arg.name', 'evt.arg.flags']);
  assert.deepEqual(fields, { 'evt.arg.name': 'hidden', 'evt.arg.flags': 'MFD_CLOEXEC' });
});

test('23 opens are 23 events', () => {
  const count = capture
    .of(() => {
      for (let i = 0; i < 23; i++) statSync('/etc/hostname');
      for (let i = 0; i < 23; i++) readFileSync('/etc/hostname');
      return process;
    }, ['fd.name'])
    .events.filter(({ type, fields }) => type === 'openat' && fields['fd.name'] === '/etc/hostname').length;
  assert.equal(count, 23);
});

test('a hard link and a file without any permission are files like others', () => {
  const hard = join(folder, 'hard');
  linkSync(join(folder, 'file'), hard);
  chmodSync(hard, 0);
  assert.deepEqual(event('open', ['open', hard, '0', '0'], ['fd.name', 'evt.res']).fields, {
    'fd.name': hard,
    'evt.res': 'SUCCESS',
  });
});

/** By number, with what is expected: calls that succeed for root on any machine, or fail in a way that is told all the same. */
const NUMBERED_CALLS: readonly [
  type: string,
  args: (at: string) => (string | number)[],
  expected: (at: string) => Fields,
][] = [
  [
    'mknod',
    (at) => [133, `@${at}.fifo`, 0o10600, 0],
    (at) => ({ 'fs.path.name': `${at}.fifo`, 'evt.arg.mode': 'S_IRUSR|S_IWUSR', 'evt.res': 'SUCCESS' }),
  ],
  [
    'mknodat',
    (at) => [259, 'cwd', `@${at}.fifo2`, 0o10600, 0],
    (at) => ({ 'evt.arg.path': `${at}.fifo2`, 'evt.res': 'SUCCESS' }),
  ],
  [
    'chown',
    (at) => [92, `@${at}`, 33, 34],
    (at) => ({ 'evt.arg.path': at, 'evt.arg.uid': 33, 'evt.arg.gid': 34, 'evt.res': 'SUCCESS' }),
  ],
  ['lchown', (at) => [94, `@${at}`, 0, 0], (at) => ({ 'evt.arg.path': at, 'evt.arg.uid': 0, 'evt.res': 'SUCCESS' })],
  [
    'fchownat',
    (at) => [260, 'cwd', `@${at}`, 1, 2, 0],
    (at) => ({ 'evt.arg.path': at, 'evt.arg.uid': 1, 'evt.arg.gid': 2, 'evt.res': 'SUCCESS' }),
  ],
  [
    'fchown',
    () => [93, 1, 0, 0],
    () => ({ 'evt.arg.fd': 1, 'evt.arg.uid': 0, 'evt.arg.gid': 0, 'evt.res': 'SUCCESS' }),
  ],
  [
    'setxattr',
    (at) => [188, `@${at}`, '@user.shikra', '@value', 5, 0],
    (at) => ({ 'evt.arg.path': at, 'evt.arg.name': 'user.shikra', 'fs.path.source': undefined }),
  ],
  [
    'mount',
    (at) => [165, '@none', `@${at}.absent`, '@tmpfs', 6, 0],
    (at) => ({
      'evt.arg.dir': `${at}.absent`,
      'evt.arg.dev': 'none',
      'evt.arg.type': 'tmpfs',
      'evt.arg.flags': 'MS_NOSUID|MS_NODEV',
      'fs.path.target': `${at}.absent`,
      'evt.res': 'ENOENT',
    }),
  ],
  [
    'umount2',
    (at) => [166, `@${at}`, 2],
    (at) => ({ 'evt.arg.name': at, 'evt.arg.flags': 'MNT_DETACH', 'evt.res': 'EINVAL' }),
  ],
  [
    'open_tree',
    (at) => [428, 'cwd', `@${at}`, 1],
    (at) => ({ 'evt.arg.path': at, 'evt.arg.flags': 1, 'evt.res': 'SUCCESS' }),
  ],
  [
    'move_mount',
    (at) => [429, 'cwd', `@${at}`, 'cwd', `@${at}.to`, 0],
    (at) => ({ 'fs.path.source': at, 'fs.path.target': `${at}.to`, 'evt.failed': true }),
  ],
  ['mount_setattr', (at) => [442, 'cwd', `@${at}`, 0, 0, 0], (at) => ({ 'evt.arg.path': at, 'evt.failed': true })],
  [
    'pivot_root',
    (at) => [155, `@${at}.new`, `@${at}.old`],
    (at) => ({ 'evt.arg.new_root': `${at}.new`, 'evt.arg.put_old': `${at}.old`, 'evt.failed': true }),
  ],
  ['setgid', () => [106, 0], () => ({ 'evt.arg.gid': 0, 'evt.res': 'SUCCESS' })],
  ['setreuid', () => [113, -1, 0], () => ({ 'evt.arg.ruid': -1, 'evt.arg.euid': 0, 'evt.res': 'SUCCESS' })],
  ['setregid', () => [114, -1, 0], () => ({ 'evt.arg.rgid': -1, 'evt.arg.egid': 0, 'evt.res': 'SUCCESS' })],
  [
    'setresuid',
    () => [117, 0, 0, -1],
    () => ({ 'evt.arg.ruid': 0, 'evt.arg.euid': 0, 'evt.arg.suid': -1, 'evt.res': 'SUCCESS' }),
  ],
  ['setresgid', () => [119, 0, 0, -1], () => ({ 'evt.arg.sgid': -1, 'evt.res': 'SUCCESS' })],
  ['setfsuid', () => [122, 0], () => ({ 'evt.arg.uid': 0 })],
  ['setfsgid', () => [123, 0], () => ({ 'evt.arg.gid': 0 })],
  ['capset', () => [126, 0, 0], () => ({ 'evt.res': 'EFAULT' })],
  [
    'prctl',
    () => [157, 15, '@renamed'],
    () => ({ 'evt.arg.option': 'PR_SET_NAME', 'evt.arg.arg2_str': 'renamed', 'evt.res': 'SUCCESS' }),
  ],
  ['personality', () => [135, 0xffffffff], () => ({ 'evt.arg.persona': 0xffffffff })],
  ['keyctl', () => [250, 0, -3, 0], () => ({ 'evt.arg.cmd': 0 })],
  ['kill', () => [62, 0, 0], () => ({ 'evt.arg.pid': 0, 'evt.arg.sig': '0', 'evt.res': 'SUCCESS' })],
  [
    'tgkill',
    () => [234, 1, 2, 9],
    () => ({ 'evt.arg.pid': 1, 'evt.arg.tid': 2, 'evt.arg.sig': 'SIGKILL', 'evt.res': 'ESRCH' }),
  ],
  ['pidfd_open', () => [434, 1, 0], () => ({ 'evt.arg.pid': 1, 'evt.res': 'SUCCESS' })],
  ['pidfd_getfd', () => [438, 99, 1, 0], () => ({ 'evt.arg.pid_fd': 99, 'evt.arg.target_fd': 1, 'evt.res': 'EBADF' })],
  [
    'pidfd_send_signal',
    () => [424, 99, 15, 0, 0],
    () => ({ 'evt.arg.pid_fd': 99, 'evt.arg.sig': 'SIGTERM', 'evt.res': 'EBADF' }),
  ],
  ['process_vm_readv', () => [310, 1, 0, 0, 0, 0, 0], () => ({ 'evt.arg.pid': 1 })],
  ['process_vm_writev', () => [311, 1, 0, 0, 0, 0, 0], () => ({ 'evt.arg.pid': 1 })],
  ['bpf', () => [321, 5, 0, 0], () => ({ 'evt.arg.cmd': 'BPF_PROG_LOAD', 'evt.failed': true })],
  ['perf_event_open', () => [298, 0, 0, 0, -1, 0], () => ({ 'evt.arg.pid': 0, 'evt.failed': true })],
  ['userfaultfd', () => [323, 1], () => ({ 'evt.arg.flags': 'UFFD_USER_MODE_ONLY' })],
  ['io_uring_setup', () => [425, 4, 0], () => ({ 'evt.arg.entries': 4, 'evt.failed': true })],
  [
    'io_uring_enter',
    () => [426, 99, 1, 2, 0],
    () => ({ 'evt.arg.fd': 99, 'evt.arg.to_submit': 1, 'evt.arg.min_complete': 2, 'evt.failed': true }),
  ],
  [
    'io_uring_register',
    () => [427, 99, 3, 0, 7],
    () => ({ 'evt.arg.fd': 99, 'evt.arg.opcode': 3, 'evt.arg.nr_args': 7, 'evt.failed': true }),
  ],
  ['fsopen', () => [430, '@tmpfs', 0], () => ({ 'evt.arg.fsname': 'tmpfs', 'evt.res': 'SUCCESS' })],
  ['fsmount', () => [432, 99, 0, 1], () => ({ 'evt.arg.fd': 99, 'evt.arg.attr_flags': 1, 'evt.failed': true })],
  ['kexec_load', () => [246, 0, 1, 0, 0xffff], () => ({ 'evt.arg.nr_segments': 1, 'evt.failed': true })],
  [
    'kexec_file_load',
    () => [320, -1, -1, 5, '@root', 0],
    () => ({ 'evt.arg.kernel_fd': -1, 'evt.arg.cmdline': 'root', 'evt.failed': true }),
  ],
];

for (const [type, args, expected] of NUMBERED_CALLS) {
  // The numbers are x86-64's.
  test(`${type} tells its arguments`, { skip: process.arch !== 'x64' }, () => {
    const at = join(folder, `numbered-${type}`);
    writeFileSync(at, '');
    assert.deepEqual(event(type, ['syscall', ...args(at).map(String)], Object.keys(expected(at))).fields, expected(at));
  });
}

test('chroot tells the new root as the kernel has it', { skip: process.arch !== 'x64' }, () => {
  const link = join(folder, 'rootlink');
  symlinkSync(join(folder, 'sub'), link);
  const { spellings, fields } = event('chroot', ['syscall', '161', `@${link}`], ['evt.arg.path']);
  assert.deepEqual(spellings, [join(folder, 'sub'), link]);
  assert.deepEqual(fields, { 'evt.arg.path': join(folder, 'sub') });
});

test('records that go round the end of the ring come whole', async () => {
  // 1 MiB holds some five thousand opens: six rounds of three thousand go over the end several times.
  const small = await Capture.start({ ringPreset: 1, cpusPerRing: 0, eventTypes: ['openat'] });
  try {
    const path = join(folder, 'file');
    let seen = 0;
    for (let round = 0; round < 6; round++) {
      const { events } = small.of(() => {
        for (let i = 0; i < 3000; i++) readFileSync(path);
        return process;
      }, ['fd.name', 'fd.nameraw', 'proc.name']);
      const mine = events.filter(({ fields }) => fields['fd.name'] === path && fields['fd.nameraw'] === path);
      seen += mine.length;
    }
    assert.equal(seen, 18_000);
    assert.equal(
      small.source.stats().drops.reduce((sum, { reason, count }) => sum + (reason === 'ring_full' ? count : 0), 0),
      0,
    );
  } finally {
    small.close();
  }
});
