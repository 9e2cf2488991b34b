import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capabilities } from '../../collector/sources/kernel/numbers.ts';
import { EngineProcess } from './engine-process.ts';
import { imageArchive } from './image.ts';

const LIMIT_MILLIS = 30_000;

/** A Docker of a test's own: without networks, with nothing in common with one of the machine. */
export class Dockerd extends EngineProcess {
  constructor() {
    super('docker', 'dockerd', parameters, () => this.#try(['version']));
  }

  get socket(): string {
    return join(this.folder, 'docker.sock');
  }

  override async start(): Promise<void> {
    // One that was killed leaves the pid of its containerd, which the next one would wait for.
    rmSync(join(this.folder, 'exec/containerd/containerd.pid'), { force: true });
    await super.start();
  }

  /** Makes an image of busybox with a file of secrets. */
  load(names: readonly string[], secret: string): void {
    this.run('load', '--input', imageArchive(this.folder, names, secret));
  }

  /** The `docker` command. @returns what it prints */
  run(...args: readonly string[]): string {
    const options = { encoding: 'utf8', timeout: LIMIT_MILLIS } as const;
    return execFileSync('docker', ['--host', `unix://${this.socket}`, ...args], options).trim();
  }

  override async close(): Promise<void> {
    if (this.#try(['version'])) {
      const ids = this.run('ps', '--all', '--quiet').split('\n').filter(Boolean);
      if (ids.length > 0) this.run('rm', '--force', ...ids);
    }
    await super.close();
  }

  #try(args: readonly string[]): boolean {
    return spawnSync('docker', ['--host', `unix://${this.socket}`, ...args], { timeout: 2000 }).status === 0;
  }
}

/**
 * `docker run --privileged` asks for every capability there is, which runc refuses where this machine itself has fewer: this runtime leaves those out.
 */
function limitedRuntime(folder: string): string {
  const held = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]}`);
  const lacking = capabilities(~held & ((1n << 41n) - 1n)).split(' ');
  const file = join(folder, 'runtime');
  const removals = [...lacking.map((name) => `s/"${name}",*//g`), 's/,]/]/g'].join(';');
  const script = `#!/bin/sh
for word; do
  [ "$before" != --bundle ] || sed -i '${removals}' "$word/config.json"
  before=$word
done
exec runc "$@"
`;
  writeFileSync(file, script, { mode: 0o755 });
  return file;
}

function parameters(folder: string): string[] {
  return [
    `--add-runtime=limited=${limitedRuntime(folder)}`,
    '--default-runtime=limited',
    '--iptables=false',
    '--ip6tables=false',
    '--bridge=none',
    `--data-root=${join(folder, 'data')}`,
    `--exec-root=${join(folder, 'exec')}`,
    `--pidfile=${join(folder, 'docker.pid')}`,
    `--host=unix://${join(folder, 'docker.sock')}`,
    '--storage-driver=vfs',
  ];
}
