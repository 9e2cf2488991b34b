import { type FieldReference, fieldText } from '../fields/catalogue.ts';
import type { TypedArgument, TypedCheck, TypedExpression, TypedField, TypedOperand } from './typed.ts';

/** What an expression is, told by a number: equal ones have one, whatever macros or rules they stand in. */
interface Identity {
  readonly number: number;
  /** The fields that it reads, by their text. */
  readonly fields: ReadonlyMap<string, TypedField>;
}

/** Some milliseconds' worth, the first time. */
const CONDITIONS_AT_ONCE = 20;

/** Tells equal conditions from different ones, across the event types of a rule set. */
export class Identities {
  readonly #byExpression = new Map<TypedExpression, Identity>();
  readonly #byKey = new Map<string, Identity>();
  readonly #functions = new Map<unknown, number>();

  /**
   * One text for all that an evaluator of some conditions is made from. Event types with the same text can share it. Stops after every few conditions.
   * @param readerOf the function that reads a field for the event type
   * @param coveredBy which subjects the field follows from, for the event type
   */
  *signature(
    conditions: readonly TypedExpression[],
    readerOf: (field: TypedField) => unknown,
    coveredBy: (reference: FieldReference) => string,
  ): Generator<undefined, string> {
    const fields = new Map<string, TypedField>();
    const parts: number[] = [];
    for (const condition of conditions) {
      const identity = this.#of(condition);
      for (const [text, field] of identity.fields) fields.set(text, field);
      if (parts.push(identity.number) % CONDITIONS_AT_ONCE === 0) yield;
    }
    const readers = [...fields].map(
      ([text, field]) => `${text} ${this.#functionNumber(readerOf(field))} ${coveredBy(field.reference)}`,
    );
    return [parts.join(' '), ...readers.sort()].join('\n');
  }

  #of(expression: TypedExpression): Identity {
    const known = this.#byExpression.get(expression);
    if (known !== undefined) return known;
    const operands = operandsOf(expression).map((operand) => this.#of(operand));
    const key = keyOf(expression, operands);
    let identity = this.#byKey.get(key);
    if (identity === undefined) {
      identity = { number: this.#byKey.size, fields: fieldsOf(expression, operands) };
      this.#byKey.set(key, identity);
    }
    this.#byExpression.set(expression, identity);
    return identity;
  }

  #functionNumber(read: unknown): number {
    let number = this.#functions.get(read);
    if (number === undefined) {
      number = this.#functions.size;
      this.#functions.set(read, number);
    }
    return number;
  }
}

/** What stands directly below an expression. */
export function operandsOf(expression: TypedExpression): readonly TypedExpression[] {
  if (expression.kind === 'and' || expression.kind === 'or') return expression.operands;
  return expression.kind === 'not' ? [expression.operand] : [];
}

/** The same for two expressions that mean the same, given the numbers of their operands. */
export function keyOf(expression: TypedExpression, operands: readonly { readonly number: number }[]): string {
  if (expression.kind === 'check') return checkKey(expression);
  if (expression.kind === 'constant') return String(expression.value);
  return `${expression.kind} ${operands.map(({ number }) => number).join(' ')}`;
}

/** The same for two operands that read the same. */
export function operandKey(argument: TypedArgument): string {
  switch (argument.kind) {
    case 'field':
      return fieldText(argument.reference);
    case 'literal':
      return JSON.stringify(argument.text);
    case 'list':
      return `(${argument.items.map(operandKey).join(',')})`;
    case 'transformer':
      return `${argument.name}(${argument.arguments.map(operandKey).join(',')})${argument.argument ?? ''}`;
  }
}

/** The fields that an operand is made of. */
export function fieldsIn(argument: TypedArgument): TypedField[] {
  switch (argument.kind) {
    case 'field':
      return [argument];
    case 'literal':
      return [];
    case 'list':
      return argument.items.flatMap(fieldsIn);
    case 'transformer':
      return argument.arguments.flatMap(fieldsIn);
  }
}

/** The one or two operands of a check. */
export function sidesOf(check: TypedCheck): TypedOperand[] {
  return check.right === undefined ? [check.left] : [check.left, check.right];
}

function checkKey({ left, operator, modifier, values, right }: TypedCheck): string {
  const constants = values.map((value) => (typeof value === 'bigint' ? `${value}n` : value));
  return JSON.stringify([operandKey(left), operator, modifier, constants, right && operandKey(right)]);
}

function fieldsOf(expression: TypedExpression, operands: readonly Identity[]): ReadonlyMap<string, TypedField> {
  if (expression.kind === 'check') {
    return new Map(
      sidesOf(expression)
        .flatMap(fieldsIn)
        .map((field) => [fieldText(field.reference), field]),
    );
  }
  if (operands.length === 1) return operands[0]!.fields;
  return new Map(operands.flatMap(({ fields }) => [...fields]));
}
