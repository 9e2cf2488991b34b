import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Runs a program to its end. @returns what it printed. @throws Error if it failed */
export async function runToEnd(program: string, parameters: readonly string[]): Promise<string> {
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} ended with code ${code}`);
  return printed;
}

/** Waits for a condition that some output of the child brings about. @throws Error if the child ends first, or time is up */
export async function waitUntil(
  child: ChildProcess,
  what: string,
  happened: () => boolean,
  deadlineMillis = 30_000,
): Promise<void> {
  const deadline = Date.now() + deadlineMillis;
  while (!happened()) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`${child.spawnargs.join(' ')} ended before ${what}`);
    if (Date.now() > deadline) throw new Error(`${child.spawnargs.join(' ')}: no ${what} in ${deadlineMillis} ms`);
    await sleep(1);
  }
}

export function sleep(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
