import type { TypedCheck } from '../../../rules/index.ts';
import { familyOf } from './system-calls.ts';

/** The kernel's errors are -1 to -4095 (MAX_ERRNO of include/linux/err.h). */
const HIGHEST_ERROR = -1;
const LOWEST_ERROR = -4095;
/** A file that was not opened has no kind: no check of these holds. */
const OF_AN_OPENED_FILE: ReadonlySet<string> = new Set(['fd.type', 'fd.typechar']);

/**
 * What a check comes to for every call that failed, whatever else is so: from it follows which failed calls need not leave the kernel. Looking for what is not there
 * makes most of the opens of many programs. The probe brings connections under way (EINPROGRESS) and calls by a number of x32 in any case, so they are no
 * failed calls here.
 * @returns undefined where that depends
 */
export function onFailedCall(check: TypedCheck, eventType: string): boolean | undefined {
  const { left, operator, modifier, values, right } = check;
  if (left.kind !== 'field' || modifier !== undefined || right !== undefined) return undefined;
  const { name } = left.reference;
  if (name === 'evt.rawres') return resultCheck(operator, values);
  if (name === 'evt.res') return equality(operator, values, 'SUCCESS', false);
  if (name === 'evt.failed') return equality(operator, values, true, true) ?? equality(operator, values, false, false);
  if (name === 'shikra.evt.abi') return equality(operator, values, 'x32', false);
  if (familyOf(eventType) !== 'open') return undefined;
  if (OF_AN_OPENED_FILE.has(name)) return false;
  // The result, if anything.
  if (name === 'fd.num' && resultCheck(operator, values) === false) return false;
  return undefined;
}

function resultCheck(operator: TypedCheck['operator'], values: TypedCheck['values']): boolean | undefined {
  const numbers = values.map(Number);
  const [first] = numbers;
  if (first === undefined || numbers.some(Number.isNaN)) return undefined;
  switch (operator) {
    case '>':
      return decided(first < LOWEST_ERROR, first >= HIGHEST_ERROR);
    case '>=':
      return decided(first <= LOWEST_ERROR, first > HIGHEST_ERROR);
    case '<':
      return decided(first > HIGHEST_ERROR, first <= LOWEST_ERROR);
    case '<=':
      return decided(first >= HIGHEST_ERROR, first < LOWEST_ERROR);
    case '=':
    case 'in':
      return decided(false, numbers.every(isNoError));
    case '!=':
      return decided(isNoError(first), false);
    default:
      return undefined;
  }
}

/** @param holds whether the field has the value, which no other check but one of the value alone decides */
function equality(
  operator: TypedCheck['operator'],
  values: TypedCheck['values'],
  value: string | boolean,
  holds: boolean,
): boolean | undefined {
  if (values.length !== 1 || values[0] !== value) return undefined;
  if (operator === '=' || operator === 'in') return holds;
  return operator === '!=' ? !holds : undefined;
}

function isNoError(number: number): boolean {
  return number > HIGHEST_ERROR || number < LOWEST_ERROR;
}

function decided(always: boolean, never: boolean): boolean | undefined {
  if (always) return true;
  return never ? false : undefined;
}
