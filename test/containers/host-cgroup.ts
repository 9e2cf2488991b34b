import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** Where a new cgroup goes: as the agent looks, the unified hierarchy where it is in use, else that of `pids`. */
const ROOTS = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'];

/** Runs what follows in the cgroup whose folder is the first argument. */
const SCRIPT = 'echo $$ > "$0/cgroup.procs" && exec "$@"';

/** A cgroup of the host in which programs are run that are in no container. */
export class HostCgroup {
  readonly #path: string;
  /** As the kernel tells of it. */
  readonly name: string;

  constructor(name: string) {
    const root = ROOTS.find((path) => existsSync(join(path, 'cgroup.procs')))!;
    this.#path = join(root, name);
    this.name = join('/', name);
    mkdirSync(this.#path, { recursive: true });
  }

  /** @returns the pid that the program had */
  run(command: readonly string[]): number {
    return spawnSync('sh', ['-c', SCRIPT, this.#path, ...command]).pid;
  }

  /** Runs a program that goes on. */
  start(command: readonly string[]): ChildProcessByStdio<Writable, Readable, null> {
    return spawn('sh', ['-c', SCRIPT, this.#path, ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  close(): void {
    try {
      for (let path = this.#path; ; path = dirname(path)) rmdirSync(path);
    } catch {
      // from here on others use it
    }
  }
}
