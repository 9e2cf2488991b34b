import { mkdirSync } from 'node:fs';
import { type Expected, resultOf, type Scene, type Truth } from './scene.ts';

const at = (truth: Truth) => truth.at;
const near = (suffix: string) => (truth: Truth) => `${truth.at}${suffix}`;
/** All arguments; `{}` is the scene's file. */
const all = (text: string) => (truth: Truth) => text.replaceAll('{}', truth.at).replaceAll('CWD', '-100(AT_FDCWD)');

/** Calls on one path. */
const one = (suffix = ''): Readonly<Record<string, Expected>> => ({
  'fs.path.name': near(suffix),
  'fs.path.nameraw': near(suffix),
  'fs.path.source': undefined,
  'fs.path.target': undefined,
  'evt.abspath': near(suffix),
  'evt.category': 'file',
  'shikra.evt.raced': false,
});

/** Calls on two. */
const two = (to: string): Readonly<Record<string, Expected>> => ({
  'fs.path.source': at,
  'fs.path.sourceraw': at,
  'fs.path.target': near(to),
  'fs.path.targetraw': near(to),
  'evt.abspath[src]': at,
  'evt.abspath[dst]': near(to),
});

const RWX = '448(S_IRUSR|S_IWUSR|S_IXUSR)';

export const PATHS: readonly Scene[] = [
  {
    type: 'chmod',
    call: (path) => ['chmod', path, 0o4701],
    fields: {
      ...one(),
      'evt.arg.filename': at,
      'evt.arg.mode': 'S_ISUID|S_IRUSR|S_IWUSR|S_IXUSR|S_IXOTH',
      'evt.args': all('res=0 filename={} mode=2497(S_ISUID|S_IRUSR|S_IWUSR|S_IXUSR|S_IXOTH)'),
    },
  },
  {
    type: 'fchmodat',
    call: (path) => ['fchmodat', 'cwd', path, 0o700],
    fields: { ...one(), 'evt.arg.filename': at, 'evt.args': all(`res=0 dirfd=CWD filename={} mode=${RWX}`) },
  },
  {
    type: 'fchmodat2',
    call: (path) => ['fchmodat2', 'cwd', path, 0o700],
    fields: { ...one(), 'evt.args': all(`res=0 dirfd=CWD filename={} mode=${RWX}`) },
  },
  {
    type: 'truncate',
    call: (path) => ['truncate', path, 3],
    fields: { ...one(), 'evt.args': all('res=0 path={} length=3') },
  },
  {
    type: 'truncate',
    what: 'by the number that 32-bit programs have for large files',
    arch: 'x64',
    call: (path) => ['int80', 193, `@${path}`, 3, 0],
    fields: { ...one(), 'shikra.evt.abi': 'compat', 'evt.args': all('res=0 path={} length=3') },
  },
  {
    type: 'unlink',
    call: (path) => ['unlink', path],
    fields: { ...one(), 'evt.arg.path': at, 'evt.arg.name': at, 'evt.args': all('res=0 path={}') },
  },
  {
    type: 'unlinkat',
    call: (path) => ['unlinkat', 'cwd', `${path}.u`, 0x200],
    prepare: (path) => mkdirSync(`${path}.u`),
    fields: { ...one('.u'), 'evt.args': all('res=0 dirfd=CWD name={}.u flags=512(AT_REMOVEDIR)') },
  },
  {
    type: 'rmdir',
    call: (path) => ['rmdir', `${path}.r`],
    prepare: (path) => mkdirSync(`${path}.r`),
    fields: { ...one('.r'), 'evt.args': all('res=0 path={}.r') },
  },
  {
    type: 'rename',
    call: (path) => ['rename', path, `${path}.new`],
    fields: {
      ...two('.new'),
      'evt.arg.oldpath': at,
      'evt.arg.newpath': near('.new'),
      'evt.args': all('res=0 oldpath={} newpath={}.new'),
    },
  },
  {
    type: 'renameat',
    call: (path) => ['renameat', 'cwd', path, 'cwd', `${path}.new`],
    fields: { ...two('.new'), 'evt.args': all('res=0 olddirfd=CWD oldpath={} newdirfd=CWD newpath={}.new') },
  },
  {
    type: 'renameat2',
    call: (path) => ['renameat2', 'cwd', path, 'cwd', `${path}.new`, 1],
    fields: { ...two('.new'), 'evt.args': all('res=0 olddirfd=CWD oldpath={} newdirfd=CWD newpath={}.new flags=1') },
  },
  {
    type: 'link',
    call: (path) => ['link', path, `${path}.hard`],
    fields: { ...two('.hard'), 'evt.args': all('res=0 oldpath={} newpath={}.hard') },
  },
  {
    type: 'linkat',
    call: (path) => ['linkat', 'cwd', path, 'cwd', `${path}.hard`, 0x400],
    fields: {
      ...two('.hard'),
      'evt.args': all('res=0 olddir=CWD oldpath={} newdir=CWD newpath={}.hard flags=1024(AT_SYMLINK_FOLLOW)'),
    },
  },
  {
    type: 'symlink',
    call: (path) => ['symlink', '../some/target', `${path}.sym`],
    fields: {
      'fs.path.source': '../some/target',
      'fs.path.target': near('.sym'),
      'fs.path.sourceraw': '../some/target',
      'fs.path.targetraw': near('.sym'),
      'evt.arg.target': '../some/target',
      'evt.arg.linkpath': near('.sym'),
      'evt.args': all('res=0 target=../some/target linkpath={}.sym'),
    },
  },
  {
    type: 'symlinkat',
    call: (path) => ['symlinkat', '/etc/shadow', 'cwd', `${path}.sym`],
    fields: {
      'fs.path.source': '/etc/shadow',
      'fs.path.target': near('.sym'),
      'evt.args': all('res=0 target=/etc/shadow linkdirfd=CWD linkpath={}.sym'),
    },
  },
  {
    type: 'mkdir',
    call: (path) => ['mkdir', `${path}.d`, 0o700],
    fields: { ...one('.d'), 'evt.args': all(`res=0 path={}.d mode=${RWX}`) },
  },
  {
    type: 'mkdirat',
    call: (path) => ['mkdirat', 'cwd', `${path}.d`, 0o700],
    fields: { ...one('.d'), 'evt.args': all(`res=0 dirfd=CWD path={}.d mode=${RWX}`) },
  },
  {
    type: 'mknod',
    arch: 'x64',
    call: (path) => ['syscall', 133, `@${path}.null`, 0o20600, 0x103],
    fields: { ...one('.null'), 'evt.args': all('res=0 path={}.null mode=8576(S_IRUSR|S_IWUSR) dev=259') },
  },
  {
    type: 'mknodat',
    arch: 'x64',
    call: (path) => ['syscall', 259, 'cwd', `@${path}.fifo`, 0o10600, 0],
    fields: { ...one('.fifo'), 'evt.args': all('res=0 dirfd=CWD path={}.fifo mode=4480(S_IRUSR|S_IWUSR) dev=0') },
  },
  {
    type: 'chown',
    arch: 'x64',
    call: (path) => ['syscall', 92, `@${path}`, 33, 34],
    fields: {
      ...one(),
      'evt.arg.uid': 'www-data',
      'evt.arg.gid': 'backup',
      'evt.rawarg.uid': 33,
      'evt.args': all('res=0 path={} uid=33(www-data) gid=34(backup)'),
    },
  },
  {
    type: 'lchown',
    arch: 'x64',
    call: (path) => ['syscall', 94, `@${path}`, -1, 0],
    fields: { ...one(), 'evt.args': all('res=0 path={} uid=-1 gid=0(root)') },
  },
  {
    type: 'fchownat',
    arch: 'x64',
    call: (path) => ['syscall', 260, 'cwd', `@${path}`, 1, 2, 0],
    fields: { ...one(), 'evt.args': all('res=0 dirfd=CWD pathname={} uid=1(daemon) gid=2(bin)') },
  },
  ...(
    [
      ['setxattr', 188],
      ['lsetxattr', 189],
    ] as const
  ).map(
    ([type, number]): Scene => ({
      type,
      arch: 'x64',
      call: (path) => ['syscall', number, `@${path}`, '@trusted.shikra', '@value', 5, 1],
      fields: {
        ...one(),
        'evt.arg.name': 'trusted.shikra',
        'evt.args': all('res=0 path={} name=trusted.shikra flags=1'),
      },
    }),
  ),
  {
    type: 'setxattrat',
    arch: 'x64',
    // The size of its structure is wrong: a kernel that knows the call refuses it, an older one does not have it.
    call: (path) => ['syscall', 463, 'cwd', `@${path}`, 0x100, '@trusted.shikra', '*8', 1],
    fields: {
      ...one(),
      'evt.arg.name': 'trusted.shikra',
      'evt.args': (truth) =>
        all(`res=${resultOf(truth)} dirfd=CWD path={} flags=256(AT_SYMLINK_NOFOLLOW) name=trusted.shikra`)(truth),
    },
  },
  {
    type: 'name_to_handle_at',
    arch: 'x64',
    call: (path) => ['syscall', 303, 'cwd', `@${path}`, '*8', '*8', 0x400],
    fields: { ...one(), 'evt.args': all('res=-75(EOVERFLOW) dirfd=CWD path={} flags=1024(AT_SYMLINK_FOLLOW)') },
  },
  {
    type: 'mount',
    arch: 'x64',
    call: (path) => ['syscall', 165, '@none', `@${path}.absent`, '@tmpfs', 6, 0],
    fields: {
      'fs.path.source': 'none',
      'fs.path.target': near('.absent'),
      'evt.args': all('res=-2(ENOENT) dev=none dir={}.absent type=tmpfs flags=6(MS_NOSUID|MS_NODEV)'),
    },
  },
  {
    type: 'umount2',
    arch: 'x64',
    call: (path) => ['syscall', 166, `@${path}`, 2],
    fields: { ...one(), 'evt.args': all('res=-22(EINVAL) name={} flags=2(MNT_DETACH)') },
  },
  {
    type: 'umount2',
    // It had no event. It has no flags either, whatever stands where others have them.
    what: 'by the number that only 32-bit programs have',
    arch: 'x64',
    call: (path) => ['int80', 22, `@${path}`, 2, 0],
    fields: { ...one(), 'shikra.evt.abi': 'compat', 'evt.args': all('res=-22(EINVAL) name={} flags=0') },
  },
  {
    type: 'open_tree',
    arch: 'x64',
    call: (path) => ['syscall', 428, 'cwd', `@${path}`, 1],
    fields: {
      ...one(),
      'evt.args': (truth) => all(`res=${truth.result} dirfd=CWD path={} flags=1`)(truth),
    },
  },
  {
    type: 'move_mount',
    arch: 'x64',
    call: (path) => ['syscall', 429, 'cwd', `@${path}`, 'cwd', `@${path}.to`, 0],
    fields: {
      ...two('.to'),
      'evt.args': (truth) =>
        all(`res=${resultOf(truth)} from_dirfd=CWD from_pathname={} to_dirfd=CWD to_pathname={}.to flags=0`)(truth),
    },
  },
  {
    type: 'mount_setattr',
    arch: 'x64',
    call: (path) => ['syscall', 442, 'cwd', `@${path}`, 0x100, 0, 0],
    fields: { ...one(), 'evt.args': all('res=-22(EINVAL) dirfd=CWD path={} flags=256(AT_SYMLINK_NOFOLLOW)') },
  },
  {
    type: 'chroot',
    arch: 'x64',
    call: (path) => ['syscall', 161, `@${path}.root`],
    prepare: (path) => mkdirSync(`${path}.root`),
    fields: { ...one('.root'), 'evt.args': all('res=0 path={}.root') },
  },
  {
    type: 'pivot_root',
    arch: 'x64',
    call: (path) => ['syscall', 155, `@${path}.new`, `@${path}.old`],
    fields: {
      'fs.path.source': near('.new'),
      'fs.path.target': near('.old'),
      'evt.args': all('res=-2(ENOENT) new_root={}.new put_old={}.old'),
    },
  },
];
