import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, linkSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Capture } from '../capture.ts';
import { attempt, missed, noEffect, shown, told } from './attempt.ts';
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

attempt(
  1,
  'a path that another thread writes over while it is opened: the file that was opened is told, every time',
  {},
  () => {
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
    return told(opened.at(-1)!, 'fd.name');
  },
);

attempt(
  2,
  'an open of a path on a page that is given when the kernel asks for it, and written over at once',
  {},
  () => {
    const found = event(capture, 'openat', ['open-faulting', secret, '/etc/hostname'], ['fd.name', 'fd.ino']);
    assert.deepEqual(found.fields, { 'fd.name': secret, 'fd.ino': statSync(secret).ino });
    return told(found, 'fd.name');
  },
);

attempt(2, 'a file is moved by a path on such a page, and written over while the kernel waits for another', {}, () => {
  const [from, to] = [join(folder, 'moved-by-fault'), join(folder, 'moved')];
  writeFileSync(from, '');
  const names = ['fs.path.source', 'fs.path.target', 'shikra.evt.raced', 'evt.res'];
  const found = event(capture, 'rename', ['rename-faulting', from, to, '/etc/hostname'], names);
  assert.equal(found.fields['evt.res'], 'SUCCESS');
  const { 'fs.path.source': source, 'fs.path.target': target, 'shikra.evt.raced': isRaced } = found.fields;
  const seen = told(found, 'fs.path.source', 'fs.path.target', 'shikra.evt.raced');
  // one of the two says something else by the end
  assert.deepEqual([source === from, target === to].sort(), [false, true]);
  assert.equal(isRaced, true);
  return seen;
});

for (const type of ['unlink', 'rename']) {
  attempt(
    1,
    `a path that another thread writes over during ${type} is flagged, and both texts are looked at`,
    {},
    () => {
      const [one, other] = [join(folder, 'absent-1'), join(folder, 'absent-2')];
      const { found } = events(capture, type, [`${type}-flipped`, one, other, '3000'], ['shikra.evt.raced']);
      const raced = found.filter(({ fields }) => fields['shikra.evt.raced'] === true);
      assert.ok(raced.length > 0, `none of ${found.length} was flagged`);
      if (type === 'unlink')
        assert.ok(raced.some(({ spellings }) => spellings.includes(one) && spellings.includes(other)));
      return told(raced[0]!, 'shikra.evt.raced');
    },
  );
}

test('a path that stays as it is is not flagged, whatever its length', () => {
  for (const length of [1, 7, 8, 9, 64, 500, 1990, 1999, 2000, 2001, 4000]) {
    const path = `${folder}/${'y/'.repeat(length)}`.slice(0, folder.length + 1 + length).replace(/\/$/, 'y');
    const { fields } = event(capture, 'mkdir', ['mkdir', path], ['shikra.evt.raced', 'fs.path.nameraw']);
    assert.deepEqual(fields, { 'shikra.evt.raced': false, 'fs.path.nameraw': path });
  }
});

attempt(10, 'a removal by int 0x80', { skip: x64 }, () => {
  const path = join(folder, 'removed');
  writeFileSync(path, '');
  const found = event(capture, 'unlink', ['unlink-int80', path], ['fs.path.name', 'evt.res', 'shikra.evt.abi']);
  assert.deepEqual(found.fields, { 'fs.path.name': path, 'evt.res': 'SUCCESS', 'shikra.evt.abi': 'compat' });
  return told(found, 'fs.path.name', 'shikra.evt.abi');
});

attempt(
  37,
  'a call by an x32 number is told as the call that it is, also where the kernel has none',
  { skip: x64 },
  () => {
    const found = event(capture, 'openat', ['x32', '257', secret], ['fd.name', 'shikra.evt.abi', 'evt.failed']);
    assert.equal(found.fields['fd.name'], secret);
    assert.equal(found.fields['shikra.evt.abi'], 'x32');
    const own = event(capture, 'ptrace', ['x32', '521', ''], ['shikra.evt.abi', 'evt.failed']);
    assert.deepEqual(own.fields, { 'shikra.evt.abi': 'x32', 'evt.failed': found.fields['evt.failed'] });
    return told(found, 'fd.name', 'shikra.evt.abi');
  },
);

attempt(
  39,
  '32-bit numbers that are executions in the other table make no execution',
  { skip: x64, expect: 'no effect' },
  () => {
    for (const number of ['59', '322']) {
      const { all } = events(capture, 'execve', ['int80', number], []);
      assert.equal(all.filter(({ type }) => type.startsWith('execve')).length, 1, `number ${number}`);
    }
    return noEffect('no `execve` but the one that started the program');
  },
);

attempt([8, 31], 'a descriptor that came over a socket is told by the file behind it', {}, () => {
  const found = event(capture, 'fchmod', ['open-passed', secret], ['fd.name', 'evt.arg.mode']);
  assert.equal(found.result, 0);
  assert.deepEqual(found.fields, { 'fd.name': secret, 'evt.arg.mode': 'S_IRUSR|S_IWUSR|S_IRGRP' });
  return told(found, 'fd.name');
});

