import type { Agent, StartTimes } from './agent.ts';
import { sleep } from './child.ts';
import { CONDITIONS, type ConditionName, startCondition } from './conditions.ts';
import type { Counters } from './counters.ts';
import type { ProcessUsage } from './usage.ts';
import { type LoopResult, runLoop, type Workload } from './workloads.ts';

/** Before it is measured each loop runs a while unmeasured, under every condition: caches fill, and V8 compiles what is hot. */
const WARM_UP_SECONDS = 2;
/** The agent's counters are brought up to date once a second. */
const SETTLE_MILLIS = 1_300;
/** By then the last event of a loop is through. */
const DRAIN_MILLIS = 300;

/** One workload under the three conditions, one right after the other. */
export interface Round {
  readonly perSecond: Readonly<Record<ConditionName, number>>;
  readonly agent: AgentFigures;
}

/** What the agent did and used for one loop, from the loop's start until its last event was through. */
export interface AgentFigures {
  readonly startTimes: StartTimes;
  readonly iterations: number;
  readonly events: number;
  readonly detections: number;
  /** Since the agent's start: the warm-up's loss counts too. */
  readonly lost: number;
  readonly incomplete: number;
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly collectorSeconds: number;
  readonly otherThreadsSeconds: number;
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

export async function measureRound(workload: Workload, folder: string, seconds: number): Promise<Round> {
  const perSecond: Record<ConditionName, number> = { none: 0, empty: 0, shikra: 0 };
  let agent: AgentFigures | undefined;
  for (const name of CONDITIONS) {
    const condition = await startCondition(name, folder);
    try {
      await runLoop(workload, folder, WARM_UP_SECONDS);
      const loop = () => runLoop(workload, folder, seconds);
      if (condition.agent === undefined) {
        perSecond[name] = (await loop()).perSecond;
      } else {
        const watched = await watch(condition.agent, loop);
        perSecond[name] = watched.result.perSecond;
        agent = watched.figures;
      }
    } finally {
      await condition.stop();
    }
  }
  return { perSecond, agent: agent! };
}

async function watch(
  agent: Agent,
  loop: () => Promise<LoopResult>,
): Promise<{ result: LoopResult; figures: AgentFigures }> {
  await sleep(SETTLE_MILLIS);
  const before: Reading = { counters: await agent.counters(), usage: agent.usage() };
  const result = await loop();
  await sleep(DRAIN_MILLIS);
  const usage = agent.usage(); // before it has to write a page of metrics for us
  await sleep(SETTLE_MILLIS);
  const after: Reading = { counters: await agent.counters(), usage };
  return { result, figures: figuresBetween(before, after, agent.startTimes, result) };
}

interface Reading {
  readonly counters: Counters;
  readonly usage: ProcessUsage;
}

function figuresBetween(before: Reading, after: Reading, startTimes: StartTimes, result: LoopResult): AgentFigures {
  const collector = threadBetween(before.usage, after.usage, (name) => name === 'collector');
  const others = threadBetween(before.usage, after.usage, (name) => name !== 'collector');
  return {
    startTimes,
    iterations: result.iterations,
    events: after.counters.events - before.counters.events,
    detections: after.counters.detections - before.counters.detections,
    lost: after.counters.lost,
    incomplete: after.counters.incomplete,
    userSeconds: after.usage.userSeconds - before.usage.userSeconds,
    systemSeconds: after.usage.systemSeconds - before.usage.systemSeconds,
    collectorSeconds: collector,
    otherThreadsSeconds: others,
    rssBytes: after.usage.rssBytes,
    peakRssBytes: after.usage.peakRssBytes,
  };
}

function threadBetween(before: ProcessUsage, after: ProcessUsage, wanted: (name: string) => boolean): number {
  let seconds = 0;
  for (const [name, until] of after.threadSeconds)
    if (wanted(name)) seconds += until - (before.threadSeconds.get(name) ?? 0);
  return seconds;
}
