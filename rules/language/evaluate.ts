import type { FieldValue } from '../../collector/detection/detection.ts';
import type { Priority } from '../../collector/detection/priority.ts';
import { COUNT_FIELD, type FieldReference, fieldText } from '../fields/catalogue.ts';
import type { CheckedRule } from './compile.ts';
import { createFolder } from './fold.ts';
import { type GeneratedEvaluator, generateEvaluator, type Meter } from './generate.ts';
import { fieldsIn, Identities, sidesOf } from './identity.ts';
import type { RuleMemory } from './memory.ts';
import { type OutputFormat, valueText } from './output.ts';
import { type Problem, problemAt } from './problem.ts';
import type { Subject } from './subject.ts';
import { createTransformer } from './transform.ts';
import type { TypedArgument, TypedCheck, TypedExpression, TypedField } from './typed.ts';

/** Reads one field of an event. Must not change the event, nor call the rules. */
export type FieldGetter<E> = (event: E) => FieldValue | undefined;

/**
 * How a source answers for its fields. Values: text for CHARBUF and FSPATH; numbers or bigints for numeric types; booleans for BOOL; IP addresses as
 * text in canonical form (RFC 5952); bytes as text with one character each; arrays of text for fields with several values.
 */
export interface FieldResolver<E> {
  /**
   * @param eventType undefined asks for a getter that does for every type, as outputs need. Types for which every field has the same getter (the
   *   same function) can share an evaluator
   * @returns undefined if the source does not collect the field for events of that type: every check of it is false
   */
  getter(field: FieldReference, eventType: string | undefined): FieldGetter<E> | undefined;
  /** What events share, if the source can tell: checks of a subject's fields alone are decided once for it. */
  readonly subjects?: readonly Subject<E>[];
}

/** Tells which entry matches: the first with an index of at least `from`, or -1. Allocates nothing. */
export type Evaluator<E> = (event: E, from: number) => number;

/** The same, and notes what each entry that it tries costs. */
export type Measurer<E> = (event: E, from: number, meter: Meter) => number;

/** Runs the code in steps, for an event that did not happen: what runs for the first time is compiled then. No event may be evaluated in between. */
export type Rehearser<E> = (event: E) => Generator<undefined, void>;

/** A condition that an evaluator tries: that of a rule, or that of an earlier step of its sequence. */
export interface RuleEntry {
  /** Index of the rule. */
  readonly rule: number;
  /** Number of the step, counted from 0; undefined for the condition that makes the rule fire. */
  readonly step: number | undefined;
}

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
  /** Of a rule over several events: what it must remember. */
  readonly memory: RuleMemory<E> | undefined;
}

/** The enabled rules of one source, compiled for it. Immutable but for `count`; a reload makes a new one. */
export interface Ruleset<E> {
  /** In the order of definition; with memory, those over several events after the others. */
  readonly rules: readonly CompiledRule<E>[];
  /** By the index that evaluators return: the rules, then the earlier steps of their sequences, the later first. */
  readonly entries: readonly RuleEntry[];
  /** How many of the rules look at one event alone; they come first. */
  readonly singleCount: number;
  /** What `%shikra.count` shows in the next output. */
  count: number;
  /** Event types that some rule names. */
  readonly eventTypes: ReadonlySet<string>;
  /** Some rule restricts no event type. */
  readonly matchesAnyType: boolean;
  /** Whether some rule can match events of this type: else the source need not collect it. Takes a fraction of what the evaluator does. */
  wants(eventType: string): boolean;
  /** Undefined if no rule can match events of this type. */
  evaluator(eventType: string): Evaluator<E> | undefined;
  /** Undefined where {@link evaluator} is. */
  measurer(eventType: string): Measurer<E> | undefined;
  /** Undefined where {@link evaluator} is. */
  rehearser(eventType: string): Rehearser<E> | undefined;
  /**
   * Whether some condition could hold for an event of the type of which checks come to what `known` says. Never false for one that can.
   * @param known undefined where the event decides
   */
  couldMatch(eventType: string, known: (check: TypedCheck) => boolean | undefined): boolean;
  /** Does in small steps what the first call of {@link evaluator} would do at once. */
  prepare(eventType: string): Generator<undefined, void>;
  /** What the source cannot give to the rules: each rule that is blind for it is named. */
  readonly warnings: readonly Problem[];
  /** Forgets the rules as they were written, which take more memory than all that runs. Only types that were compiled can be asked for from then on. */
  settle(): void;
}

