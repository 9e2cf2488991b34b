import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { runToEnd } from './child.ts';
import { BUILD } from './programs.ts';

export interface Workload {
  readonly name: string;
  readonly title: string;
  /** One iteration, in words. */
  readonly step: string;
  readonly program: string;
  /** How many of them the default rules want to see. */
  readonly eventsPerIteration: number;
  /** @param folder of the run, with the file to open in it */
  readonly argument: (folder: string) => string;
}

/** In the run's folder, a folder deep: what the open loop opens. */
export const OPENED_FILE = join('some-folder', 'some-file.txt');

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'open',
    title: 'Open and close',
    step: 'one `open` of an existing file by its absolute path, and one `close`',
    program: 'open',
    eventsPerIteration: 1,
    argument: (folder) => join(folder, OPENED_FILE),
  },
  {
    name: 'exec',
    title: 'Execute',
    step: 'one `vfork`, `execve` of a static program that only ends, and `wait4`',
    program: 'exec',
    eventsPerIteration: 3,
    argument: () => join(BUILD, 'child'),
  },
  {
    name: 'read-write',
    title: 'Read and write',
    step: 'one `read` from /dev/zero and one `write` to /dev/null, 64 bytes each; no rule wants them',
    program: 'read-write',
    eventsPerIteration: 0,
    argument: () => '-',
  },
];

/** The last CPU: interrupts go to the first where nobody says otherwise. */
const CPU = availableParallelism() - 1;

export interface LoopResult {
  readonly iterations: number;
  readonly perSecond: number;
}

/** Runs a workload's loop, pinned to one CPU. */
export async function runLoop(workload: Workload, folder: string, seconds: number): Promise<LoopResult> {
  const program = join(BUILD, workload.program);
  const printed = await runToEnd(program, [String(CPU), String(seconds), workload.argument(folder)]);
  const [iterations, nanos] = printed.split(' ').map(Number) as [number, number];
  return { iterations, perSecond: (iterations / nanos) * 1e9 };
}
