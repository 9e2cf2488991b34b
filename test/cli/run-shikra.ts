import { spawnSync } from 'node:child_process';

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line as a user would, in a process of its own. */
export function shikra(parameters: readonly string[], environment: Record<string, string> = {}): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['cli/main.ts', ...parameters], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
    timeout: 60_000,
  });
  return { code: status, stdout, stderr };
}
