export { FIELDS, type FieldReference, type FoundField, fieldText, findField, holdsPath } from './fields/catalogue.ts';
export { EVENT_TYPES } from './fields/event-types.ts';
export type { ArgumentRule, FieldDefinition, FieldType, Multiplicity } from './fields/field.ts';
export type { CheckedRule } from './language/compile.ts';
export {
  type CompiledRule,
  compileRuleset,
  conditionFields,
  type Evaluator,
  type FieldGetter,
  type FieldResolver,
  type RenderedOutput,
  type Ruleset,
} from './language/evaluate.ts';
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
export {
  bundledRulesPath,
  type LoadOptions,
  type LoadResult,
  loadRules,
  type ReadResult,
  type RuleFile,
  readRuleFiles,
} from './load.ts';