/** Tells the answers of one rule set from those of the one that it replaced. */
let generations = 0;

export interface RulesetOptions {
  /**
   * Whether the caller remembers what it saw: rules over several events then stand after the others, and the steps of their sequences are entries.
   * Without it they are what Falco would take them for: rules that fire whenever their condition holds.
   */
  readonly withMemory?: boolean;
}

/**
 * Compiles rules for a source, once per load.
 * @param rules those of one source; disabled ones are left out
 * @param knownEventTypes the event types that the source can provide
 */
export function compileRuleset<E>(
  rules: readonly CheckedRule[],
  resolver: FieldResolver<E>,
  knownEventTypes: readonly string[],
  { withMemory = false }: RulesetOptions = {},
): Ruleset<E> {
  let enabled = rules.filter((rule) => rule.enabled);
  const [single, several] = withMemory
    ? [enabled.filter((rule) => !hasMemory(rule)), enabled.filter(hasMemory)]
    : [enabled, []];
  const ordered = [...single, ...several];
  let conditions: Condition[] = [...ordered];
  const entries: RuleEntry[] = ordered.map((_, rule) => ({ rule, step: undefined }));
  for (const [index, { sequence }] of several.entries()) {
    // Later steps first, as one event must not be two steps.
    for (const [step, condition] of [...(sequence?.steps ?? []).entries()].reverse()) {
      conditions.push(condition);
      entries.push({ rule: single.length + index, step });
    }
  }
  const generation = generations++;
  const evaluators = new Map<string, GeneratedEvaluator<E> | undefined>();
  let shared: SharedEvaluators<E> = { identities: new Identities(), bySignature: new Map() };
  let isSettled = false;
  const insistUnsettled = (what: string) => {
    if (isSettled) throw new Error(`${what} were not asked for before the rules were settled`);
  };
  const folded = new Map<string, FoldedConditions<E>>();
  const fold = (eventType: string, known?: (check: TypedCheck) => boolean | undefined) => {
    insistUnsettled(`events of type ${eventType}`);
    return foldFor(eventType, conditions, resolver, known);
  };
  const foldedFor = (eventType: string) => {
    let found = folded.get(eventType);
    if (found === undefined) {
      found = fold(eventType);
      folded.set(eventType, found);
    }
    return found;
  };
  function* prepare(eventType: string): Generator<undefined, void> {
    if (evaluators.has(eventType)) return;
    const parts = { ...foldedFor(eventType), resolver, eventType, generation };
    yield;
    evaluators.set(eventType, yield* compileEvaluator(parts, shared));
    folded.delete(eventType); // it has served
  }
  const generated = (eventType: string) => {
    for (const _ of prepare(eventType));
    return evaluators.get(eventType);
  };
  let warnings: readonly Problem[] | undefined;
  const ruleset: Ruleset<E> = {
    rules: ordered.map((rule, index) => compileRule(rule, index, resolver, () => ruleset.count)),
    entries,
    singleCount: single.length,
    count: 1,
    eventTypes: new Set(conditions.flatMap(({ eventTypes }) => (eventTypes === undefined ? [] : [...eventTypes]))),
    matchesAnyType: conditions.some(({ eventTypes }) => eventTypes === undefined),
    wants: (eventType) =>
      evaluators.has(eventType)
        ? evaluators.get(eventType) !== undefined
        : foldedFor(eventType).conditions.some(canHold),
    evaluator: (eventType) => generated(eventType)?.evaluate,
    measurer: (eventType) => generated(eventType)?.measure,
    rehearser: (eventType) => generated(eventType)?.rehearse,
    couldMatch: (eventType, known) => fold(eventType, known).conditions.some(canHold),
    prepare,
    get warnings() {
      if (warnings !== undefined) return warnings;
      insistUnsettled('warnings');
      const known = new Set(knownEventTypes);
      warnings = enabled.flatMap((rule) => warningsOf(rule, resolver, known));
      return warnings;
    },
    settle() {
      isSettled = true;
      enabled = [];
      conditions = [];
      shared = { identities: new Identities(), bySignature: new Map() };
      folded.clear();
    },
  };
  return ruleset;
}

