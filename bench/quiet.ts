/**
 * `npm run bench:quiet`, as root: does ordinary work for ten minutes beside an agent with the default rules, and says what was detected. Nothing of it may be
 * told above NOTICE: what a machine does all day is no threat. docs/quiet.md is the page of a run.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PRIORITIES, type Priority } from '../collector/detection/priority.ts';
import { AgentProcess, type Alert } from '../test/kernel/agent-process.ts';
import { Containers, noContainers } from '../test/kernel/containers.ts';
import { sleep } from './child.ts';
import { thisMachine } from './machine.ts';
import { missing, ORDINARY_WORK, type OrdinaryWork } from './ordinary-work.ts';
import { quietPage, type WorkDone } from './quiet-page.ts';

const USAGE = `usage: npm run bench:quiet -- [options]      (as root)

Does ordinary work in turn beside an agent with the default rules. Exit code 1 if anything is detected above NOTICE, work fails, or an event is lost.
What is installed and made is removed again.

  --minutes N    how long (default 10)
  --only WORD    work whose name has the word
  --output FILE  write a page of the results there, such as docs/quiet.md
  --help         this text
`;

/** The counters follow the kernel by a second. */
const COUNTERS_MILLIS = 1500;
const NOTICE = PRIORITIES.indexOf('Notice');

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      only: { type: 'string', default: '' },
      output: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const minutes = Number(values.minutes);
  if (values.help || !(minutes > 0)) {
    console[values.help ? 'log' : 'error'](USAGE);
    return values.help ? 0 : 2;
  }
  if (process.getuid?.() !== 0) {
    console.error('quiet: must run as root: it loads programs into the kernel');
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), 'shikra-quiet-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return await watch(folder, minutes, values.only, values.output);
}

async function watch(folder: string, minutes: number, only: string, output: string | undefined): Promise<number> {
  const containers = noContainers() === false ? new Containers() : undefined;
  const all = [...ORDINARY_WORK, ...(containers === undefined ? [] : [runcWork(containers)])];
  const wanted = all.filter(({ name }) => name.includes(only));
  const left = wanted
    .map((work) => ({ name: work.name, missing: missing(work) }))
    .filter((each) => each.missing.length > 0);
  for (const each of left) console.error(`quiet: left out: ${each.name}: no ${each.missing.join(', ')}`);
  const works = wanted.filter((work) => missing(work).length === 0);
  // rings that bear what else may run on this machine
  const agent = await AgentProcess.start({ receiver: { ring_preset: 6 } });
  try {
    const seconds = minutes * 60;
    const done = await workFor(seconds, works, agent, folder);
    await sleep(COUNTERS_MILLIS);
    const metrics = await agent.metrics();
    const sumOf = (prefix: string) =>
      [...metrics].filter(([name]) => name.startsWith(prefix)).reduce((sum, [, value]) => sum + value, 0);
    const incomplete = sumOf('shikra_events_dropped_total{reason="read_failed"');
    const results = {
      machine: thisMachine(),
      minutes,
      events: sumOf('shikra_events_total'),
      lost: sumOf('shikra_events_dropped_total') - incomplete,
      incomplete,
      done,
      left,
    };
    const page = quietPage(results);
    console.log(page);
    if (output !== undefined) writeFileSync(output, page);
    const loud = done.flatMap(({ alerts }) => alerts).filter(isLoud);
    for (const { priority, rule, output: text } of loud) console.error(`quiet: ${priority} ${rule}: ${text}`);
    const failures = done.flatMap(({ failure }) => failure ?? []);
    for (const failure of failures) console.error(`quiet: ${failure}`);
    return loud.length + failures.length + results.lost > 0 ? 1 : 0;
  } finally {
    await agent.close();
    containers?.close();
  }
}

function isLoud({ priority }: Alert): boolean {
  return PRIORITIES.indexOf(priority as Priority) < NOTICE;
}

/** One piece of work after the other, again and again until the time is over; each at least once. */
async function workFor(
  seconds: number,
  works: readonly OrdinaryWork[],
  agent: AgentProcess,
  folder: string,
): Promise<WorkDone[]> {
  const done = new Map(works.map(({ name }) => [name, { name, runs: 0, alerts: [] } as WorkDone]));
  const end = performance.now() + seconds * 1000;
  for (let round = 0; round === 0 || performance.now() < end; round++) {
    for (const [index, work] of works.entries()) {
      if (round > 0 && performance.now() >= end) break;
      const entry = done.get(work.name)!;
      const at = join(folder, `${round}-${index}`);
      mkdirSync(at);
      const alerts = await agent.caused(async () => {
        try {
          await work.run(at);
        } catch (error) {
          entry.failure ??= `${work.name}: ${(error as Error).message}`;
        }
      });
      rmSync(at, { recursive: true, force: true });
      entry.runs++;
      entry.alerts.push(...alerts);
    }
    const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
    console.error(`quiet: all work done ${round + 1} times; ${left} s to go`);
  }
  return [...done.values()];
}

/** Containers without an engine, as an orchestrator's runtime starts them. */
function runcWork(containers: Containers): OrdinaryWork {
  return {
    name: 'runc: containers run, entered, stopped',
    needs: ['runc'],
    run: async () => {
      containers.run(['sh', '-c', 'ls / > /tmp/listing; cat /tmp/listing']);
      const id = containers.start();
      containers.exec(id, [
        'sh',
        '-c',
        'cp /tmp/listing /tmp/copied || true; cat /proc/cpuinfo > /dev/null; rm -f /tmp/copied',
      ]);
      containers.stop(id);
    },
  };
}

// The exit handlers end the agent and remove the folder: without this a Ctrl-C would leave both.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
process.exitCode = await main();
