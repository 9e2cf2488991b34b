/**
 * `npm run bench`: system call loops without Shikra, under empty programs on the same hooks, and under Shikra, in turn; repeated, so
 * that what else the machine does falls on all of them. Writes docs/benchmarks.md.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type StartTimes, timeNpmStart } from './agent.ts';
import { stolen, thisMachine } from './machine.ts';
import { measureRound, type Round } from './measure.ts';
import { type Options, parseOptions, USAGE, UsageError } from './options.ts';
import { benchmarksPage, summary } from './page.ts';
import { buildPrograms, buildShikra } from './programs.ts';
import type { Results } from './results.ts';
import { timeRuleLoads } from './rule-loads.ts';
import { OPENED_FILE } from './workloads.ts';

const QUIET_LOAD = 0.5;

async function main(): Promise<number> {
  let options: Options | undefined;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`bench: ${error.message}\n\n${USAGE}`);
    return 2;
  }
  if (options === undefined) {
    console.log(USAGE);
    return 0;
  }
  if (process.getuid?.() !== 0) {
    console.error('bench: must run as root: it loads programs into the kernel');
    return 2;
  }
  try {
    await bench(options);
    return 0;
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    return 1;
  }
}

async function bench(options: Options): Promise<void> {
  const machine = thisMachine();
  const before = stolen();
  if (machine.load > QUIET_LOAD)
    console.error(`bench: something else runs on this machine (load ${machine.load}): the figures will tell less`);
  buildShikra();
  buildPrograms();
  const folder = makeFolder();
  const rounds = await measureAll(options, folder);
  const npmStarts = options.output === undefined ? [] : await timeNpmStarts(options.rounds, folder);
  const ruleLoads = options.output === undefined ? [] : timeRuleLoads(options.rounds);
  const after = stolen();
  const stolenShare = (after.stolenTicks - before.stolenTicks) / (after.allTicks - before.allTicks);
  report({ options, machine, rounds, npmStarts, ruleLoads, loadAfter: loadavg()[0]!, stolenShare });
}

async function measureAll(options: Options, folder: string): Promise<Map<string, Round[]>> {
  const rounds = new Map<string, Round[]>(options.workloads.map(({ name }) => [name, []]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const workload of options.workloads) {
      const measured = await measureRound(workload, folder, options.seconds);
      rounds.get(workload.name)!.push(measured);
      console.error(`round ${round} of ${options.rounds}, ${workload.name}: ${summary(measured)}`);
    }
  }
  return rounds;
}

async function timeNpmStarts(count: number, folder: string): Promise<StartTimes[]> {
  const times: StartTimes[] = [];
  for (let i = 0; i < count; i++) times.push(await timeNpmStart(folder));
  return times;
}

function report(results: Results): void {
  const page = benchmarksPage(results);
  console.log(page);
  const { output } = results.options;
  if (output === undefined) return;
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(output, page);
  console.error(`written to ${output}`);
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-bench-'));
  const file = join(folder, OPENED_FILE);
  mkdirSync(dirname(file));
  writeFileSync(file, 'content\n');
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// The exit handlers end the agent and remove the folder: without this a Ctrl-C would leave both.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
process.exitCode = await main();
