import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../fixtures/trigger.c', import.meta.url));
const BUILD = fileURLToPath(new URL('../build/', import.meta.url));
export const TRIGGER = `${BUILD}trigger`;

/** Builds the program that makes single system calls, if it is not there or older than its source. */
export function buildTrigger(): void {
  if (existsSync(TRIGGER) && statSync(TRIGGER).mtimeMs > statSync(SOURCE).mtimeMs) return;
  mkdirSync(BUILD, { recursive: true });
  const fresh = `${TRIGGER}.${process.pid}`;
  execFileSync('gcc', ['-O1', '-static', '-o', fresh, SOURCE]);
  renameSync(fresh, TRIGGER);
}

export interface Triggered {
  readonly pid: number;
  /** Of the system call; -errno if it failed. */
  readonly result: number;
}

/** Runs `trigger NAME ARGUMENT...` to its end. */
export function trigger(
  args: readonly string[],
  options: { cwd?: string; argv0?: string; stdio?: 'pipe' | ['pipe', number, number] } = {},
): Triggered {
  const { pid, stdout, stderr } = spawnSync(TRIGGER, args, { encoding: 'utf8', ...options });
  if (stderr) throw new Error(stderr);
  return { pid, result: Number(stdout) };
}
