import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { resolvePath } from '../../../native/index.ts';

const OWN = { pid: 0, mountNamespace: 0, base: '' };
/** The kernel's clock for files goes by a few milliseconds. */
function followed(link: string): void {
  execFileSync('sleep', ['0.02']);
  statSync(link);
}

const isRoot = process.getuid?.() === 0;

describe('where a path leads, as the kernel knows it by heart', () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  const folderOf = (path: string, base = '') => resolvePath({ ...OWN, base }, path, true);

  before(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'shikra-resolve-')));
    mkdirSync(at('real/below'), { recursive: true });
    writeFileSync(at('real/file'), '');
    symlinkSync('real', at('link'));
    symlinkSync(at('link'), at('again'));
    symlinkSync('/real/below', at('absolute'));
    symlinkSync('real/below', at('deep'));
    symlinkSync('loop', at('loop'));
    // A link that nobody has followed since it was made is not followed from memory: the file system would have to note the time.
    for (const link of ['link', 'again', 'deep']) followed(at(link));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('a folder without links is itself', () => assert.equal(folderOf(at('real/below')), at('real/below')));
  it('links are followed, and links to links', () => {
    assert.equal(folderOf(at('link')), at('real'));
    assert.equal(folderOf(at('again/below')), at('real/below'));
  });
  it('.. goes up from where the link leads', () => {
    assert.equal(folderOf(`${at('deep')}/..`), at('real'));
  });
  it('.. ends at the root', () => assert.equal(folderOf(`${'/..'.repeat(20)}${at('link')}`), at('real')));
  it('a file is told if more than a folder will do', () => {
    assert.equal(folderOf(at('link/file')), undefined);
    assert.equal(resolvePath(OWN, at('link/file'), false), at('real/file'));
  });
  it('an absolute link begins at the root that is given', { skip: !isRoot }, () => {
    spawnSync('chroot', [folder, '/absolute']); // nothing runs, but the link is followed
    assert.equal(folderOf('/absolute', folder), at('real/below'));
    assert.equal(folderOf(at('absolute')), undefined);
  });
  for (const [what, path] of [
    ['nothing is there', () => at('nothing')],
    ['links go round', () => at('loop')],
    ['it is too long', () => `/${'a/'.repeat(3000)}`],
    ['it leads through another process', () => `/proc/${process.pid}/root/tmp`],
    ['it has a NUL', () => `${at('real')}\0x`],
  ] as const)
    it(`unknown if ${what}`, () => assert.equal(folderOf(path()), undefined));

  it('unknown if a file system would have to be asked', () => {
    // sysfs looks each time whether what it has is still there
    assert.ok(statSync('/sys/kernel').isDirectory());
    assert.equal(folderOf('/sys/kernel'), undefined);
  });

  it('unknown if a mount in the way is looked at by nobody but a process of its own', { skip: !isRoot }, async () => {
    mkdirSync(at('mounted'));
    const script = `mount -t tmpfs none "$0" && mkdir "$0/here" && ln -s here "$0/link" && sleep 0.02 && ls "$0/link/" && echo ready && read x`;
    const child = spawn('unshare', ['-m', 'sh', '-c', script, at('mounted')], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const root = { pid: child.pid!, mountNamespace: statSync(`/proc/${child.pid}/ns/mnt`).ino, base: '' };
      assert.equal(resolvePath(root, at('mounted/link'), true), at('mounted/here'));
      assert.equal(folderOf(at('mounted/link')), undefined);
      assert.equal(resolvePath({ ...root, mountNamespace: 1 }, at('mounted/link'), true), undefined);
    } finally {
      child.stdin.end('x\n');
      await once(child, 'close');
    }
    assert.equal(execFileSync('ls', [at('mounted')], { encoding: 'utf8' }), '');
  });
});
