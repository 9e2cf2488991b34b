import type { FieldValue } from '../../collector/detection/detection.ts';
import type { Priority } from '../../collector/detection/priority.ts';
import { type FieldReference, fieldText } from '../fields/catalogue.ts';
import type { CheckedRule } from './compile.ts';
import { createFolder } from './fold.ts';
import { generateEvaluator } from './generate.ts';
import { type OutputFormat, valueText } from './output.ts';
import { type Problem, problemAt } from './problem.ts';
import type { Subject } from './subject.ts';
import { createTransformer } from './transform.ts';
import type { TypedArgument, TypedCheck, TypedExpression, TypedField, TypedOperand } from './typed.ts';

/** Reads one field of an event. Must not change the event, nor call the rules. */
export type FieldGetter<E> = (event: E) => FieldValue | undefined;

/**
 * How a source answers for its fields. Values: text for CHARBUF and FSPATH; numbers or bigints for numeric types; booleans for BOOL; IP addresses as
 * text in canonical form (RFC 5952); bytes as text with one character each; arrays of text for fields with several values.
 */
export interface FieldResolver<E> {
  /**
   * @param eventType undefined asks for a getter that does for every type, as outputs need
   * @returns undefined if the source does not collect the field for events of that type: every check of it is false
   */
  getter(field: FieldReference, eventType: string | undefined): FieldGetter<E> | undefined;
  /** What events share, if the source can tell: checks of a subject's fields alone are decided once for it. */
  readonly subjects?: readonly Subject<E>[];
}

/** Tells which rule matches: the first with an index of at least `from`, or -1. Allocates nothing. */
export type Evaluator<E> = (event: E, from: number) => number;

export interface RenderedOutput {
  readonly output: string;
  readonly fields: Record<string, FieldValue | null>;
}

/** A rule that can match events. */
export interface CompiledRule<E> {
  readonly name: string;
  readonly description: string;
  readonly priority: Priority;
  readonly source: string;
  readonly tags: readonly string[];
  readonly ruleset: string;
  readonly conditionText: string;
  readonly eventTypes: ReadonlySet<string> | undefined;
  /** Its place among the rules of the set: what an evaluator returns. */
  readonly index: number;
  /** Fills in the output for an event that matched. */
  render(event: E): RenderedOutput;
}

/** The enabled rules of one source, compiled for it. Immutable; a reload makes a new one. */
export interface Ruleset<E> {
  /** In the order of definition. */
  readonly rules: readonly CompiledRule<E>[];
  /** Event types that some rule names. */
  readonly eventTypes: ReadonlySet<string>;
  /** Some rule restricts no event type. */
  readonly matchesAnyType: boolean;
  /** Undefined if no rule can match events of this type: the source need not collect it. */
  evaluator(eventType: string): Evaluator<E> | undefined;
  /** What the source cannot give to the rules: each rule that is blind for it is named. */
  readonly warnings: readonly Problem[];
}

/** Tells the answers of one rule set from those of the one that it replaced. */
let generations = 0;

/**
 * Compiles rules for a source, once per load.
 * @param rules those of one source; disabled ones are left out
 * @param knownEventTypes the event types that the source can provide
 */
export function compileRuleset<E>(
  rules: readonly CheckedRule[],
  resolver: FieldResolver<E>,
  knownEventTypes: readonly string[],
): Ruleset<E> {
  const enabled = rules.filter((rule) => rule.enabled);
  const generation = generations++;
  const evaluators = new Map<string, Evaluator<E> | undefined>();
  const known = new Set(knownEventTypes);
  return {
    rules: enabled.map((rule, index) => compileRule(rule, index, resolver)),
    eventTypes: new Set(enabled.flatMap(({ eventTypes }) => (eventTypes === undefined ? [] : [...eventTypes]))),
    matchesAnyType: enabled.some(({ eventTypes }) => eventTypes === undefined),
    evaluator(eventType) {
      if (!evaluators.has(eventType))
        evaluators.set(
          eventType,
          compileEvaluator(enabled, resolver, { eventType, generation, evaluator: evaluators.size }),
        );
      return evaluators.get(eventType);
    },
    warnings: enabled.flatMap((rule) => warningsOf(rule, resolver, known)),
  };
}

function compileRule<E>(rule: CheckedRule, index: number, resolver: FieldResolver<E>): CompiledRule<E> {
  const { name, description, priority, source, tags, ruleset, conditionText, eventTypes } = rule;
  const render = createRenderer(rule.output, resolver);
  return { name, description, priority, source, tags, ruleset, conditionText, eventTypes, index, render };
}

function compileEvaluator<E>(
  rules: readonly CheckedRule[],
  resolver: FieldResolver<E>,
  place: { eventType: string; generation: number; evaluator: number },
): Evaluator<E> | undefined {
  const { eventType } = place;
  const reader = createReader(resolver, eventType);
  const fold = createFolder(eventType, (check) => sidesOf(check).every((side) => reader(side) !== undefined));
  const conditions = rules.map(
    ({ eventTypes, condition }): TypedExpression =>
      eventTypes?.has(eventType) === false ? { kind: 'constant', value: false } : fold(condition),
  );
  if (conditions.every((condition) => condition.kind === 'constant' && !condition.value)) return undefined;
  return generateEvaluator(conditions, (operand) => reader(operand)!, { ...place, subjects: resolver.subjects ?? [] });
}

