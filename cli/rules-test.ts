import { readFile } from 'node:fs/promises';
import { bundledRulesPath, formatProblem, loadRules, type Problem, readRuleFiles } from '../rules/index.ts';
import { findTestFiles } from '../rules/testing/find-files.ts';
import { failed, formatReport } from '../rules/testing/report.ts';
import type { ReportFormat } from '../rules/testing/report-formats.ts';
import { runCases } from '../rules/testing/run-cases.ts';
import { readAudit } from './audit-reader.ts';
import { errorsOf, rulePaths } from './load-rules.ts';

export interface RulesTestOptions {
  /** Rule files that are loaded before those under test. */
  readonly rules?: readonly string[];
  readonly format: ReportFormat;
  readonly coverage?: boolean;
  readonly verbose?: boolean;
}

/** `shikra rules test`: runs the cases of rules. @returns the exit code */
export async function rulesTest(paths: readonly string[], options: RulesTestOptions): Promise<number> {
  const found = await findTestFiles(paths.length === 0 ? [bundledRulesPath()] : paths);
  const before = await readRuleFiles(rulePaths(options.rules ?? []));
  const tested = await readRuleFiles(found.rules);
  const { rules, problems } = loadRules([...before.files, ...tested.files]);
  const mistakes = errorsOf([...before.problems, ...tested.problems, ...problems]);
  if (mistakes.length > 0) return refuse(mistakes);

  const cases = await Promise.all(found.cases.map(async (path) => ({ path, text: await readFile(path, 'utf8') })));
  const report = runCases(rules, cases, { readAudit });
  if (report.problems.length > 0) return refuse(report.problems);
  if (report.results.length === 0) {
    console.error('shikra: no cases: they stand in a folder `cases` beside the rules (docs/rule-tests.md)');
    return 2;
  }
  const ofTested = new Set(tested.files.map(({ path }) => path));
  const isTested = new Set(rules.filter(({ place }) => ofTested.has(place.file.path)).map(({ name }) => name));
  const shown = { ...report, coverage: report.coverage.filter(({ rule }) => isTested.has(rule)) };
  const reportOptions = { coverage: options.coverage === true, verbose: options.verbose === true };
  console.log(formatReport(shown, options.format, reportOptions));
  return failed(shown, reportOptions) ? 1 : 0;
}

function refuse(problems: readonly Problem[]): number {
  console.error(problems.map(formatProblem).join('\n'));
  return 2;
}
