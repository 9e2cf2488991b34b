import type { FieldValue } from '../../collector/detection/detection.ts';
import { createMatcher, numberSet } from './match.ts';
import type { TypedCheck, TypedOperand } from './typed.ts';
import { classOf } from './types.ts';

/** A set costs more than a few comparisons do. */
const MOST_COMPARISONS = 3;

/** Writes checks as JavaScript: the common ones as code of their own, all else as a call of a matcher. A variable `t` must be in reach. */
export class CheckCode {
  readonly #value: (operand: TypedOperand) => string;
  readonly #constant: (value: unknown) => string;

  /**
   * @param value the code that reads an operand
   * @param constant the code that names a value, which is never written out
   */
  constructor(value: (operand: TypedOperand) => string, constant: (value: unknown) => string) {
    this.#value = value;
    this.#constant = constant;
  }

  /** An expression that is true if the check holds. */
  code(check: TypedCheck): string {
    const value = this.#value(check.left);
    if (check.operator === 'exists') return `(${value} !== undefined)`;
    if (check.right !== undefined) return this.#comparison(check, value, this.#value(check.right));
    const inline =
      check.left.multiplicity === 'one' && check.modifier === undefined ? this.#inline(check, value) : undefined;
    return inline ?? `((t = ${value}) !== undefined && ${this.#constant(createMatcher(check))}(t))`;
  }

  /** The common checks as code; everything else goes through a matcher. */
  #inline(check: TypedCheck, value: string): string | undefined {
    switch (classOf(check.left.type)) {
      case 'string':
      case 'bytes':
      case 'address':
        return this.#inlineString(check, value);
      case 'number':
        return this.#inlineNumber(check, value);
      case 'boolean':
        return this.#inlineBoolean(check, value);
      case 'network':
        return undefined;
    }
  }

  #inlineString({ operator, values }: TypedCheck, value: string): string | undefined {
    const first = () => this.#constant(values[0]);
    switch (operator) {
      case '=':
        return `(${value} === ${first()})`;
      case '!=':
        return `((t = ${value}) !== undefined && t !== ${first()})`;
      case 'in':
      case 'intersects':
        return this.#membership(value, values, '===');
      case 'contains':
      case 'bcontains':
        return `((t = ${value}) !== undefined && t.includes(${first()}))`;
      case 'startswith':
      case 'bstartswith':
        return `((t = ${value}) !== undefined && t.startsWith(${first()}))`;
      case 'endswith':
        return `((t = ${value}) !== undefined && t.endsWith(${first()}))`;
      default:
        return undefined;
    }
  }

  /** Loose equality, because 5n and 5 are the same number; a missing value equals none and orders with none. */
  #inlineNumber({ operator, values }: TypedCheck, value: string): string | undefined {
    const first = numberText(values[0]);
    switch (operator) {
      case '=':
        return `(${value} == ${first})`;
      case '!=':
        return `((t = ${value}) !== undefined && t != ${first})`;
      case 'in':
      case 'intersects':
        return this.#membership(value, values, '==');
      default:
        return `(${value} ${operator} ${first})`;
    }
  }

  #inlineBoolean({ operator, values }: TypedCheck, value: string): string | undefined {
    if (values.length !== 1) return undefined;
    const wanted = operator === '!=' ? !values[0] : Boolean(values[0]);
    return `(${value} === ${wanted})`;
  }

  #membership(value: string, values: readonly unknown[], equals: '===' | '=='): string {
    if (values.length === 0) return 'false';
    const isNumber = equals === '==';
    if (values.length > MOST_COMPARISONS) {
      const set = isNumber ? numberSet(values as readonly number[]) : new Set(values);
      return `${this.#constant(set)}.has(${value})`;
    }
    const constants = values.map((each) => (isNumber ? numberText(each) : this.#constant(each)));
    const [first, ...rest] = constants;
    return `((t = ${value}) ${equals} ${first}${rest.map((each) => ` || t ${equals} ${each}`).join('')})`;
  }

  /** Field against field: both must be there. */
  #comparison({ operator }: TypedCheck, left: string, right: string): string {
    return `((t = ${left}) !== undefined && ${this.#constant(comparerOf(operator))}(t, ${right}))`;
  }
}

type Compare = (a: FieldValue, b: FieldValue) => boolean;

/** Not a method: what is written in one holds the instance, and with it the rules that the code was made from. */
function comparerOf(operator: TypedCheck['operator']): (a: FieldValue, b: FieldValue | undefined) => boolean {
  const compare = presentComparer(operator);
  return (a, b) => b !== undefined && compare(a, b);
}

function presentComparer(operator: TypedCheck['operator']): Compare {
  switch (operator) {
    case '!=':
      // biome-ignore lint/suspicious/noDoubleEquals: 5n and 5 are the same number
      return (a, b) => a != b;
    case '<':
      return (a, b) => a < b;
    case '<=':
      return (a, b) => a <= b;
    case '>':
      return (a, b) => a > b;
    case '>=':
      return (a, b) => a >= b;
    case 'contains':
    case 'bcontains':
      return (a, b) => String(a).includes(String(b));
    case 'icontains':
      return (a, b) => String(a).toLowerCase().includes(String(b).toLowerCase());
    case 'startswith':
    case 'bstartswith':
      return (a, b) => String(a).startsWith(String(b));
    case 'endswith':
      return (a, b) => String(a).endsWith(String(b));
    default:
      // biome-ignore lint/suspicious/noDoubleEquals: 5n and 5 are the same number
      return (a, b) => a == b;
  }
}

/** A number as code; the checker made sure that it is one. */
function numberText(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'number') throw new TypeError(`not a number: ${typeof value}`);
  return String(value);
}
