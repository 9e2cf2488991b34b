import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostCgroup } from '../test/containers/host-cgroup.ts';
import { AgentProcess } from '../test/kernel/agent-process.ts';
import { sleep } from './child.ts';
import { MEGABYTE } from './format.ts';
import { BUILD, buildPrograms } from './programs.ts';
import { processUsage } from './usage.ts';

/** The agent needs this long to take up what it keeps: its memory is looked at from here on. */
export const SETTLING_SECONDS = 60;
/** A container is forgotten ten seconds after its last process at the latest, and the counters follow by one. */
const FORGETTING_MILLIS = 12_000;
/** Processes of others come and go between a look at the table and one at /proc: the best of several counts. */
const LOOKS = 5;
const LOOK_MILLIS = 500;
/** An entry outlives its process by 0.2 s of events, and these may be on their way for as long: those of others that have just ended are not stale. */
const LINGERING_SECONDS = 0.4;

/** More than the agent keeps: 16,384 strings, 1,024 images of programs, both found by a hash. */
const DISTINCT_PATHS = 60_000;
const DISTINCT_PROGRAMS = 4000;

export interface SoakOptions {
  readonly seconds: number;
  readonly sampleSeconds: number;
  readonly processesPerSecond: number;
  readonly containersPerSecond: number;
  readonly onSample?: (sample: Sample) => void;
}

export interface Sample {
  /** Since the load began. */
  readonly seconds: number;
  readonly rssBytes: number;
  /** Open file descriptors of the agent. */
  readonly descriptors: number;
  /** Of the process table. */
  readonly processes: number;
  /** Of the container table. */
  readonly containers: number;
}

export interface SoakResults {
  readonly samples: readonly Sample[];
  /** That were started. */
  readonly processes: number;
  readonly containers: number;
  /** Events that did not come. */
  readonly lost: number;
  /** Some time after the load: entries of processes that are not there, and of containers that were not there before. */
  readonly staleProcesses: number;
  readonly staleContainers: number;
}