function sidesOf(check: TypedCheck): TypedOperand[] {
  return check.right === undefined ? [check.left] : [check.left, check.right];
}

/** Finds the reader of a field, transformer or constant; undefined if it can have no value. Asks the resolver once for each field. */
function createReader<E>(resolver: FieldResolver<E>, eventType: string | undefined) {
  const getters = new Map<string, FieldGetter<E> | undefined>();

  function fieldReader({ reference }: TypedField): FieldGetter<E> | undefined {
    if (eventType !== undefined && (reference.name === 'evt.type' || reference.name === 'syscall.type')) {
      return () => eventType;
    }
    const key = fieldText(reference);
    if (!getters.has(key)) getters.set(key, resolver.getter(reference, eventType));
    return getters.get(key);
  }

  return function reader(argument: TypedArgument): FieldGetter<E> | undefined {
    switch (argument.kind) {
      case 'field':
        return fieldReader(argument);
      case 'transformer':
        return createTransformer(argument, reader);
      case 'literal':
        return () => argument.text;
      case 'list':
        return undefined;
    }
  };
}

function createRenderer<E>(output: OutputFormat, resolver: FieldResolver<E>): (event: E) => RenderedOutput {
  const reader = createReader(resolver, undefined);
  const parts = output.parts.map((part) => {
    if (typeof part === 'string') return part;
    return { key: part.key, width: part.width, isField: part.operand.kind === 'field', get: reader(part.operand) };
  });
  const innerFields = fieldsInTransformers(output).map((field) => ({
    key: fieldText(field.reference),
    get: reader(field),
  }));
  return (event) => {
    const fields: Record<string, FieldValue | null> = {};
    for (const { key, get } of innerFields) fields[key] = get?.(event) ?? null;
    let text = '';
    for (const part of parts) {
      if (typeof part === 'string') {
        text += part;
        continue;
      }
      const value = part.get?.(event);
      text += valueText(value, part.width);
      if (part.isField) fields[part.key] = value ?? null;
    }
    return { output: text, fields };
  };
}

/** A transformed value is not reported as a field, the fields that it is made of are. */
function fieldsInTransformers(output: OutputFormat): TypedField[] {
  return output.parts.flatMap((part) =>
    typeof part === 'string' || part.operand.kind === 'field' ? [] : fieldsOf(part.operand),
  );
}

function fieldsOf(argument: TypedArgument): TypedField[] {
  if (argument.kind === 'literal') return [];
  if (argument.kind === 'field') return [argument];
  return (argument.kind === 'list' ? argument.items : argument.arguments).flatMap(fieldsOf);
}

/** Warns of fields and event types that a rule needs and the source does not have: it would be silent without a word. */
function warningsOf<E>(rule: CheckedRule, resolver: FieldResolver<E>, known: ReadonlySet<string>): Problem[] {
  const warnings: Problem[] = [];
  const warn = (code: Problem['code'], message: string) => {
    warnings.push(problemAt(code, message, rule.place, { rule: rule.name }));
  };
  const types = rule.eventTypes === undefined ? [...known] : [...rule.eventTypes];
  const missingTypes = types.filter((type) => !known.has(type));
  if (missingTypes.length > 0) {
    warn(
      'LOAD_EVENT_NOT_COLLECTED',
      `events of type ${missingTypes.join(', ')} are not collected: the rule does not see them`,
    );
  }
  const provided = types.filter((type) => known.has(type));
  if (provided.length === 0) return warnings;
  for (const [key, field] of conditionFields(rule.condition)) {
    if (isTypeField(field) || isCollectedSomewhere(field, provided, resolver)) continue;
    warn('LOAD_FIELD_NOT_COLLECTED', `field '${key}' is not collected: every check of it is false`);
  }
  return warnings;
}

function isTypeField({ reference }: TypedField): boolean {
  return ['evt.type', 'syscall.type', 'evt.type.is'].includes(reference.name);
}

function isCollectedSomewhere<E>(
  { reference }: TypedField,
  types: readonly string[],
  resolver: FieldResolver<E>,
): boolean {
  return [undefined, ...types].some((type) => resolver.getter(reference, type) !== undefined);
}

/** Every field of a condition, once, by its text. */
export function conditionFields(condition: TypedExpression): Map<string, TypedField> {
  const fields = new Map<string, TypedField>();
  const seen = new Set<TypedExpression>();
  const visit = (expression: TypedExpression) => {
    if (seen.has(expression)) return;
    seen.add(expression);
    if (expression.kind === 'not') visit(expression.operand);
    else if (expression.kind === 'and' || expression.kind === 'or') expression.operands.forEach(visit);
    else if (expression.kind === 'check') {
      for (const field of sidesOf(expression).flatMap(fieldsOf)) fields.set(fieldText(field.reference), field);
    }
  };
  visit(condition);
  return fields;
}
