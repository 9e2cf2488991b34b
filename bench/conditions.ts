import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Agent } from './agent.ts';
import { startAgent } from './agent.ts';
import { waitUntil } from './child.ts';
import { BUILD } from './programs.ts';

/** What runs beside a loop. Lives until `stop`. */
export interface Running {
  /** Where the condition is Shikra. */
  readonly agent?: Agent;
  stop(): Promise<void>;
}

export type ConditionName = 'none' | 'empty' | 'shikra';

/** In the order of a round. */
export const CONDITIONS: readonly ConditionName[] = ['none', 'empty', 'shikra'];

/** @param folder of the run */
export async function startCondition(name: ConditionName, folder: string): Promise<Running> {
  if (name === 'none') return { stop: async () => {} };
  if (name === 'empty') return startEmptyPrograms();
  const agent = await startAgent(folder);
  return { agent, stop: () => agent.stop() };
}

async function startEmptyPrograms(): Promise<Running> {
  // It ends with its standard input: also when the benchmark dies.
  const child = spawn(join(BUILD, 'attach'), [join(BUILD, 'empty.bpf.o')], { stdio: ['pipe', 'pipe', 'inherit'] });
  let attached = false;
  child.stdout.on('data', () => {
    attached = true;
  });
  await waitUntil(child, 'attaching', () => attached);
  return {
    async stop() {
      child.stdin.end();
      await once(child, 'close');
    },
  };
}
