import { count, MEGABYTE, megabytes } from './format.ts';
import type { AgentFigures } from './measure.ts';
import { microsPerIteration, nanosPerEvent, type Results } from './results.ts';
import type { Spread } from './statistics.ts';

/** One thing that Shikra promises of its speed. */
export interface Target {
  readonly what: string;
  readonly aim: string;
  /** What was measured of it; empty if the run left its workload out. */
  readonly values: (results: Results) => number[];
  readonly format: (value: number) => string;
  /** By the median where the machine's noise decides, by the worst where a single case is a failure. */
  readonly met: (measured: Spread) => boolean;
}

export const TARGETS: readonly Target[] = [
  {
    what: 'open and close, throughput to that of the empty programs',
    aim: '0.70 or more',
    values: ({ rounds }) => (rounds.get('open') ?? []).map(({ perSecond }) => perSecond.shikra / perSecond.empty),
    format: (ratio) => ratio.toFixed(3),
    met: ({ median }) => median >= 0.7,
  },
  {
    what: 'events lost at full speed of any loop, default rings',
    aim: 'none',
    values: (results) => allFigures(results).map(({ lost }) => lost),
    format: count,
    met: ({ max }) => max === 0,
  },
  {
    what: 'open and close, agent CPU per event, ns',
    aim: 'under 400',
    values: (results) => figuresOf(results, 'open').map(nanosPerEvent),
    format: count,
    met: ({ median }) => median < 400,
  },
  {
    what: 'execute, agent CPU per execution (with its fork and exit), µs',
    aim: 'under 60',
    values: (results) => figuresOf(results, 'exec').map(microsPerIteration),
    format: (micros) => micros.toFixed(1),
    met: ({ median }) => median < 60,
  },
  {
    what: 'largest RSS under any loop, MB',
    aim: 'under 150',
    values: (results) => allFigures(results).map(({ peakRssBytes }) => peakRssBytes),
    format: megabytes,
    met: ({ max }) => max < 150 * MEGABYTE,
  },
  {
    what: '`shikra run` to the first event, ms',
    aim: 'under 1,000',
    values: (results) => allFigures(results).map(({ startTimes }) => startTimes.firstEventMillis),
    format: count,
    met: ({ median }) => median < 1000,
  },
  {
    what: '`npm start` to the first event, ms',
    aim: 'under 2,000',
    values: ({ npmStarts }) => npmStarts.map(({ firstEventMillis }) => firstEventMillis),
    format: count,
    met: ({ median }) => median < 2000,
  },
  {
    what: 'loading all rules in a fresh process, ms',
    aim: 'under 300',
    values: ({ ruleLoads }) => ruleLoads.map(({ loadMillis }) => loadMillis),
    format: count,
    met: ({ median }) => median < 300,
  },
];

function figuresOf(results: Results, workload: string): AgentFigures[] {
  return (results.rounds.get(workload) ?? []).map(({ agent }) => agent);
}

function allFigures({ rounds }: Results): AgentFigures[] {
  return [...rounds.values()].flat().map(({ agent }) => agent);
}
