import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where a new cgroup goes: as the agent looks, the unified hierarchy where it is in use, else that of `pids`. */
const ROOTS = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'];

/** A cgroup of the host in which programs are run that are in no container. */
export class HostCgroup {
  readonly #path: string;

  constructor(name: string) {
    const root = ROOTS.find((path) => existsSync(join(path, 'cgroup.procs')))!;
    this.#path = join(root, name);
    mkdirSync(this.#path, { recursive: true });
  }

  run(command: readonly string[]): void {
    const [program, ...args] = this.command(command);
    spawnSync(program!, args);
  }

  /** What to run instead of a command, for it to be in the cgroup. */
  command(command: readonly string[]): readonly string[] {
    return ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', this.#path, ...command];
  }

  close(): void {
    try {
      for (let path = this.#path; ; path = dirname(path)) rmdirSync(path);
    } catch {
      // from here on others use it
    }
  }
}
