import { parseArgs } from 'node:util';
import { WORKLOADS, type Workload } from './workloads.ts';

export interface Options {
  readonly seconds: number;
  readonly rounds: number;
  readonly workloads: readonly Workload[];
  /** Where the page goes; undefined: nowhere, as a part of the workloads makes no page. */
  readonly output: string | undefined;
}

const PAGE = 'docs/benchmarks.md';

export const USAGE = `usage: npm run bench -- [options]      (as root)

Measures system call loops without Shikra, under empty programs on the same hooks, and under Shikra, and writes ${PAGE}.

  --seconds N    how long each loop runs each time (default 2)
  --rounds N     how often everything is repeated (default 5)
  --only NAME    one workload: ${WORKLOADS.map(({ name }) => name).join(', ')}; may be given several times; writes no page
  --output FILE  write the page there
  --help         this text
`;

/** Thrown for a mistake in the arguments; the message says which. */
export class UsageError extends Error {}

/** @returns undefined if help was asked for. @throws UsageError */
export function parseOptions(parameters: readonly string[]): Options | undefined {
  const values = parse(parameters);
  if (values.help) return undefined;
  const only = values.only ?? [];
  for (const name of only)
    if (!WORKLOADS.some((workload) => workload.name === name))
      throw new UsageError(
        `--only: expected one of ${WORKLOADS.map((workload) => workload.name).join(', ')}, got "${name}"`,
      );
  return {
    seconds: positive('seconds', values.seconds),
    rounds: Math.ceil(positive('rounds', values.rounds)),
    workloads: WORKLOADS.filter(({ name }) => only.length === 0 || only.includes(name)),
    output: values.output ?? (only.length === 0 ? PAGE : undefined),
  };
}

function parse(parameters: readonly string[]) {
  try {
    return parseArgs({
      args: [...parameters],
      options: {
        seconds: { type: 'string', default: '2' },
        rounds: { type: 'string', default: '5' },
        only: { type: 'string', multiple: true },
        output: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (!(number > 0 && Number.isFinite(number)))
    throw new UsageError(`--${option}: expected a number above 0, got "${text}"`);
  return number;
}
