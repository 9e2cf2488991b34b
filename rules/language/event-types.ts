import { EVENT_TYPES } from '../fields/event-types.ts';
import type { TypedCheck, TypedExpression } from './typed.ts';

/** A set of event types: those named, or all but those named. */
interface TypeSet {
  readonly inverted: boolean;
  readonly names: ReadonlySet<string>;
}

/** For which event types an expression may be true, and for which it may be false. */
interface Possible {
  readonly true: TypeSet;
  readonly false: TypeSet;
}

const NO_TYPE: TypeSet = { inverted: false, names: new Set() };
const EVERY_TYPE: TypeSet = { inverted: true, names: new Set() };
const UNRESTRICTED: Possible = { true: EVERY_TYPE, false: EVERY_TYPE };

/**
 * Derives from the checks of `evt.type` for which events a condition can hold at all; every other check may go either way.
 * @returns undefined if the condition restricts no event type
 */
export function eventTypesOf(expression: TypedExpression): ReadonlySet<string> | undefined {
  const types = possible(expression, new Map()).true;
  if (!types.inverted) return types.names;
  return types.names.size === 0 ? undefined : EVENT_TYPES.difference(types.names);
}

/** True if the operand is the type of the event, so that the check is decided before any event is seen. */
export function namesEventType(check: TypedCheck): boolean {
  if (check.left.kind !== 'field' || check.right !== undefined) return false;
  const { name } = check.left.reference;
  return name === 'evt.type' || name === 'syscall.type' || name === 'evt.type.is';
}

/** What a field of the event's type holds for events of that type. */
export function eventTypeValue(check: TypedCheck, eventType: string): string | number {
  if (check.left.kind === 'field' && check.left.reference.name === 'evt.type.is') {
    return check.left.reference.argument === eventType ? 1 : 0;
  }
  return eventType;
}

function possible(expression: TypedExpression, known: Map<TypedExpression, Possible>): Possible {
  const before = known.get(expression);
  if (before !== undefined) return before;
  const result = derive(expression, known);
  known.set(expression, result);
  return result;
}

function derive(expression: TypedExpression, known: Map<TypedExpression, Possible>): Possible {
  switch (expression.kind) {
    case 'constant':
      return expression.value ? { true: EVERY_TYPE, false: NO_TYPE } : { true: NO_TYPE, false: EVERY_TYPE };
    case 'not': {
      const inner = possible(expression.operand, known);
      return { true: inner.false, false: inner.true };
    }
    case 'and': {
      const parts = expression.operands.map((operand) => possible(operand, known));
      return { true: intersect(parts.map((part) => part.true)), false: unite(parts.map((part) => part.false)) };
    }
    case 'or': {
      const parts = expression.operands.map((operand) => possible(operand, known));
      return { true: unite(parts.map((part) => part.true)), false: intersect(parts.map((part) => part.false)) };
    }
    case 'check':
      return fromCheck(expression);
  }
}

function fromCheck(check: TypedCheck): Possible {
  if (!namesEventType(check) || check.modifier !== undefined) return UNRESTRICTED;
  if (check.left.kind === 'field' && check.left.reference.name === 'evt.type.is') return UNRESTRICTED;
  const names = new Set(check.values.map(String));
  const named = { inverted: false, names };
  const others = { inverted: true, names };
  switch (check.operator) {
    case '=':
    case 'in':
    case 'intersects':
      return { true: named, false: others };
    case '!=':
      return { true: others, false: named };
    default:
      return UNRESTRICTED;
  }
}

function complement(set: TypeSet): TypeSet {
  return { inverted: !set.inverted, names: set.names };
}

function intersect(sets: readonly TypeSet[]): TypeSet {
  return sets.reduce(intersection, EVERY_TYPE);
}

function unite(sets: readonly TypeSet[]): TypeSet {
  return complement(intersect(sets.map(complement)));
}

function intersection(a: TypeSet, b: TypeSet): TypeSet {
  if (a.inverted && b.inverted) return { inverted: true, names: a.names.union(b.names) };
  if (a.inverted) return { inverted: false, names: b.names.difference(a.names) };
  if (b.inverted) return { inverted: false, names: a.names.difference(b.names) };
  return { inverted: false, names: a.names.intersection(b.names) };
}
