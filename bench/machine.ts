import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/** What the figures were measured on. */
export interface Machine {
  readonly kernel: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly node: string;
  /** Day of the run. */
  readonly date: string;
  readonly commit: string;
  /** Load average of the last minute, before the run. */
  readonly load: number;
}

export function thisMachine(): Machine {
  return {
    kernel: release(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGib: totalmem() / 2 ** 30,
    node: process.versions.node,
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    load: loadavg()[0]!,
  };
}

/**
 * What the hypervisor kept from this machine's processors since it started, beside all their time, in ticks: /proc/stat, proc(5). In such a time a ring
 * can overflow that nobody could have read.
 */
export function stolen(): { readonly stolenTicks: number; readonly allTicks: number } {
  const ticks = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.split(/ +/).slice(1, 9).map(Number);
  return { stolenTicks: ticks[7]!, allTicks: ticks.reduce((sum, one) => sum + one, 0) };
}

function commit(): string {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'unknown'; // no git, or no repository: a copy of the sources
  }
}
