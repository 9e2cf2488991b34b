import type { StartTimes } from './agent.ts';
import type { Machine } from './machine.ts';
import type { AgentFigures, Round } from './measure.ts';
import type { Options } from './options.ts';
import type { TimedRuleLoad } from './rule-loads.ts';

/** Everything that a run measured. */
export interface Results {
  readonly options: Options;
  readonly machine: Machine;
  /** By the workload's name. */
  readonly rounds: ReadonlyMap<string, readonly Round[]>;
  readonly npmStarts: readonly StartTimes[];
  readonly ruleLoads: readonly TimedRuleLoad[];
  /** Load average of the run's last minute. */
  readonly loadAfter: number;
  /** Of all processors' time during the run, what the hypervisor gave to others: 0 to 1. */
  readonly stolenShare: number;
}

export function agentSeconds({ collectorSeconds, otherThreadsSeconds }: AgentFigures): number {
  return collectorSeconds + otherThreadsSeconds;
}

export function nanosPerEvent(figures: AgentFigures): number {
  return (agentSeconds(figures) / figures.events) * 1e9;
}

export function microsPerIteration(figures: AgentFigures): number {
  return (agentSeconds(figures) / figures.iterations) * 1e6;
}
