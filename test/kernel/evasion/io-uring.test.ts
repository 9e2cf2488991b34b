import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { wantsOperations } from '../../../collector/sources/kernel/canary-calls.ts';
import { unreadableFields } from '../../../collector/sources/kernel/fields/gaps.ts';
import { allOf, COLLECTED_EVENT_TYPES, interestsFor } from '../../../collector/sources/kernel/system-calls.ts';
import { Capture, type Fields } from '../capture.ts';
import { attempt, shown, told } from './attempt.ts';
import * as evaded from './evade.ts';
import { buildEvade, EVADE } from './evade.ts';

let capture: Capture;
let folder: string;
/** Calls that were made through a ring. */
const tried = new Set<string>();

const events: typeof evaded.events = (from, type, ...rest) => {
  tried.add(type);
  return evaded.events(from, type, ...rest);
};
const event: typeof evaded.event = (from, type, ...rest) => {
  tried.add(type);
  return evaded.event(from, type, ...rest);
};

before(async () => {
  buildEvade();
  folder = mkdtempSync(join(tmpdir(), 'shikra-uring-'));
  writeFileSync(join(folder, 'file'), 'content');
  symlinkSync(join(folder, 'file'), join(folder, 'link'));
  capture = await Capture.start();
});

after(() => {
  capture.close();
  rmSync(folder, { recursive: true });
});

const skip =
  readFileSync('/proc/sys/kernel/io_uring_disabled', 'utf8').trim() === '0' ? false : 'io_uring is switched off here';

