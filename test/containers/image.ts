import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BUSYBOX = '/usr/bin/busybox';
const APPLETS = ['sh', 'cat', 'true', 'sleep'];
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * An archive as `docker save` writes it, of busybox and a file of secrets. docker and containerd read it.
 * @param names `repository:tag`, in full: containerd adds no registry
 * @param secret path of the file of secrets
 */
export function imageArchive(folder: string, names: readonly string[], secret: string): string {
  const work = mkdtempSync(join(folder, 'image-'));
  const root = join(work, 'root');
  for (const name of ['bin', 'etc', 'proc', 'dev', 'sys', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  for (const name of APPLETS) symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(join(root, secret), 'root:*:20000:0:99999:7:::\n');
  tar(join(work, 'layer.tar'), root, ['.']);
  const layer = createHash('sha256')
    .update(readFileSync(join(work, 'layer.tar')))
    .digest('hex');
  const config = {
    architecture: ARCHITECTURES[process.arch],
    os: 'linux',
    config: { Cmd: ['/bin/sleep', '600'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
  };
  writeFileSync(join(work, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: names, Layers: ['layer.tar'] }];
  writeFileSync(join(work, 'manifest.json'), JSON.stringify(manifest));
  const archive = `${work}.tar`;
  tar(archive, work, ['manifest.json', 'config.json', 'layer.tar']);
  rmSync(work, { recursive: true });
  return archive;
}

function tar(archive: string, folder: string, names: readonly string[]): void {
  execFileSync('tar', ['--create', '--file', archive, '--directory', folder, ...names]);
}
