import {
  type CheckedRule,
  formatProblem,
  loadRules,
  type Problem,
  type ReadResult,
  type RuleSelection,
} from '../../rules/index.ts';

export interface RulesRequest {
  /** Files and folders, in order. */
  readonly rulesFiles: readonly string[];
  readonly ruleSelection: readonly RuleSelection[];
  /** Whose rules are wanted; those of other sources are only checked. */
  readonly source: RuleSource;
  /** The rule files of every receiver in use, by the source of its events. */
  readonly receivers: Readonly<Partial<Record<RuleSource, readonly string[]>>>;
}

export type RuleSource = 'syscall' | 'k8s_audit';

export interface LoadedRules {
  /** Empty if there are errors. */
  readonly rules: readonly CheckedRule[];
  /** Each as text with its place. */
  readonly errors: readonly string[];
  readonly warnings: readonly Problem[];
}

/** Checks the rules of an agent. */
export function loadRulesFor({ ruleSelection }: Pick<RulesRequest, 'ruleSelection'>, read: ReadResult): LoadedRules {
  const { rules, problems } = loadRules(read.files, { selection: ruleSelection });
  const all = [...read.problems, ...problems];
  const errors = all.filter(({ severity }) => severity === 'error').map(formatProblem);
  const warnings = all.filter(({ severity }) => severity === 'warning');
  return { rules: errors.length > 0 ? [] : rules, errors, warnings };
}