/** Lets processes and containers come and go beside an agent with the default rules. Needs root. */
export async function soak(options: SoakOptions): Promise<SoakResults> {
  buildPrograms();
  const agent = await AgentProcess.start();
  try {
    const before = (await look(agent, 0)).containers;
    const program = spawn(join(BUILD, 'short-lived'), [String(options.processesPerSecond), join(BUILD, 'child')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    program.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    if (options.seconds > SETTLING_SECONDS) fillCaches();
    const { samples, containers } = await load(agent, options);
    program.kill('SIGTERM');
    await once(program, 'close');
    await sleep(FORGETTING_MILLIS);
    const left = [];
    const ended = await exits(agent);
    const began = performance.now();
    for (let i = 0; i < LOOKS; i++, await sleep(LOOK_MILLIS)) {
      const { processes, containers: kept } = await look(agent, 0);
      left.push({ processes: processes - numbersIn('/proc'), containers: kept - before });
    }
    const exitsPerSecond = (1000 * ((await exits(agent)) - ended)) / (performance.now() - began);
    const lingering = Math.ceil(exitsPerSecond * LINGERING_SECONDS);
    return {
      samples,
      processes: Number(printed),
      containers,
      lost: sumOf(await agent.metrics(), 'shikra_events_dropped_total'),
      staleProcesses: Math.max(0, Math.min(...left.map(({ processes }) => processes)) - lingering),
      staleContainers: Math.max(0, Math.min(...left.map(({ containers: kept }) => kept))),
    };
  } finally {
    await agent.close();
  }
}

/**
 * What the agent keeps of paths and programs is bounded, and filled by what a machine does in days: it is filled first, so that what grows afterwards has no
 * bound.
 */
function fillCaches(): void {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-soak-'));
  for (let i = 0; i < DISTINCT_PATHS; i++) writeFileSync(join(folder, String(i)), '');
  rmSync(folder, { recursive: true });
  const script = 'i=0; while [ $i -lt "$1" ]; do "$0" $i; i=$((i + 1)); done';
  spawnSync('sh', ['-c', script, join(BUILD, 'child'), String(DISTINCT_PROGRAMS)]);
}

/** Starts containers, and looks at the agent, until the time is over. */
async function load(agent: AgentProcess, options: SoakOptions): Promise<{ samples: Sample[]; containers: number }> {
  const samples: Sample[] = [];
  const started = performance.now();
  let containers = 0;
  for (;;) {
    const seconds = (performance.now() - started) / 1000;
    if (seconds >= options.sampleSeconds * (samples.length + 1)) {
      const sample = await look(agent, seconds);
      samples.push(sample);
      options.onSample?.(sample);
    }
    if (seconds >= options.seconds) return { samples, containers };
    runInContainer();
    containers++;
    await sleep(started + (containers * 1000) / options.containersPerSecond - performance.now());
  }
}

/** One process in a cgroup of its own, such as Docker would make it. */
function runInContainer(): void {
  const cgroup = new HostCgroup(`docker/${randomBytes(32).toString('hex')}`);
  cgroup.run([join(BUILD, 'child')]);
  cgroup.close();
}

async function look(agent: AgentProcess, seconds: number): Promise<Sample> {
  const metrics = await agent.metrics();
  return {
    seconds,
    rssBytes: processUsage(agent.pid).rssBytes,
    descriptors: numbersIn(`/proc/${agent.pid}/fd`),
    processes: sumOf(metrics, 'shikra_process_table_entries'),
    containers: sumOf(metrics, 'shikra_containers{'),
  };
}

async function exits(agent: AgentProcess): Promise<number> {
  return sumOf(await agent.metrics(), 'shikra_events_total{type="procexit"}');
}

function numbersIn(folder: string): number {
  return readdirSync(folder).filter((name) => /^\d+$/.test(name)).length;
}

function sumOf(metrics: ReadonlyMap<string, number>, prefix: string): number {
  return [...metrics].filter(([name]) => name.startsWith(prefix)).reduce((sum, [, value]) => sum + value, 0);
}

/** How fast the memory grew after the first minute, by the line that fits the samples best; undefined if there are not two. */
export function growthPerMinute(samples: readonly Sample[]): number | undefined {
  const settled = samples.filter(({ seconds }) => seconds >= SETTLING_SECONDS);
  if (settled.length < 2) return undefined;
  const mean = (of: (sample: Sample) => number) =>
    settled.reduce((sum, sample) => sum + of(sample), 0) / settled.length;
  const [meanSeconds, meanBytes] = [mean(({ seconds }) => seconds), mean(({ rssBytes }) => rssBytes)];
  const along = mean(({ seconds, rssBytes }) => (seconds - meanSeconds) * (rssBytes - meanBytes));
  return (along / mean(({ seconds }) => (seconds - meanSeconds) ** 2)) * 60;
}

const MOST_GROWTH_BYTES_PER_MINUTE = MEGABYTE;
/** Of processes that others start and end at this very moment. */
const MOST_STALE_PROCESSES = 5;
/** A scrape's connection may be open or not. */
const MOST_MORE_DESCRIPTORS = 2;

/** What does not hold; nothing if all is well. */
export function failuresOf({ samples, staleProcesses, staleContainers }: SoakResults): string[] {
  const failures: string[] = [];
  const growth = growthPerMinute(samples);
  if (growth !== undefined && growth >= MOST_GROWTH_BYTES_PER_MINUTE)
    failures.push(
      `memory: expected less than 1 MB a minute more after the first minute, found ${(growth / MEGABYTE).toFixed(2)}`,
    );
  if (staleProcesses > MOST_STALE_PROCESSES)
    failures.push(`process table: ${staleProcesses} entries of processes that are not there`);
  if (staleContainers > 0)
    failures.push(`container table: ${staleContainers} entries of containers that are not there`);
  const [first, last] = [samples.find(({ seconds }) => seconds >= SETTLING_SECONDS) ?? samples[0], samples.at(-1)];
  if (first !== undefined && last!.descriptors > first.descriptors + MOST_MORE_DESCRIPTORS)
    failures.push(`file descriptors: ${first.descriptors} became ${last!.descriptors}`);
  return failures;
}
