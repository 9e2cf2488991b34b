import { eventTypeValue, namesEventType } from './event-types.ts';
import { createMatcher } from './match.ts';
import type { TypedCheck, TypedConstant, TypedExpression } from './typed.ts';

const TRUE: TypedConstant = { kind: 'constant', value: true };
const FALSE: TypedConstant = { kind: 'constant', value: false };

/**
 * Simplifies a condition for events of one type: checks of the type become constants, checks of what the source does not collect become false.
 * @param isCollected whether the fields of a check are collected for events of the type
 * @param known what a check comes to for all events in question; undefined where that depends
 */
export function createFolder(
  eventType: string,
  isCollected: (check: TypedCheck) => boolean,
  known: (check: TypedCheck) => boolean | undefined = () => undefined,
) {
  const done = new Map<TypedExpression, TypedExpression>();

  function fold(expression: TypedExpression): TypedExpression {
    const before = done.get(expression);
    if (before !== undefined) return before;
    const folded = derive(expression);
    done.set(expression, folded);
    return folded;
  }

  function derive(expression: TypedExpression): TypedExpression {
    switch (expression.kind) {
      case 'constant':
        return expression;
      case 'not':
        return negate(fold(expression.operand));
      case 'and':
        return join('and', expression.operands, TRUE, FALSE);
      case 'or':
        return join('or', expression.operands, FALSE, TRUE);
      case 'check':
        return foldCheck(expression);
    }
  }

  /** Leaves out operands that change nothing; one that decides is the whole. */
  function join(
    kind: 'and' | 'or',
    operands: readonly TypedExpression[],
    neutral: TypedConstant,
    deciding: TypedConstant,
  ): TypedExpression {
    const kept: TypedExpression[] = [];
    for (const operand of operands) {
      const folded = fold(operand);
      if (folded.kind !== 'constant') kept.push(folded);
      else if (folded.value === deciding.value) return deciding;
    }
    if (kept.length === 0) return neutral;
    return kept.length === 1 ? kept[0]! : { kind, operands: kept };
  }

  function foldCheck(check: TypedCheck): TypedExpression {
    if (namesEventType(check)) return createMatcher(check)(eventTypeValue(check, eventType)) ? TRUE : FALSE;
    if (!isCollected(check)) return FALSE;
    const value = known(check);
    if (value === undefined) return check;
    return value ? TRUE : FALSE;
  }

  return fold;
}

function negate(expression: TypedExpression): TypedExpression {
  if (expression.kind === 'constant') return expression.value ? FALSE : TRUE;
  return expression.kind === 'not' ? expression.operand : { kind: 'not', operand: expression };
}
