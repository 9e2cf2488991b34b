/** What a thread needs that runs rules and does not read them: no YAML, no file. */

export type { CheckedRule } from './language/compile.ts';
export { domainNamesOf } from './language/domain-names.ts';
export {
  type CompiledRule,
  compileRuleset,
  type Evaluator,
  type FieldResolver,
  type Measurer,
  type Ruleset,
} from './language/evaluate.ts';
export type { Meter } from './language/generate.ts';
export { globMatch } from './language/glob.ts';
export { createState, type RuleState } from './language/memory.ts';
export { type Subject, Verdicts } from './language/subject.ts';
