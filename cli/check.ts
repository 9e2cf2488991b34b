import { formatProblem, type Problem } from '../rules/index.ts';
import { formatLoadResults } from './check-json.ts';
import { knownSources } from './collected.ts';
import { loadRulePaths } from './load-rules.ts';

export interface CheckOptions {
  readonly json?: boolean;
  /** Warnings fail too. */
  readonly strict?: boolean;
}

/** `shikra check`: all that is wrong with rule files. @returns the exit code */
export async function check(paths: readonly string[], options: CheckOptions): Promise<number> {
  const { files, rules, problems: mistakes } = await loadRulePaths(paths);
  const { sources, missing } = await knownSources();
  const problems = sorted([...mistakes, ...sources.flatMap((source) => source.warnings(rules))]);
  if (options.json) console.log(formatLoadResults(files, problems));
  else {
    if (missing !== undefined) {
      console.error(`shikra: which fields and events of system calls are collected cannot be said: ${missing}`);
    }
    for (const problem of problems) console.log(formatProblem(problem));
    console.log(summary(problems, files.length, rules.length));
  }
  return exitCode(problems, options.strict === true);
}

/** A file that cannot be read is bad usage; what stands in one is a finding. */
function exitCode(problems: readonly Problem[], strict: boolean): 0 | 1 | 2 {
  if (problems.some(({ code }) => code === 'LOAD_ERR_FILE_READ')) return 2;
  return problems.some(({ severity }) => strict || severity === 'error') ? 1 : 0;
}

/** By file, in the order of loading, and line. */
function sorted(problems: readonly Problem[]): Problem[] {
  const order = new Map<string, number>();
  for (const { file } of problems) if (!order.has(file)) order.set(file, order.size);
  return problems.toSorted((a, b) => order.get(a.file)! - order.get(b.file)! || a.line - b.line || a.column - b.column);
}

function summary(problems: readonly Problem[], files: number, rules: number): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const found = `${count(errors, 'error')}, ${count(problems.length - errors, 'warning')}`;
  return `${found}; ${count(rules, 'rule')} in ${count(files, 'file')} can be used`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
