export { FIELDS, type FieldReference, type FoundField, fieldText, findField, holdsPath } from './fields/catalogue.ts';
export { EVENT_TYPES } from './fields/event-types.ts';
export type { ArgumentRule, FieldDefinition, FieldType, Multiplicity } from './fields/field.ts';
export { bundledRulesPath, type ReadResult, type RuleFile, readRuleFiles } from './files.ts';
export type {
  CheckedKey,
  CheckedRule,
  CheckedSequence,
  CheckedStep,
  CheckedThreshold,
} from './language/compile.ts';
export { domainNamesOf } from './language/domain-names.ts';
export {
  type CompiledRule,
  compileRuleset,
  conditionFields,
  type Evaluator,
  type FieldGetter,
  type FieldResolver,
  type Measurer,
  type RenderedOutput,
  type RuleEntry,
  type Ruleset,
  type RulesetOptions,
} from './language/evaluate.ts';
export type { Meter } from './language/generate.ts';
export { createState, type RuleMemory, type RuleState } from './language/memory.ts';
export { formatProblem, PROBLEMS, type Problem, type ProblemCode, type Severity } from './language/problem.ts';
export { type Subject, Verdicts } from './language/subject.ts';
export type {
  LiteralValue,
  TypedCheck,
  TypedExpression,
  TypedField,
  TypedOperand,
  TypedTransformer,
} from './language/typed.ts';
export { type LoadOptions, type LoadResult, loadRules, type RuleSelection } from './load.ts';
