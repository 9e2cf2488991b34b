/** Calls that open nothing, on paths that go through links: what rules look at is where these lead, too. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Capture, type CapturedEvent } from '../capture.ts';
import { attempt, type Seen, shown } from './attempt.ts';

const NAMES = ['fs.path.name', 'fs.path.source', 'fs.path.target', 'evt.res'];
let capture: Capture;
let folder: string;
const at = (name: string) => join(folder, name);

before(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'shikra-linked-')));
  mkdirSync(at('real'));
  symlinkSync('real', at('one'));
  symlinkSync(at('one'), at('link'));
  capture = await Capture.start();
});
after(() => {
  capture.close();
  rmSync(folder, { recursive: true });
});

function done(type: string, command: string, ...args: readonly string[]): CapturedEvent {
  const { events, result } = capture.of(() => spawnSync(command, args, { cwd: folder }), NAMES);
  assert.equal(result.status, 0, String(result.stderr));
  const found = events.find((event) => event.type.startsWith(type));
  assert.ok(found, `no ${type}`);
  assert.equal(found.fields['evt.res'], 'SUCCESS');
  return found;
}

/** What rules look at besides what was written. */
function led({ type, spellings, resolved: { path, path2 } }: CapturedEvent): Seen {
  const [written = '', ...others] = [spellings[0], path, path2].filter((one) => one !== undefined);
  const [from, ...to] = [written, ...others].map((one) => `\`${one.replace(folder, '/tmp/…')}\``);
  return shown(`\`${type}\` of ${from} is looked at as ${to.join(' and ')}, too`);
}

function python(type: string, script: string): CapturedEvent {
  return done(type, 'python3', '-c', `import os\n${script}`);
}

for (const [type, script, path] of [
  ['unlink', 'os.unlink("link/file")', 'real/file'],
  ['chmod', 'os.chmod("link/file", 0o777)', 'real/file'],
  ['mkdir', 'os.mkdir("link/new")', 'real/new'],
  ['rmdir', 'os.rmdir("link/new/")', 'real/new'],
  ['symlink', 'os.symlink("x", "link/made")', 'real/made'],
  ['truncate', 'os.truncate("link/file", 0)', 'real/file'],
  ['mknod', 'os.mknod("link/pipe", 0o10644)', 'real/pipe'],
] as const)
  attempt(3, `${type} through a link to a link to the folder: where it leads is looked at, too`, {}, () => {
    writeFileSync(at('real/file'), '');
    const found = python(type, script);
    assert.ok(found.spellings.includes(at(path)), found.spellings.join());
    assert.ok(found.spellings.includes(at(path.replace('real', 'link'))), 'as it was written');
    return led(found);
  });

for (const type of ['rename', 'link'])
  attempt(3, `${type} from and to linked folders: both paths are those that were used`, {}, () => {
    rmSync(at('real/to'), { force: true });
    writeFileSync(at('real/file'), '');
    const found = python(type, `os.${type}("link/file", "${at('link')}/to")`);
    assert.deepEqual(found.resolved, { path: at('real/file'), path2: at('real/to') });
    assert.deepEqual(found.spellings, [at('link/file'), at('real/file')]);
    return led(found);
  });

attempt(3, 'rights of what a link leads to are changed by the name of the link', {}, () => {
  writeFileSync(at('real/file'), '');
  symlinkSync('real/file', at('last'));
  const found = python('chmod', 'os.chmod("last", 0o777)');
  assert.equal(found.resolved.path, at('real/file'));
  return led(found);
});

attempt(3, '.. after a link goes up from where it leads', {}, () => {
  writeFileSync(at('file'), '');
  mkdirSync(at('real/sub/below'), { recursive: true });
  symlinkSync('real/sub/below', at('down'));
  writeFileSync(at('real/sub/file'), '');
  const found = python('unlink', 'os.unlink("down/../file")');
  assert.deepEqual(found.spellings, [at('file'), at('real/sub/file')]);
  return led(found);
});

attempt(5, 'an absolute link in a root of its own', {}, () => {
  mkdirSync(at('real/inner'), { recursive: true });
  writeFileSync(at('real/inner/file'), '');
  symlinkSync('/inner', at('real/absolute'));
  const found = python('unlink', `os.chroot(${JSON.stringify(at('real'))})\nos.unlink("/absolute/file")`);
  assert.equal(found.resolved.path, at('real/inner/file'));
  return led(found);
});

attempt([3, 5], 'a link that only the mounts of a container have', {}, async () => {
  mkdirSync(at('mounted'));
  const script = `mount -t tmpfs none "$0" && mkdir "$0/here" && ln -s here "$0/link" && touch "$0/here/file" && rm "$0/link/file" && echo ready && read x`;
  const child = spawn('unshare', ['-m', 'sh', '-c', script, at('mounted')], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const all = await capture.during(() => once(child.stdout, 'data'), NAMES);
    const found = all.find(
      ({ type, spellings }) => type.startsWith('unlink') && spellings[0] === at('mounted/link/file'),
    );
    assert.equal(found?.resolved.path, at('mounted/here/file'));
    return led(found!);
  } finally {
    child.stdin.end('x\n');
    await once(child, 'close');
  }
});

attempt(3, 'a folder that was harmless a moment ago is a link now', {}, () => {
  mkdirSync(at('changing'));
  writeFileSync(at('changing/file'), '');
  assert.equal(python('unlink', 'os.unlink("changing/file")').resolved.path, undefined);
  execFileSync('sh', ['-c', 'rmdir changing && ln -s real changing'], { cwd: folder });
  writeFileSync(at('real/file'), '');
  const found = python('unlink', 'os.unlink("changing/file")');
  assert.equal(found.resolved.path, at('real/file'));
  return led(found);
});

attempt(3, 'a link that is made, used and removed at once', {}, () => {
  const script = `import os
for i in range(100): open('real/file', 'w').close(); os.symlink('real', 'brief'); os.unlink('brief/file'); os.unlink('brief')`;
  const { events } = capture.of(() => spawnSync('python3', ['-c', script], { cwd: folder }), NAMES);
  const found = events.filter(({ spellings }) => spellings[0] === at('brief/file'));
  assert.equal(found.length, 100);
  for (const { spellings } of found) assert.ok(spellings.includes(at('real/file')));
  return led(found[0]!);
});

test('the agent does not tell its own looks, and does tell those of others', async () => {
  const watching = await Capture.start({ hasCanaries: true });
  try {
    watching.source.nextCanaries();
    writeFileSync(at('real/file'), '');
    const O_PATH = 0o10000000;
    const script = `import ctypes,struct
ctypes.CDLL(None).syscall(437, -100, b'/etc/hostname', struct.pack('QQQ', ${O_PATH}, 0, 0), 24)`;
    const all = watching.all(() => {
      execFileSync('rm', [at('link/file')]);
      execFileSync('python3', ['-c', script]);
    });
    assert.ok(all.some(({ resolved }) => resolved.path === at('real/file')));
    const looks = [...all, ...watching.all(() => {})].filter(({ type }) => type === 'openat2');
    assert.deepEqual(
      looks.map(({ spellings }) => spellings),
      [['/etc/hostname']],
    );
  } finally {
    watching.close();
  }
});
