import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { userCacheFolder } from '../collector/user-cache.ts';
import type { RuleLoad } from './rule-load.ts';

const PROGRAM = fileURLToPath(new URL('rule-load.ts', import.meta.url));

/** One process, from its start to its end. */
export interface TimedRuleLoad extends RuleLoad {
  readonly processMillis: number;
}

/** Loads all rules so many times, each time in a process of its own. */
export function timeRuleLoads(count: number): TimedRuleLoad[] {
  timeRuleLoad(); // leaves the compiled code in the cache where the agent has it
  return Array.from({ length: count }, timeRuleLoad);
}

function timeRuleLoad(): TimedRuleLoad {
  const env = {
    ...process.env,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE || userCacheFolder('compile-cache'),
  };
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM], { env, encoding: 'utf8' });
  const processMillis = performance.now() - started;
  if (status !== 0) throw new Error(`the rules could not be loaded: ${stderr}`);
  return { ...(JSON.parse(stdout) as RuleLoad), processMillis };
}
