import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { linkSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Capture } from '../capture.ts';
import { buildEvade, event, events } from './evade.ts';

let capture: Capture;
let folder: string;
let secret: string;

before(async () => {
  buildEvade();
  folder = mkdtempSync(join(tmpdir(), 'shikra-evasion-'));
  secret = join(folder, 'secret');
  writeFileSync(secret, 'content');
  writeFileSync(join(folder, 'decoys'), 'nothing');
  capture = await Capture.start();
});

after(() => {
  capture.close();
  rmSync(folder, { recursive: true });
});

const x64 = process.arch === 'x64' ? false : 'there is no such convention here';

test('a path that another thread writes over while it is opened: the file that was opened is told, every time', () => {
  const decoy = join(folder, 'decoys');
  const { found } = events(
    capture,
    'openat',
    ['open-flipped', secret, decoy, '20000'],
    ['fd.name', 'fd.ino', 'evt.res'],
  );
  const inodes = new Map([secret, decoy].map((path) => [path, statSync(path).ino]));
  const opened = found.filter(({ fields }) => fields['evt.res'] === 'SUCCESS');
  assert.ok(opened.length > 0);
  for (const { fields } of opened) assert.equal(fields['fd.ino'], inodes.get(String(fields['fd.name'])));
});

test('a path on a page that is given by its owner when the kernel asks, and written over at once', () => {
  const { fields } = event(capture, 'openat', ['open-faulting', secret, '/etc/hostname'], ['fd.name', 'fd.ino']);
  assert.deepEqual(fields, { 'fd.name': secret, 'fd.ino': statSync(secret).ino });
});

for (const type of ['unlink', 'rename']) {
  test(`a path that another thread writes over during ${type} is flagged, and both texts are looked at`, () => {
    const [one, other] = [join(folder, 'absent-1'), join(folder, 'absent-2')];
    const { found } = events(capture, type, [`${type}-flipped`, one, other, '3000'], ['shikra.evt.raced']);
    const raced = found.filter(({ fields }) => fields['shikra.evt.raced'] === true);
    assert.ok(raced.length > 0, `none of ${found.length} was flagged`);
    if (type === 'unlink')
      assert.ok(raced.some(({ spellings }) => spellings.includes(one) && spellings.includes(other)));
  });
}

test('a path that stays as it is is not flagged, whatever its length', () => {
  for (const length of [1, 7, 8, 9, 64, 500, 1990, 1999, 2000, 2001, 4000]) {
    const path = `${folder}/${'y/'.repeat(length)}`.slice(0, folder.length + 1 + length).replace(/\/$/, 'y');
    const { fields } = event(capture, 'mkdir', ['mkdir', path], ['shikra.evt.raced', 'fs.path.nameraw']);
    assert.deepEqual(fields, { 'shikra.evt.raced': false, 'fs.path.nameraw': path });
  }
});

test('a removal by a 32-bit call is one', { skip: x64 }, () => {
  const path = join(folder, 'removed');
  writeFileSync(path, '');
  const { fields } = event(capture, 'unlink', ['unlink-int80', path], ['fs.path.name', 'evt.res', 'shikra.evt.abi']);
  assert.deepEqual(fields, { 'fs.path.name': path, 'evt.res': 'SUCCESS', 'shikra.evt.abi': 'compat' });
});

test('a call by an x32 number is told as the call that it is, also where the kernel has none', { skip: x64 }, () => {
  const { fields } = event(capture, 'openat', ['x32', '257', secret], ['fd.name', 'shikra.evt.abi', 'evt.failed']);
  assert.equal(fields['fd.name'], secret);
  assert.equal(fields['shikra.evt.abi'], 'x32');
  const own = event(capture, 'ptrace', ['x32', '521', ''], ['shikra.evt.abi', 'evt.failed']);
  assert.deepEqual(own.fields, { 'shikra.evt.abi': 'x32', 'evt.failed': fields['evt.failed'] });
});

test('32-bit numbers that are executions in the other table make no execution', { skip: x64 }, () => {
  for (const number of ['59', '322']) {
    const { all } = events(capture, 'execve', ['int80', number], []);
    assert.equal(all.filter(({ type }) => type.startsWith('execve')).length, 1, `number ${number}`);
  }
});

test('a descriptor that came over a socket is told by the file behind it', () => {
  const { fields, result } = event(capture, 'fchmod', ['open-passed', secret], ['fd.name', 'evt.arg.mode']);
  assert.equal(result, 0);
  assert.deepEqual(fields, { 'fd.name': secret, 'evt.arg.mode': 'S_IRUSR|S_IWUSR|S_IRGRP' });
});

for (const [what, path] of [
  ['a link to a link in a linked folder', () => join(folder, 'chained/two')],
  ['the root of another process', () => `/proc/${process.pid}/root${secret}`],
  ['more .. than there are folders', () => `/proc/${process.pid}/cwd/${'../'.repeat(40)}${secret}`],
  ['slashes and dots', () => secret.replaceAll('/', '//./')],
] as const) {
  test(`${what}: the same file`, () => {
    if (what.startsWith('a link'))
      for (const [to, name] of [
        ['secret', 'one'],
        ['one', 'two'],
        [folder, 'chained'],
      ] as const)
        symlinkSync(to, join(folder, name));
    const { events: all } = capture.of(() => spawnSync('cat', [path()]), ['fd.name', 'fd.ino']);
    const found = all.filter(({ fields }) => fields['fd.name'] === secret);
    assert.equal(found.length, 1);
    assert.equal(found[0]!.fields['fd.ino'], statSync(secret).ino);
  });
}

test('a bind mount and a hard link have another name, and the inode of what they are', () => {
  const [bound, hard] = [join(folder, 'bound'), join(folder, 'hard')];
  writeFileSync(bound, '');
  linkSync(secret, hard);
  execFileSync('mount', ['--bind', secret, bound]);
  try {
    for (const path of [bound, hard]) {
      const { events: all } = capture.of(() => spawnSync('cat', [path]), ['fd.name', 'fd.ino']);
      const opened = all.find(({ fields }) => fields['fd.name'] === path);
      assert.equal(opened?.fields['fd.ino'], statSync(secret).ino);
      // what is mounted is also told by its name inside the file system it lies on
      if (path === bound) assert.ok(opened?.spellings.some((one) => secret.endsWith(one)));
    }
  } finally {
    execFileSync('umount', [bound]);
  }
});

test('five hundred folders deep, and the name is whole', () => {
  const script = `import os,sys
os.chdir(sys.argv[1])
for i in range(500):
    os.mkdir('d%03d' % i); os.chdir('d%03d' % i)
os.close(os.open('deepest', os.O_CREAT | os.O_WRONLY))`;
  const { events: all } = capture.of(() => spawnSync('python3', ['-c', script, folder]), ['fd.name']);
  const deep = all.find(({ fields }) => String(fields['fd.name']).endsWith('/deepest'));
  const expected = `${folder}/${Array.from({ length: 500 }, (_, i) => `d${String(i).padStart(3, '0')}`).join('/')}/deepest`;
  assert.equal(deep?.fields['fd.name'], expected);
  assert.equal(deep?.truncated, 0);
});

test('names that would break a line or a terminal come as they are', () => {
  const hostile = join(folder, 'a\n{"x":1}\u001b[31m\u00ff');
  writeFileSync(hostile, '');
  const { events: all } = capture.of(() => spawnSync('cat', [hostile]), ['fd.name']);
  assert.ok(all.some(({ fields }) => fields['fd.name'] === hostile));
});
