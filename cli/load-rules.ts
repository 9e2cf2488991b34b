import {
  bundledRulesPath,
  type CheckedRule,
  loadRules,
  type Problem,
  type RuleFile,
  readRuleFiles,
} from '../rules/index.ts';

export interface LoadedRules {
  readonly files: readonly RuleFile[];
  readonly rules: readonly CheckedRule[];
  readonly problems: readonly Problem[];
}

/** Loads the rule files that a command line names, as one set. `bundled` is a folder's name like any other path. */
export async function loadRulePaths(paths: readonly string[]): Promise<LoadedRules> {
  const { files, problems: unreadable } = await readRuleFiles(rulePaths(paths));
  const { rules, problems } = loadRules(files);
  return { files, rules, problems: [...unreadable, ...problems] };
}

/** Puts the folder of the bundled rules in place of their name. */
export function rulePaths(paths: readonly string[]): string[] {
  return paths.map((path) => (path === 'bundled' ? bundledRulesPath() : path));
}

export function errorsOf(problems: readonly Problem[]): Problem[] {
  return problems.filter(({ severity }) => severity === 'error');
}