for (const [row, what, path] of [
  [3, 'a link to a link in a linked folder', () => join(folder, 'chained/two')],
  [4, 'the root of another process', () => `/proc/${process.pid}/root${secret}`],
  [
    4,
    'more .. than there are folders, from the working folder of another process',
    () => `/proc/${process.pid}/cwd/${'../'.repeat(40)}${secret}`,
  ],
  [3, 'slashes and dots', () => secret.replaceAll('/', '//./')],
] as const) {
  attempt(row, `${what}: the same file`, {}, () => {
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
    return told(found[0]!, 'fd.name');
  });
}

attempt(5, 'a bind mount and a hard link have another name, and the inode of what they are', {}, () => {
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
    return shown('`openat` with `fd.ino` of the file; of the bind mount also with its name inside the file system');
  } finally {
    execFileSync('umount', [bound]);
  }
});

attempt(15, 'five hundred folders deep, and the name is whole', {}, () => {
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
  return told(deep!, 'fd.name');
});

attempt(32, 'names that would break a line or a terminal come as they are', {}, () => {
  const hostile = join(folder, 'a\n{"x":1}\u001b[31m\u00ff');
  writeFileSync(hostile, '');
  const { events: all } = capture.of(() => spawnSync('cat', [hostile]), ['fd.name']);
  const found = all.find(({ fields }) => fields['fd.name'] === hostile);
  assert.ok(found);
  return told(found, 'fd.name');
});

attempt(16, 'two programs whose names are one in their first 15 characters', {}, () => {
  const copies = ['trusted-program-1', 'trusted-program-2'].map((name) => join(folder, name));
  const found = copies.map((copy) => {
    copyFileSync('/bin/true', copy);
    const { events: all } = capture.of(() => spawnSync(copy), ['proc.name', 'proc.exepath']);
    return all.find(({ type }) => type === 'execve')!;
  });
  assert.deepEqual(
    found.map(({ fields }) => fields),
    copies.map((copy) => ({ 'proc.name': 'trusted-program', 'proc.exepath': copy })),
  );
  return told(found[1]!, 'proc.name', 'proc.exepath');
});

for (const root of [
  '/proc/self/root',
  '/proc/thread-self/root',
  '/proc/1/root',
  '/proc/self/task/../root/../proc//self/./root',
]) {
  // Where nobody may go to the machine's first process: the first of numbers of its own, which has the same root.
  const within = existsSync(`${root}/`) ? [] : ['unshare', '--pid', '--fork', '--mount-proc'];
  const run = (...command: string[]) => {
    const [program, ...parameters] = [...within, ...command];
    return spawnSync(program!, parameters);
  };
  attempt(4, `a removal and a move by ${root}: what lies there`, {}, () => {
    const [removed, moved, target] = ['removed', 'moved', 'target'].map((name) =>
      join(folder, `${name}-by${root.replaceAll(/\W+/g, '-')}`),
    );
    for (const path of [removed!, moved!]) writeFileSync(path, '');
    const names = ['fs.path.name', 'fs.path.source', 'fs.path.target', 'evt.res'];
    const toldOf = (type: string, field: string, path: string, act: () => unknown) =>
      capture
        .all(act, names)
        .find((event) => event.type.startsWith(type) && String(event.fields[field]).endsWith(path))!;
    const unlinked = toldOf('unlink', 'fs.path.name', removed!, () => run('rm', `${root}${removed}`));
    assert.deepEqual([unlinked.fields['fs.path.name'], unlinked.fields['evt.res']], [removed, 'SUCCESS']);
    const { fields } = toldOf('rename', 'fs.path.source', moved!, () =>
      run('mv', `${root}${moved}`, `${root}${target}`),
    );
    assert.deepEqual(
      [fields['fs.path.source'], fields['fs.path.target'], fields['evt.res']],
      [moved, target, 'SUCCESS'],
    );
    return told(unlinked, 'fs.path.name');
  });
}

attempt(3, 'a removal through a link to the folder', {}, () => {
  const path = join(folder, 'removed-by-link');
  writeFileSync(path, '');
  symlinkSync(folder, join(folder, 'link-to-folder'));
  const { events: all } = capture.of(
    () => spawnSync('rm', [join(folder, 'link-to-folder/removed-by-link')]),
    ['fs.path.name', 'evt.res'],
  );
  const removed = all.find(({ type }) => type.startsWith('unlink'))!;
  assert.equal(removed.fields['evt.res'], 'SUCCESS');
  const [written, real] = ['link-to-folder/removed-by-link', 'removed-by-link'].map((name) => `\`/tmp/…/${name}\``);
  if (!removed.spellings.includes(path)) return missed(`\`${removed.type}\` of ${written}: as it was written`);
  return shown(`\`${removed.type}\` of ${written} is looked at as ${real}, too`);
});

attempt(30, 'a file that is opened ten thousand times takes the name of another', {}, () => {
  const [harmless, watched] = [join(folder, 'harmless'), join(folder, 'watched')];
  writeFileSync(harmless, '');
  const script = `import os,sys
for i in range(10000): os.close(os.open(sys.argv[1], 0))
os.rename(sys.argv[1], sys.argv[2]); os.close(os.open(sys.argv[2], 0))`;
  const { events: all } = capture.of(() => spawnSync('python3', ['-c', script, harmless, watched]), ['fd.name']);
  const opened = all.filter(({ type }) => type === 'openat');
  assert.equal(opened.filter(({ fields }) => fields['fd.name'] === harmless).length, 10_000);
  assert.equal(opened.at(-1)!.fields['fd.name'], watched);
  return told(opened.at(-1)!, 'fd.name');
});
