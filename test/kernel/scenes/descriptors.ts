import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { type Expected, resultOf, type Scene, type Truth } from './scene.ts';

const at = (truth: Truth) => truth.at;
const all = (text: string) => (truth: Truth) => text.replaceAll('{}', truth.at);

/** Standard output of the program is a socket of this process's; the next descriptor is 3. */
const OUTPUT = 1;
const FIRST = 3;

const OF_THE_FILE: Readonly<Record<string, Expected>> = {
  'fd.num': FIRST,
  'fd.name': at,
  'fd.type': 'file',
  'fd.typechar': 'f',
  'fd.ino': (truth) => statSync(truth.at).ino,
  'fs.path.name': undefined,
  'evt.category': 'file',
};

export const DESCRIPTORS: readonly Scene[] = [
  {
    type: 'fchmod',
    call: (path) => ['fchmod', path, 0o2711],
    fields: {
      ...OF_THE_FILE,
      'evt.arg.mode': 'S_ISGID|S_IRUSR|S_IWUSR|S_IXUSR|S_IXGRP|S_IXOTH',
      'evt.args': all('res=0 fd=3(<f>{}) mode=1481(S_ISGID|S_IRUSR|S_IWUSR|S_IXUSR|S_IXGRP|S_IXOTH)'),
    },
  },
  {
    type: 'fchown',
    arch: 'x64',
    call: (path) => ['syscall', 93, `<${path}`, 33, -1],
    fields: {
      ...OF_THE_FILE,
      'evt.arg.uid': 'www-data',
      'evt.arg.gid': -1,
      'evt.args': all('res=0 fd=3(<f>{}) uid=33(www-data) gid=-1'),
    },
  },
  {
    type: 'ftruncate',
    call: (path) => ['ftruncate', path, 5],
    fields: { ...OF_THE_FILE, 'evt.args': all('res=0 fd=3(<f>{}) length=5') },
  },
  {
    type: 'fsetxattr',
    arch: 'x64',
    call: (path) => ['syscall', 190, `<${path}`, '@trusted.shikra', '@value', 5, 1],
    fields: {
      ...OF_THE_FILE,
      'evt.arg.name': 'trusted.shikra',
      'evt.args': all('res=0 fd=3(<f>{}) name=trusted.shikra flags=1'),
    },
  },
  {
    type: 'splice',
    arch: 'x64',
    prepare: (path) => execFileSync('mkfifo', [`${path}.pipe`]),
    call: (path) => ['syscall', 275, `<${path}`, 0, `<${path}.pipe`, 0, 4, 1],
    fields: {
      'fd.num': 4,
      'fd.name': (truth) => `${truth.at}.pipe`,
      'fd.type': 'pipe',
      'fd.typechar': 'p',
      'evt.arg.fd_in': at,
      'evt.args': all('res=4 fd_in=3({}) fd_out=4(<p>{}.pipe) flags=1'),
    },
  },
  {
    type: 'sendfile',
    arch: 'x64',
    call: (path) => ['syscall', 40, OUTPUT, `<${path}`, 0, 0],
    fields: {
      'fd.num': OUTPUT,
      'fd.type': 'unix',
      'evt.arg.in_fd': at,
      'evt.args': all('res=0 out_fd=1(<u>) in_fd=3({})'),
    },
  },
  ...(
    [
      ['dup', ['dup', OUTPUT], 3, ''],
      ['dup2', ['dup2', OUTPUT, 9], 9, ' newfd=9(<u>)'],
      ['dup3', ['dup3', OUTPUT, 8, 0o2000000], 8, ' newfd=8(<u>) flags=524288(O_RDONLY|O_CLOEXEC)'],
    ] as const
  ).map(
    ([type, call, fd, rest]): Scene => ({
      type,
      call: () => call,
      fields: {
        'fd.num': fd,
        'fd.type': 'unix',
        'fd.typechar': 'u',
        'fd.sockfamily': 'unix',
        'evt.rawarg.oldfd': OUTPUT,
        'evt.args': `res=${fd}(<u>) oldfd=1(<u>)${rest}`,
      },
    }),
  ),
  // All of these were told as event descriptors or as files.
  ...(
    [
      ['event', 'e'],
      ['eventpoll', 'l'],
      ['inotify', 'i'],
      ['signalfd', 's'],
      ['timerfd', 't'],
      ['userfaultfd', 'u'],
      ['io_uring', 'r'],
      ['pidfd', 'P'],
      ['bpf', 'b'],
      ['memfd', 'm'],
    ] as const
  ).map(
    ([kind, letter]): Scene => ({
      type: 'dup',
      what: `tells the kind of what lies in no folder: ${kind}`,
      call: () => ['dup-of', kind],
      fields: { 'fd.type': kind, 'fd.typechar': letter },
    }),
  ),
  {
    type: 'finit_module',
    call: (path) => ['finit_module', path, 'b=2'],
    fields: {
      'fd.name': at,
      'evt.arg.uargs': 'b=2',
      'evt.arg.path': at,
      'evt.args': (truth) => `res=${resultOf(truth)} fd=3(<f>${truth.at}) uargs=b=2 flags=0`,
    },
  },
  // The namespace was told as the folder `/`: its file has no name.
  {
    type: 'setns',
    call: () => ['setns', '/proc/self/ns/uts', 0x04000000],
    fields: {
      'fd.num': FIRST,
      'fd.name': () => `uts:[${statSync('/proc/self/ns/uts').ino}]`,
      'evt.arg.nstype': 'CLONE_NEWUTS',
      'evt.args': (truth) => {
        const name = `uts:[${statSync('/proc/self/ns/uts').ino}]`;
        return `res=${truth.result} fd=3(<f>${name}) nstype=67108864(CLONE_NEWUTS)`;
      },
    },
  },
];
