import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { FieldValue } from '../../../collector/detection/detection.ts';
import type { Condition, Expected, Scene, Truth } from './scene.ts';

const at = (truth: Truth) => truth.at;
const ino = (truth: Truth) => statSync(truth.at).ino;
/** stat's device number as the kernel keeps it: the major number above 20 bits. */
const dev = (truth: Truth) => {
  const { dev: number } = statSync(truth.at);
  return (major(number) << 20) | minor(number);
};
const major = (number: number) => (number >>> 8) & 0xfff;
const minor = (number: number) => (number & 0xff) | ((number >>> 12) & ~0xff);

/** Between the clock before and after. */
const now: Condition = {
  holds: (value, { fromNs, toNs }) => typeof value === 'bigint' && fromNs <= value && value <= toNs,
};
const MILLISECOND_NS = 1_000_000n;
/** The same as text; Date has no more than milliseconds. */
const nowAsText: Condition = {
  holds(value: FieldValue | undefined, { fromNs, toNs }) {
    const time = BigInt(Date.parse(String(value))) * MILLISECOND_NS;
    return fromNs - MILLISECOND_NS <= time && time <= toNs;
  },
};

const TIMES = {
  'evt.rawtime': now,
  'evt.time': nowAsText,
  'evt.time.iso8601': nowAsText,
  'evt.datetime': nowAsText,
} satisfies Record<string, Expected>;

/** What is said of every event, whatever its type. */
const OF_ANY_EVENT: Readonly<Record<string, Expected>> = {
  ...TIMES,
  'evt.num': ({ count }) => count,
  'evt.type': 'open',
  'syscall.type': 'open',
  'evt.type.is[open]': 1,
  'evt.type.is[openat]': 0,
  'evt.category': 'file',
  'evt.source': 'syscall',
  'evt.is_async': false,
  'evt.dir': '<',
  'evt.hostname': hostname(),
  'evt.failed': false,
  'evt.count': 1,
  'evt.count.error': 0,
  'evt.count.exit': 1,
  'evt.is_io': false,
  'evt.is_io_read': false,
  'evt.is_io_write': false,
  'evt.io_dir': undefined,
  'evt.buffer': undefined,
  'shikra.evt.abi': 'native',
  'shikra.evt.raced': false,
};

/** What is said of every opened file. */
const OF_THE_FILE: Readonly<Record<string, Expected>> = {
  'fd.num': ({ result }) => result,
  'fd.name': at,
  'fd.nameraw': at,
  'fd.directory': (truth) => dirname(truth.at),
  'fd.filename': (truth) => truth.at.slice(dirname(truth.at).length + 1),
  'fd.type': 'file',
  'fd.typechar': 'f',
  'fd.ino': ino,
  'fd.dev': dev,
  'fd.dev.major': (truth) => major(statSync(truth.at).dev),
  'fd.dev.minor': (truth) => minor(statSync(truth.at).dev),
  'fs.path.name': at,
  'fs.path.nameraw': at,
  'evt.abspath': at,
};

function manner(read: boolean, write: boolean, create = false, exec = false): Readonly<Record<string, Expected>> {
  return {
    'evt.is_open_read': read,
    'evt.is_open_write': write,
    'evt.is_open_create': create,
    'evt.is_open_exec': exec,
  };
}

const listed =
  (before: string, after = '') =>
  (truth: Truth) =>
    `fd=${truth.result}(<f>${truth.at}) ${before.replace('PATH', truth.at)} dev=${dev(truth)} ino=${ino(truth)}${after}`;

export const OPENS: readonly Scene[] = [
  {
    type: 'open',
    call: (path) => ['open', path, 0, 0],
    fields: {
      ...OF_ANY_EVENT,
      ...OF_THE_FILE,
      ...manner(true, false),
      'evt.args': listed('name=PATH flags=0(O_RDONLY) mode=0'),
      'evt.info': listed('name=PATH flags=0(O_RDONLY) mode=0'),
      'evt.arg.fd': (truth) => `<f>${truth.at}`,
      'evt.arg[0]': (truth) => `<f>${truth.at}`,
      'evt.rawarg.fd': ({ result }) => result,
      'evt.arg.name': at,
      'evt.arg[1]': at,
      'evt.arg.path': at,
      'evt.arg.filename': at,
      'evt.arg.flags': 'O_RDONLY',
      'evt.rawarg.flags': 0,
    },
  },
  {
    type: 'open',
    what: 'that fails',
    call: (path) => ['open', `${path}/none`, 2, 0],
    fields: {
      ...manner(true, true),
      'evt.failed': true,
      'evt.count.error': 1,
      'fd.num': ({ result }) => result,
      'fd.name': (truth) => `${truth.at}/none`,
      'fd.type': undefined,
      'evt.arg.fd': 'ENOTDIR',
      'evt.arg.res': 'ENOTDIR',
      'evt.rawarg.res': ({ result }) => result,
      'evt.args': (truth) => `fd=${truth.result}(ENOTDIR) name=${truth.at}/none flags=2(O_RDWR) mode=0 dev=0 ino=0`,
    },
  },
  {
    type: 'openat',
    call: (path) => ['openat', 'cwd', path, 0o102, 0o4755],
    fields: {
      ...OF_THE_FILE,
      ...manner(true, true, true, true),
      'evt.arg.dirfd': 'AT_FDCWD',
      'evt.rawarg.dirfd': -100,
      'evt.arg.mode': 'S_ISUID|S_IRUSR|S_IWUSR|S_IXUSR|S_IRGRP|S_IXGRP|S_IROTH|S_IXOTH',
      'evt.args': listed(
        'dirfd=-100(AT_FDCWD) name=PATH flags=66(O_RDWR|O_CREAT) mode=2541(S_ISUID|S_IRUSR|S_IWUSR|S_IXUSR|S_IRGRP|S_IXGRP|S_IROTH|S_IXOTH)',
      ),
    },
  },
  {
    type: 'openat2',
    call: (path) => ['openat2', 'cwd', path, 0o2001, 0],
    fields: {
      ...OF_THE_FILE,
      ...manner(false, true),
      'evt.args': listed('dirfd=-100(AT_FDCWD) name=PATH flags=1025(O_WRONLY|O_APPEND) mode=0'),
    },
  },
  {
    type: 'creat',
    call: (path) => ['creat', path, 0o600],
    fields: {
      ...OF_THE_FILE,
      ...manner(false, true, true),
      'evt.arg.flags': 'O_WRONLY|O_CREAT|O_TRUNC',
      'evt.args': listed('name=PATH mode=384(S_IRUSR|S_IWUSR)'),
    },
  },
  {
    type: 'open_by_handle_at',
    call: (path) => ['open_by_handle_at', dirname(path), path],
    fields: {
      ...OF_THE_FILE,
      ...manner(true, false),
      // its caller says no path, the kernel does
      'fd.nameraw': undefined,
      'fs.path.nameraw': undefined,
      'evt.args': {
        holds: (value, truth) =>
          new RegExp(
            `^fd=${truth.result}\\(<f>${truth.at}\\) mountfd=\\d+ flags=0\\(O_RDONLY\\) path=${truth.at} dev=${dev(truth)} ino=${ino(truth)}$`,
          ).test(String(value)),
      },
    },
  },
];
