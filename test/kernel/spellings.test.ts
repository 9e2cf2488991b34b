/** Which path an event is told with, however it was said. */
import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Capture, type Fields } from './capture.ts';
import { attempt, told } from './evasion/attempt.ts';
import { oneEvent } from './one-event.ts';
import { buildTrigger, trigger } from './trigger.ts';

let capture: Capture;
let folder: string;

before(async () => {
  buildTrigger();
  folder = mkdtempSync(join(tmpdir(), 'shikra-spellings-'));
  writeFileSync(join(folder, 'file'), 'content');
  mkdirSync(join(folder, 'sub'));
  capture = await Capture.start();
});

after(() => {
  capture.close();
  rmSync(folder, { recursive: true });
});

const OPEN_FIELDS = ['fd.name', 'fd.nameraw', 'fd.type', 'evt.arg.flags', 'fd.ino', 'evt.res'];

function opened(path: string, raw: string, flags: string, kind = 'file'): Fields {
  return {
    'fd.name': path,
    'fd.nameraw': raw,
    'fd.type': kind,
    'evt.arg.flags': flags,
    'fd.ino': statSync(path).ino,
    'evt.res': 'SUCCESS',
  };
}

attempt(26, 'openat joins a relative name to the folder of its descriptor', {}, () => {
  const path = join(folder, 'file');
  // two openat: of the folder by the program itself, then the one in question
  const { events } = capture.of(() => trigger(['openat', folder, 'file', '2', '0']), OPEN_FIELDS);
  assert.deepEqual(events.at(-2)!.fields, opened(path, 'file', 'O_RDWR'));
  assert.deepEqual(events.at(-2)!.spellings, [path]);
  return told(events.at(-2)!, 'fd.name', 'fd.nameraw');
});

test('openat from the working folder tells the full path', () => {
  const path = join(folder, 'file');
  const { fields, spellings } = oneEvent(capture, 'openat', ['openat', 'cwd', 'file', '0', '0'], OPEN_FIELDS, {
    cwd: folder,
  });
  assert.deepEqual(fields, opened(path, 'file', 'O_RDONLY'));
  assert.deepEqual(spellings, [path]);
});

attempt(10, 'an open by int 0x80', { skip: process.arch !== 'x64' && 'there is no such convention here' }, () => {
  const path = join(folder, 'file');
  const found = oneEvent(capture, 'open', ['open-int80', path, '0', '0'], [...OPEN_FIELDS, 'shikra.evt.abi']);
  assert.deepEqual(found.fields, { ...opened(path, path, 'O_RDONLY'), 'shikra.evt.abi': 'compat' });
  assert.equal(found.abi, 1);
  return told(found, 'fd.name', 'shikra.evt.abi');
});

attempt(17, 'a path that cannot be read is flagged, not passed over', {}, () => {
  const found = oneEvent(capture, 'open', ['open-unreadable'], ['fd.name', 'evt.res']);
  assert.deepEqual(found.fields, { 'fd.name': undefined, 'evt.res': 'EFAULT' });
  assert.equal(found.unreadable, 2);
  return told(found, 'fd.name', 'evt.res');
});

attempt(3, 'a symbolic link and the file behind it are two spellings of one open', {}, () => {
  const link = join(folder, 'link');
  symlinkSync(join(folder, 'file'), link);
  const found = oneEvent(capture, 'open', ['open', link, '0', '0'], ['fd.name', 'fd.nameraw']);
  assert.deepEqual(found.spellings, [join(folder, 'file'), link]);
  return told(found, 'fd.name', 'fd.nameraw');
});

attempt(3, 'a folder reached through a link and .. is told where it really is', {}, () => {
  const link = join(folder, 'dirlink');
  symlinkSync('/etc', link);
  const found = oneEvent(capture, 'open', ['open', `${link}/../etc/hostname`, '0', '0'], ['fd.name', 'fd.nameraw']);
  assert.deepEqual(found.spellings, ['/etc/hostname', join(folder, 'etc/hostname')]);
  return told(found, 'fd.name', 'fd.nameraw');
});

attempt(4, '/proc/self/root does not hide a path', {}, () => {
  const found = oneEvent(capture, 'open', ['open', '/proc/self/root/etc/hostname', '0', '0'], ['fd.name']);
  assert.deepEqual(found.fields, { 'fd.name': '/etc/hostname' });
  return told(found, 'fd.name');
});

attempt(15, 'a path of the length that the kernel allows comes whole', {}, () => {
  const parts = Array.from({ length: 24 }, (_, i) => `${i}`.padEnd(160, 'x'));
  let deep = folder;
  for (const part of parts.slice(0, Math.floor((4090 - folder.length) / 161))) {
    deep = join(deep, part);
    mkdirSync(deep);
  }
  const found = oneEvent(capture, 'open', ['open', deep, '0', '0'], ['fd.name']);
  assert.equal(found.fields['fd.name'], deep);
  assert.ok(deep.length > 3800);
  assert.equal(found.truncated, 0);
  return told(found, 'fd.name');
});

test('a relative path is joined to the working folder, .. and all', () => {
  const at = join(folder, 'relative');
  writeFileSync(at, '');
  const { fields } = oneEvent(capture, 'unlink', ['unlink', './sub/../relative'], ['fs.path.name', 'fs.path.nameraw'], {
    cwd: folder,
  });
  assert.deepEqual(fields, { 'fs.path.name': at, 'fs.path.nameraw': './sub/../relative' });
});

test('a hard link and a file without any permission are files like others', () => {
  const hard = join(folder, 'hard');
  linkSync(join(folder, 'file'), hard);
  chmodSync(hard, 0);
  assert.deepEqual(oneEvent(capture, 'open', ['open', hard, '0', '0'], ['fd.name', 'evt.res']).fields, {
    'fd.name': hard,
    'evt.res': 'SUCCESS',
  });
});

attempt(5, 'chroot tells the new root as the kernel has it', { skip: process.arch !== 'x64' }, () => {
  const link = join(folder, 'rootlink');
  symlinkSync(join(folder, 'sub'), link);
  const found = oneEvent(capture, 'chroot', ['syscall', '161', `@${link}`], ['evt.arg.path']);
  assert.deepEqual(found.spellings, [join(folder, 'sub'), link]);
  assert.deepEqual(found.fields, { 'evt.arg.path': join(folder, 'sub') });
  return told(found, 'evt.arg.path');
});

test('an open that fails tells the path as the caller wrote it, and the error', () => {
  const path = join(folder, 'sub/../absent');
  const { fields, spellings } = oneEvent(
    capture,
    'open',
    ['open', path, '0', '0'],
    ['fd.name', 'fd.nameraw', 'evt.res', 'fd.type'],
  );
  const absolute = join(folder, 'absent');
  assert.deepEqual(fields, { 'fd.name': absolute, 'fd.nameraw': path, 'evt.res': 'ENOENT', 'fd.type': undefined });
  assert.deepEqual(spellings, [absolute]);
});

test('open of a folder says that it is one', () => {
  const { fields } = oneEvent(capture, 'open', ['open', folder, '0200000', '0'], OPEN_FIELDS);
  assert.deepEqual(fields, opened(folder, folder, 'O_RDONLY|O_DIRECTORY', 'directory'));
});
