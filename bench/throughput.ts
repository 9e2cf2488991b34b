/**
 * `npm run bench:delivery`, as root: so many detections a second, from the kernel through the store and two exporters, and at both far ends each is looked for.
 * docs/delivery-benchmark.md is the page of a run.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { thisMachine } from './machine.ts';
import { buildPrograms, buildShikra } from './programs.ts';
import { deliveryPage, deliverySummary, failuresOf } from './throughput-page.ts';
import { DeliveryRun } from './throughput-run.ts';

const USAGE = `usage: npm run bench:delivery -- [options]      (as root)

Makes detections at a steady rate, by opening a file, beside an agent with the default rules that sends them to a receiver of OTLP and to a file. Exit
code 1 if one is missing at either end, or the agent takes more than 250 MB of memory.

  --rate N       detections a second (default 10000)
  --seconds N    how long (default 30)
  --output FILE  write a page of the results there, such as docs/delivery-benchmark.md
  --node-option OPTION  for the agent's node, such as --cpu-prof; may be given several times
  --help         this text
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rate: { type: 'string', default: '10000' },
      seconds: { type: 'string', default: '30' },
      output: { type: 'string' },
      'node-option': { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  });
  const [rate, seconds] = [Number(values.rate), Number(values.seconds)];
  if (values.help || !(Number.isInteger(rate) && rate > 0 && Number.isInteger(seconds) && seconds > 0)) {
    console[values.help ? 'log' : 'error'](USAGE);
    return values.help ? 0 : 2;
  }
  if (process.getuid?.() !== 0) {
    console.error('delivery: must run as root: it loads programs into the kernel');
    return 2;
  }
  buildShikra();
  buildPrograms();
  const machine = thisMachine();
  const folder = mkdtempSync(join(tmpdir(), 'shikra-delivery-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const run = await DeliveryRun.start(folder, values['node-option']);
  const results = await run.measure(rate, seconds).finally(() => run.stop());
  console.error(deliverySummary(results));
  const failures = failuresOf(results);
  for (const failure of failures) console.error(`delivery: ${failure}`);
  if (values.output !== undefined) writeFileSync(values.output, deliveryPage(machine, results));
  return failures.length === 0 ? 0 : 1;
}

// The exit handlers end the agent and remove the folder: without this a Ctrl-C would leave both.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
process.exitCode = await main();
