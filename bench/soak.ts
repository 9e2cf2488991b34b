/**
 * `npm run soak`, as root: short processes and containers come and go beside the agent for ten minutes, and its memory, tables and file descriptors are watched.
 * docs/soak.md is the page of a run.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { thisMachine } from './machine.ts';
import { cellsOf, soakPage } from './soak-page.ts';
import { failuresOf, soak } from './soak-run.ts';

const USAGE = `usage: npm run soak -- [options]      (as root)

Exit code 1 if the agent's memory grows by 1 MB a minute or more after the first minute, or if it keeps entries of processes or containers that
are gone, or file descriptors.

  --minutes N               how long (default 10)
  --processes-per-second N  default 200
  --output FILE             write a page of the results there, such as docs/soak.md
  --help                    this text
`;
const SAMPLE_SECONDS = 5;
const CONTAINERS_PER_SECOND = 2;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      'processes-per-second': { type: 'string', default: '200' },
      output: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const minutes = Number(values.minutes);
  const processesPerSecond = Number(values['processes-per-second']);
  if (values.help || !(minutes > 0) || !(processesPerSecond >= 1)) {
    console[values.help ? 'log' : 'error'](USAGE);
    return values.help ? 0 : 2;
  }
  if (process.getuid?.() !== 0) {
    console.error('soak: must run as root: it loads programs into the kernel');
    return 2;
  }
  const options = {
    seconds: minutes * 60,
    sampleSeconds: SAMPLE_SECONDS,
    processesPerSecond,
    containersPerSecond: CONTAINERS_PER_SECOND,
  };
  const machine = thisMachine();
  const results = await soak({
    ...options,
    onSample(sample) {
      const [seconds, megabytes, descriptors, processes, containers] = cellsOf(sample);
      console.error(
        `${seconds} s: ${megabytes} MB, ${descriptors} descriptors, ${processes} processes, ${containers} containers`,
      );
    },
  });
  const page = soakPage(machine, options, results);
  console.log(page);
  if (values.output !== undefined) writeFileSync(values.output, page);
  const failures = failuresOf(results);
  for (const failure of failures) console.error(`soak: ${failure}`);
  return failures.length > 0 ? 1 : 0;
}

// The agent is killed when this program exits: without this a Ctrl-C would leave it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
process.exitCode = await main();