/** What a condition and the steps of a sequence have in common. */
type Condition = Pick<CheckedRule, 'condition' | 'eventTypes'>;

function hasMemory({ threshold, sequence }: CheckedRule): boolean {
  return threshold !== undefined || sequence !== undefined;
}

function compileRule<E>(
  rule: CheckedRule,
  index: number,
  resolver: FieldResolver<E>,
  count: () => number,
): CompiledRule<E> {
  const { name, description, priority, source, tags, ruleset, conditionText, eventTypes } = rule;
  const render = createRenderer(rule.output, resolver, count);
  const memory = memoryOf(rule, resolver);
  return { name, description, priority, source, tags, ruleset, conditionText, eventTypes, index, render, memory };
}

/** Outside conditions fields are read for events of any type. */
function memoryOf<E>(rule: CheckedRule, resolver: FieldResolver<E>): RuleMemory<E> | undefined {
  const { threshold, sequence } = rule;
  const by = threshold?.by ?? sequence?.by;
  if (by === undefined) return undefined;
  const reader = createReader(resolver, undefined);
  const getters = by.map(({ operand }) => reader(operand));
  const keyOf = (event: E) => keyText(getters, event);
  const texts = by.map(({ text }) => text);
  if (threshold !== undefined) {
    const { count, windowNs } = threshold;
    return { kind: 'threshold', count, windowNs, keyOf, signature: signatureOf(rule, [count, windowNs, texts]) };
  }
  const { withinNs, steps } = sequence!;
  const stepTexts = steps.map(({ conditionText }) => conditionText);
  const signature = signatureOf(rule, [withinNs, texts, stepTexts]);
  return { kind: 'sequence', steps: steps.length + 1, withinNs, keyOf, signature };
}

function signatureOf({ name, conditionText }: CheckedRule, rest: unknown): string {
  return JSON.stringify([name, conditionText, rest]);
}

/** The values of a key as one text; a missing value is a value of its own. */
function keyText<E>(getters: readonly (FieldGetter<E> | undefined)[], event: E): string {
  let key = '';
  for (const getter of getters) {
    const value = getter?.(event);
    key += value === undefined ? '\u0001' : String(value);
    key += '\u0000';
  }
  return key;
}

interface FoldedConditions<E> {
  readonly conditions: readonly TypedExpression[];
  readonly reader: (argument: TypedArgument) => FieldGetter<E> | undefined;
}

/** The conditions of rules as they are for events of one type. */
function foldFor<E>(
  eventType: string,
  rules: readonly Condition[],
  resolver: FieldResolver<E>,
  known?: (check: TypedCheck) => boolean | undefined,
): FoldedConditions<E> {
  const reader = createReader(resolver, eventType);
  const isCollected = (check: TypedCheck) => sidesOf(check).every((side) => reader(side) !== undefined);
  const fold = createFolder(eventType, isCollected, known);
  const conditions = rules.map(
    ({ eventTypes, condition }): TypedExpression =>
      eventTypes?.has(eventType) === false ? { kind: 'constant', value: false } : fold(condition),
  );
  return { conditions, reader };
}

function canHold(condition: TypedExpression): boolean {
  return condition.kind !== 'constant' || condition.value;
}