describe('what is submitted through io_uring is told as the call that it stands for', { skip: skip !== false }, () => {
  const OPEN = ['fd.name', 'fd.nameraw', 'fd.num', 'fd.type', 'fd.ino', 'evt.arg.flags', 'evt.arg.mode', 'evt.res'];
  const CALLER = ['evt.rawres', 'proc.exepath', 'proc.name', 'user.uid', 'container.id', 'shikra.evt.abi'];

  attempt(9, 'an open tells the file that was opened, by whom, and that it came through a ring', { skip }, () => {
    const link = join(folder, 'link');
    const found = event(capture, 'openat', ['uring', 'openat', link], [...OPEN, ...CALLER, 'proc.pid']);
    assert.deepEqual(found.fields, {
      'fd.name': join(folder, 'file'),
      'fd.nameraw': link,
      'fd.num': found.result,
      'fd.type': 'file',
      'fd.ino': statSync(link).ino,
      'evt.arg.flags': 'O_RDWR|O_CREAT',
      'evt.arg.mode': 'S_IRUSR|S_IWUSR|S_IRGRP',
      'evt.res': 'SUCCESS',
      'evt.rawres': found.result,
      'proc.exepath': EVADE,
      'proc.name': 'evade',
      'user.uid': 0,
      'container.id': 'host',
      'shikra.evt.abi': 'io_uring',
      'proc.pid': found.callerPid,
    });
    assert.deepEqual(found.spellings, [join(folder, 'file'), link]);
    return told(found, 'fd.name', 'fd.nameraw', 'shikra.evt.abi');
  });

  test('an open by openat2 is one', () => {
    const path = join(folder, 'file');
    const { fields, result } = event(capture, 'openat2', ['uring', 'openat2', path], ['fd.name', 'fd.num', 'evt.res']);
    assert.deepEqual(fields, { 'fd.name': path, 'fd.num': result, 'evt.res': 'SUCCESS' });
  });

  test('an open that fails tells the path and the error', () => {
    const path = join(folder, 'absent');
    const { fields } = event(capture, 'openat2', ['uring', 'openat2', path], ['fd.name', 'evt.res', 'fd.type']);
    assert.deepEqual(fields, { 'fd.name': path, 'evt.res': 'ENOENT', 'fd.type': undefined });
  });

  for (const way of ['uring-sqpoll', 'uring-worker']) {
    attempt(9, `an operation that a thread of the kernel does (${way}) is its owner's`, { skip }, () => {
      const path = join(folder, 'file');
      const found = event(capture, 'openat', [way, 'openat', path], ['fd.name', 'proc.exepath', 'proc.pid']);
      assert.deepEqual(found.fields, { 'fd.name': path, 'proc.exepath': EVADE, 'proc.pid': found.callerPid });
      return told(found, 'fd.name', 'proc.exepath');
    });
  }

  attempt(
    9,
    'one whose success nobody is told of is told when it is submitted, and the result is marked',
    { skip },
    () => {
      const path = join(folder, 'file');
      let marked: readonly string[] | undefined;
      capture.watch((view) => {
        if (view.typeName === 'openat' && view.path === path) marked = unreadableFields(view);
      });
      const found = event(capture, 'openat', ['uring-skip-success', 'openat', path], ['fd.name', 'fd.type', 'evt.res']);
      capture.watch(undefined);
      assert.deepEqual(found.fields, { 'fd.name': path, 'fd.type': 'file', 'evt.res': 'SUCCESS' });
      assert.deepEqual(marked, ['evt.res', 'fd.name']);
      return shown(`${told(found, 'fd.name').evidence}, \`evt.unreadable=evt.res, fd.name\``);
    },
  );

  attempt(9, 'an open into a place of the ring that has no descriptor tells the file that was opened', { skip }, () => {
    const link = join(folder, 'link');
    const names = ['fd.name', 'fd.nameraw', 'fd.type', 'fd.ino', 'evt.res'];
    const found = event(capture, 'openat', ['uring', 'openat-direct', link], names);
    assert.deepEqual(found.fields, {
      'fd.name': join(folder, 'file'),
      'fd.nameraw': link,
      'fd.type': 'file',
      'fd.ino': statSync(link).ino,
      'evt.res': 'SUCCESS',
    });
    assert.equal(found.unreadable, 0);
    return told(found, 'fd.name', 'fd.nameraw');
  });

  const PATHS: readonly [type: string, args: string[], expected: Fields][] = [
    ['mkdirat', ['made'], { 'evt.arg.path': 'made', 'evt.arg.mode': 'S_IRUSR|S_IWUSR|S_IXUSR' }],
    ['linkat', ['file', 'hard'], { 'fs.path.source': 'file', 'fs.path.target': 'hard' }],
    ['renameat2', ['hard', 'renamed'], { 'fs.path.source': 'hard', 'fs.path.target': 'renamed' }],
    ['symlinkat', ['file', 'soft'], { 'evt.arg.target': 'file', 'evt.arg.linkpath': 'soft' }],
    ['unlinkat', ['renamed'], { 'fs.path.name': 'renamed', 'evt.arg.flags': '0' }],
  ];
  for (const [type, args, expected] of PATHS) {
    attempt(9, `${type} in a ring tells its paths and its result`, { skip }, () => {
      const at = (value: unknown) => (args.includes(String(value)) ? join(folder, String(value)) : value);
      const wanted = Object.fromEntries(Object.entries(expected).map(([name, value]) => [name, at(value)]));
      const full = { ...wanted, 'evt.res': 'SUCCESS', 'shikra.evt.abi': 'io_uring' };
      const found = event(capture, type, ['uring', type, ...args.map((arg) => join(folder, arg))], Object.keys(full));
      assert.deepEqual(found.fields, full);
      return told(found, Object.keys(expected)[0]!);
    });
  }

  test('an attribute that is set there is told with its file and its name', () => {
    const path = join(folder, 'link');
    const names = ['fs.path.name', 'evt.args', 'shikra.evt.abi'];
    const { fields } = event(capture, 'setxattr', ['uring', 'setxattr', path, 'trusted.shikra'], names);
    assert.deepEqual(fields, {
      'fs.path.name': path,
      'evt.args': `res=0 path=${path} name=trusted.shikra flags=0`,
      'shikra.evt.abi': 'io_uring',
    });
  });

  /** Operations on an open file: the ring is descriptor 3, what they act on 4. */
  const ON_A_FILE: readonly [type: string, args: string[], listed: string][] = [
    ['fsetxattr', ['trusted.shikra.2'], 'res=0 fd=4(<f>FILE) name=trusted.shikra.2 flags=0'],
    ['ftruncate', ['5'], 'res=0 fd=4(<f>FILE) length=5'],
  ];
  for (const [type, args, listed] of ON_A_FILE) {
    test(`${type} is told with the file that it acts on`, () => {
      const path = join(folder, `${type}-there`);
      writeFileSync(path, 'content');
      const names = ['fd.name', 'fd.num', 'fd.ino', 'evt.args', 'shikra.evt.abi'];
      assert.deepEqual(event(capture, type, ['uring', type, path, ...args], names).fields, {
        'fd.name': path,
        'fd.num': 4,
        'fd.ino': statSync(path).ino,
        'evt.args': listed.replace('FILE', path),
        'shikra.evt.abi': 'io_uring',
      });
    });
  }

  test('data that is moved there is told with where it comes from', () => {
    const path = join(folder, 'file');
    const names = ['fd.type', 'evt.arg.fd_in', 'evt.rawarg.fd_in', 'evt.rawres', 'shikra.evt.abi'];
    assert.deepEqual(event(capture, 'splice', ['uring', 'splice', path], names).fields, {
      'fd.type': 'pipe',
      'evt.arg.fd_in': path,
      'evt.rawarg.fd_in': 6,
      'evt.rawres': 4,
      'shikra.evt.abi': 'io_uring',
    });
  });

  test('a file without a descriptor that gets one is told like one that gets another', () => {
    const path = join(folder, 'file');
    const names = ['fd.name', 'fd.num', 'fd.type', 'evt.rawarg.oldfd', 'shikra.evt.abi'];
    const { fields, result } = event(capture, 'dup', ['uring', 'install', path], names);
    assert.deepEqual(fields, {
      'fd.name': path,
      'fd.num': result,
      'fd.type': 'file',
      'evt.rawarg.oldfd': -1,
      'shikra.evt.abi': 'io_uring',
    });
  });

  attempt(9, 'a socket that is made and connected in a ring is told with its addresses', { skip }, () => {
    const made = event(capture, 'socket', ['uring', 'socket', ''], ['evt.arg.domain', 'fd.num', 'evt.res']);
    assert.deepEqual(made.fields, { 'evt.arg.domain': 'AF_INET', 'fd.num': made.result, 'evt.res': 'SUCCESS' });
    const names = ['fd.sip', 'fd.sport', 'fd.l4proto', 'fd.type', 'fd.num', 'evt.res'];
    const found = event(capture, 'connect', ['uring', 'connect', '1'], names);
    assert.deepEqual(found.fields, {
      'fd.sip': '127.0.0.1',
      'fd.sport': 1,
      'fd.l4proto': 'tcp',
      'fd.type': 'ipv4',
      'fd.num': 4,
      'evt.res': 'ECONNREFUSED',
    });
    return told(found, 'fd.sip', 'fd.sport');
  });

  for (const [operation, type] of [
    ['sendto', 'sendto'],
    ['sendmsg', 'sendmsg'],
    ['sendto-zc', 'sendto'],
    ['sendmsg-zc', 'sendmsg'],
  ] as const) {
    attempt(9, `a datagram that is sent in a ring (${operation}) is told with its receiver`, { skip }, () => {
      const names = [
        'fd.sip',
        'fd.sport',
        'fd.l4proto',
        'fd.name_changed',
        'fd.connected',
        'evt.rawres',
        'shikra.evt.abi',
      ];
      const found = event(capture, type, ['uring', operation, '9'], names);
      assert.deepEqual(found.fields, {
        'fd.sip': '127.0.0.1',
        'fd.sport': 9,
        'fd.l4proto': 'udp',
        'fd.name_changed': true,
        'fd.connected': false,
        'evt.rawres': 7,
        'shikra.evt.abi': 'io_uring',
      });
      return told(found, 'fd.sip', 'fd.sport');
    });
  }

  attempt(9, 'a connection that is accepted in a ring is told with both sides', { skip }, () => {
    const names = ['fd.cip', 'fd.sip', 'fd.is_server', 'fd.connected', 'fd.num'];
    const found = event(capture, 'accept4', ['uring', 'accept4', ''], names);
    assert.deepEqual(found.fields, {
      'fd.cip': '127.0.0.1',
      'fd.sip': '127.0.0.1',
      'fd.is_server': true,
      'fd.connected': true,
      'fd.num': found.result,
    });
    return told(found, 'fd.cip', 'fd.sip');
  });

  test('every connection is told that one operation accepts', () => {
    const names = ['fd.cip', 'fd.sip', 'fd.connected', 'fd.num', 'evt.res'];
    const { found, result } = events(capture, 'accept4', ['uring', 'accept4-multishot', ''], names);
    const accepted = found.map(({ fields }) => fields).filter((fields) => fields['evt.res'] === 'SUCCESS');
    const one = { 'fd.cip': '127.0.0.1', 'fd.sip': '127.0.0.1', 'fd.connected': true, 'evt.res': 'SUCCESS' };
    assert.deepEqual(accepted, [
      { ...one, 'fd.num': result },
      { ...one, 'fd.num': result + 1 },
    ]);
  });

  test('a connection that is accepted into a place without a descriptor is told with both sides', () => {
    const names = ['fd.cip', 'fd.sip', 'fd.connected', 'evt.res'];
    const { fields } = event(capture, 'accept4', ['uring', 'accept4-direct', ''], names);
    assert.deepEqual(fields, {
      'fd.cip': '127.0.0.1',
      'fd.sip': '127.0.0.1',
      'fd.connected': true,
      'evt.res': 'SUCCESS',
    });
  });

  test('a socket that is bound there, or listens, is told with its address', () => {
    const names = ['fd.sip', 'fd.lport', 'fd.l4proto', 'evt.res', 'shikra.evt.abi'];
    const bound = event(capture, 'bind', ['uring', 'bind', '11413'], names);
    assert.deepEqual(bound.fields, {
      'fd.sip': '127.0.0.1',
      'fd.lport': 11413,
      'fd.l4proto': 'tcp',
      'evt.res': 'SUCCESS',
      'shikra.evt.abi': 'io_uring',
    });
    const listening = ['fd.sip', 'evt.arg.backlog', 'evt.res', 'shikra.evt.abi'];
    const { found } = events(capture, 'listen', ['uring', 'listen', '17'], listening);
    assert.deepEqual(found.at(-1)!.fields, {
      'fd.sip': '127.0.0.1',
      'evt.arg.backlog': 17,
      'evt.res': 'SUCCESS',
      'shikra.evt.abi': 'io_uring',
    });
  });

  for (const [operation, type] of [
    ['recv', 'recvfrom'],
    ['recvmsg', 'recvmsg'],
  ] as const) {
    test(`what is received there (${operation}) is told with the socket and the number of bytes`, () => {
      const names = ['fd.lip', 'fd.l4proto', 'fd.type', 'evt.rawres', 'shikra.evt.abi'];
      assert.deepEqual(event(capture, type, ['uring', operation, ''], names).fields, {
        'fd.lip': '127.0.0.1',
        'fd.l4proto': 'udp',
        'fd.type': 'ipv4',
        'evt.rawres': 7,
        'shikra.evt.abi': 'io_uring',
      });
    });
  }

  attempt(9, 'an operation whose end finds no room in the ring of answers is told all the same', { skip }, () => {
    // The kernel tells of such an end in another place: whoever let the answers pile up first was not seen.
    const link = join(folder, 'link');
    const names = ['fd.name', 'fd.nameraw', 'fd.num', 'fd.type', 'evt.res'];
    const found = event(capture, 'openat', ['uring-overflown', 'openat', link], names);
    assert.ok(found.result >= 0);
    assert.deepEqual(found.fields, {
      'fd.name': join(folder, 'file'),
      'fd.nameraw': link,
      'fd.num': found.result,
      'fd.type': 'file',
      'evt.res': 'SUCCESS',
    });
    return told(found, 'fd.name');
  });

  test('every call that the probe knows an operation of was made here', () => {
    const types = COLLECTED_EVENT_TYPES.filter((type) => wantsOperations(interestsFor(allOf([type])).interests));
    assert.deepEqual([...types].sort(), [...tried].sort());
  });

  test('an attempt that no rule asks for costs nothing: it is not told', async () => {
    const few = await Capture.start({ eventTypes: ['connect'] });
    try {
      const { all } = events(few, 'openat', ['uring', 'openat', join(folder, 'file')], []);
      assert.deepEqual(
        all.map(({ type }) => type),
        ['execve', 'procexit'],
      );
    } finally {
      few.close();
    }
  });
});