/** The evaluators of a rule set by what they are made from. Many event types mean the same to the rules: open and openat, execve and execveat. */
interface SharedEvaluators<E> {
  readonly identities: Identities;
  /** The number is the evaluator's in the set; it is taken before the evaluator is there. */
  readonly bySignature: Map<string, { readonly number: number; evaluator: GeneratedEvaluator<E> | undefined }>;
}

interface EvaluatorParts<E> extends FoldedConditions<E> {
  readonly resolver: FieldResolver<E>;
  readonly eventType: string;
  readonly generation: number;
}

function* compileEvaluator<E>(
  { conditions, reader, resolver, eventType, generation }: EvaluatorParts<E>,
  { identities, bySignature }: SharedEvaluators<E>,
): Generator<undefined, GeneratedEvaluator<E> | undefined> {
  if (!conditions.some(canHold)) return undefined;
  const { subjects = [] } = resolver;
  const coveredBy = (field: FieldReference) => subjects.map((subject) => subject.covers(field, eventType)).join();
  const signature = yield* identities.signature(conditions, reader, coveredBy);
  const known = bySignature.get(signature);
  if (known?.evaluator !== undefined) return known.evaluator;
  const place = known ?? { number: bySignature.size, evaluator: undefined };
  bySignature.set(signature, place);
  yield;
  const parts = { subjects, eventType, generation, evaluator: place.number };
  place.evaluator = yield* generateEvaluator(conditions, (operand) => reader(operand)!, parts);
  return place.evaluator;
}

/** Finds the reader of a field, transformer or constant; undefined if it can have no value. Asks the resolver once for each field. */
function createReader<E>(resolver: FieldResolver<E>, eventType: string | undefined, count?: () => number) {
  const getters = new Map<string, FieldGetter<E> | undefined>();

  function fieldReader({ reference }: TypedField): FieldGetter<E> | undefined {
    if (eventType !== undefined && (reference.name === 'evt.type' || reference.name === 'syscall.type')) {
      return () => eventType;
    }
    if (reference.name === COUNT_FIELD) return count;
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

function createRenderer<E>(
  output: OutputFormat,
  resolver: FieldResolver<E>,
  count: () => number,
): (event: E) => RenderedOutput {
  const reader = createReader(resolver, undefined, count);
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
    typeof part === 'string' || part.operand.kind === 'field' ? [] : fieldsIn(part.operand),
  );
}

/** Warns of fields and event types that a rule needs and the source does not have: it would be silent without a word. */
function warningsOf<E>(rule: CheckedRule, resolver: FieldResolver<E>, known: ReadonlySet<string>): Problem[] {
  const warnings: Problem[] = [];
  const warn = (code: Problem['code'], message: string) => {
    warnings.push(problemAt(code, message, rule.place, { rule: rule.name }));
  };
  const conditions: readonly Condition[] = [...(rule.sequence?.steps ?? []), rule];
  const types = conditions.some(({ eventTypes }) => eventTypes === undefined)
    ? [...known]
    : [...new Set(conditions.flatMap(({ eventTypes }) => [...eventTypes!]))];
  const missingTypes = types.filter((type) => !known.has(type));
  if (missingTypes.length > 0) {
    warn(
      'LOAD_EVENT_NOT_COLLECTED',
      `events of type ${missingTypes.join(', ')} are not collected: the rule does not see them`,
    );
  }
  const provided = types.filter((type) => known.has(type));
  if (provided.length === 0) return warnings;
  const fields = new Map(conditions.flatMap(({ condition }) => [...conditionFields(condition)]));
  for (const { operand } of rule.threshold?.by ?? rule.sequence?.by ?? []) {
    for (const field of fieldsIn(operand)) fields.set(fieldText(field.reference), field);
  }
  for (const [key, field] of fields) {
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
      for (const field of sidesOf(expression).flatMap(fieldsIn)) fields.set(fieldText(field.reference), field);
    }
  };
  visit(condition);
  return fields;
}
