import { FIELDS, type FoundField, findField } from '../fields/catalogue.ts';
import { EVENT_TYPES } from '../fields/event-types.ts';
import { NUMBER_ARGUMENTS } from '../fields/evt.ts';
import { multiplicityOf } from '../fields/field.ts';
import { nearNames } from '../fields/near.ts';
import {
  type Check,
  type Expression,
  type FieldOperand,
  type Literal,
  type MacroReference,
  NUMERIC_OPERATORS,
  type Operand,
  type Operator,
  TRANSFORMERS,
  type TransformerArgument,
  type TransformerName,
  type TransformerOperand,
} from './ast.ts';
import { isDomainName } from './domain-name.ts';
import { namesEventType } from './event-types.ts';
import { readLiteral } from './literal.ts';
import { createMatcher } from './match.ts';
import type { ProblemCode, ProblemDetails } from './problem.ts';
import { regexOf, simplerThanRegex } from './regex.ts';
import type { SyntaxProblem } from './scan.ts';
import type { Span } from './source.ts';
import type {
  LiteralValue,
  TypedArgument,
  TypedCheck,
  TypedConstant,
  TypedExpression,
  TypedField,
  TypedOperand,
  TypedOperator,
  TypedTransformer,
} from './typed.ts';
import { classOf, operatorsOf } from './types.ts';

/** A mistake found while checking; `unknownName` for those that `skip-if-unknown-filter` forgives. */
export interface Finding {
  readonly code: ProblemCode;
  readonly message: string;
  readonly span: Span;
  readonly details: ProblemDetails;
  readonly unknownName: boolean;
}

/** How the checker asks its surroundings. */
export interface CheckScope {
  /** The checked condition of a macro; undefined if it has none because of mistakes that were reported already. */
  macro(reference: MacroReference): TypedExpression | undefined;
  report(finding: Finding): void;
}

const FALSE: TypedConstant = { kind: 'constant', value: false };
const TRUE: TypedConstant = { kind: 'constant', value: true };

/**
 * Resolves fields and macros and gives constants their type. Goes on after a mistake, so that all are found; the result is of use only if
 * none was reported.
 */
export function checkExpression(expression: Expression, scope: CheckScope): TypedExpression {
  switch (expression.kind) {
    case 'and':
    case 'or':
      return { kind: expression.kind, operands: expression.operands.map((operand) => checkExpression(operand, scope)) };
    case 'not':
      return { kind: 'not', operand: checkExpression(expression.operand, scope) };
    case 'macro':
      return scope.macro(expression) ?? FALSE;
    case 'check':
      return checkCheck(expression, scope);
  }
}

/** Resolves a field or transformer alone, as outputs and exceptions name it. */
export function checkOperand(operand: Operand, scope: Pick<CheckScope, 'report'>): TypedOperand | undefined {
  return operand.kind === 'field' ? checkField(operand, scope) : checkTransformer(operand, scope);
}

function checkCheck(check: Check, scope: CheckScope): TypedExpression {
  const operand = checkOperand(check.left, scope);
  if (operand === undefined) return FALSE;
  const left = isRawNumber(check, operand) ? { ...operand, type: 'INT64' as const } : operand;
  if (!checkOperator(check, left, scope)) return FALSE;
  const operator: TypedOperator = check.operator === '==' ? '=' : check.operator;
  const base = { kind: 'check', left, operator, modifier: check.modifier } as const;
  if (check.right === undefined) return simplify({ ...base, values: [], right: undefined });
  if (check.right.kind === 'value-of') {
    const right = checkOperand(check.right.operand, scope);
    if (right === undefined || !checkRight(check, left, right, scope)) return FALSE;
    return { ...base, values: [], right };
  }
  const literals = check.right.kind === 'literals' ? check.right.items : [check.right];
  const typed: TypedCheck = { ...base, values: checkValues(check, left, literals, scope), right: undefined };
  warnAboutNotAvailable(check, literals, scope);
  return simplify(typed);
}

/** A raw argument has the type of its parameter. Where that differs from event to event a rule shows it: compared with numbers, it is one. */
function isRawNumber(check: Check, operand: TypedOperand): boolean {
  if (operand.kind !== 'field' || operand.reference.name !== 'evt.rawarg') return false;
  if (NUMBER_ARGUMENTS.has(operand.reference.argument ?? '')) return true;
  const { right } = check;
  if (NUMERIC_OPERATORS.some((operator) => operator === check.operator)) return true;
  if (right === undefined || !['=', '==', '!=', 'in', 'intersects'].includes(check.operator)) return false;
  if (right.kind === 'value-of') return false;
  const literals = right.kind === 'literal' ? [right] : right.items;
  return literals.length > 0 && literals.every(({ text }) => /^(?:[+-]?\d+|0[xX][0-9a-fA-F]+)$/.test(text));
}

function checkOperator(check: Check, left: TypedOperand, scope: CheckScope): boolean {
  const isName = namesDomain(left);
  const operators = isName ? DOMAIN_NAME_OPERATORS : operatorsOf(left.type, left.multiplicity === 'list');
  if (operators.includes(check.operator)) return true;
  const what = left.multiplicity === 'list' ? `list field` : isName ? 'domain name' : `type ${left.type}`;
  scope.report({
    code: 'LOAD_ERR_COMPILE_CONDITION',
    message: `operator '${check.operator}' is not supported for ${what} of '${operandName(check.left)}'${isName ? ': names are resolved before events come, whole' : ''}`,
    span: check.operatorSpan,
    details: { expected: `one of ${operators.join(' ')}` },
    unknownName: false,
  });
  return false;
}

/** What can be asked of the addresses of a name. */
const DOMAIN_NAME_OPERATORS: readonly Operator[] = ['exists', '=', '==', '!=', 'in', 'intersects'];

function namesDomain(operand: TypedOperand): boolean {
  return operand.kind === 'field' && operand.definition.isDomainName;
}

function checkRight(check: Check, left: TypedOperand, right: TypedOperand, scope: CheckScope): boolean {
  const refuse = (message: string): false => {
    const span = check.right?.kind === 'value-of' ? check.right.operand.span : check.operatorSpan;
    scope.report({ code: 'LOAD_ERR_COMPILE_CONDITION', message, span, details: {}, unknownName: false });
    return false;
  };
  if (
    check.operator === 'regex' ||
    check.operator === 'pmatch' ||
    check.operator === 'glob' ||
    check.operator === 'iglob'
  ) {
    return refuse(`operator '${check.operator}' cannot compare with a field`);
  }
  const several = [left, right].find((side) => side.multiplicity !== 'one');
  if (several !== undefined) {
    return refuse('fields with several values cannot be compared with a field');
  }
  if (classOf(left.type) !== classOf(right.type)) {
    return refuse(`a field of type ${left.type} cannot be compared with one of type ${right.type}`);
  }
  return true;
}

function checkValues(
  check: Check,
  left: TypedOperand,
  literals: readonly Literal[],
  scope: CheckScope,
): LiteralValue[] {
  const values: LiteralValue[] = [];
  for (const literal of literals) {
    const isNone = namesDomain(left) && !isDomainName(literal.text);
    const result = isNone ? { expected: 'a domain name' } : readLiteral(literal.text, left.type, check.operator);
    if ('expected' in result) {
      reportValue(
        scope,
        literal,
        `'${literal.text}' is not a valid value for '${operandName(check.left)}'`,
        result.expected,
      );
      continue;
    }
    if (check.operator === 'regex') checkRegex(literal, scope);
    else if (classOf(left.type) === 'string') warnAboutFieldName(literal, scope);
    values.push(result.value);
  }
  if (namesEventTypeExactly(check, left)) for (const literal of literals) checkEventType(literal, scope);
  return values;
}

function namesEventTypeExactly(check: Check, left: TypedOperand): boolean {
  if (left.kind !== 'field' || !['=', '==', '!=', 'in', 'intersects'].includes(check.operator)) return false;
  return left.reference.name === 'evt.type' || left.reference.name === 'syscall.type';
}

function checkEventType(literal: Literal, scope: CheckScope): void {
  if (EVENT_TYPES.has(literal.text)) return;
  scope.report({
    code: 'LOAD_ERR_COMPILE_CONDITION',
    message: `unknown event type '${literal.text}'`,
    span: literal.span,
    details: { near: nearNames(literal.text, EVENT_TYPES) },
    unknownName: true,
  });
}

function checkRegex(literal: Literal, scope: CheckScope): void {
  try {
    regexOf(literal.text);
  } catch (error) {
    reportValue(scope, literal, `invalid regular expression: ${(error as Error).message}`);
    return;
  }
  const simpler = simplerThanRegex(literal.text);
  if (simpler !== undefined) warn(scope, literal, 'a simpler operator does the same and costs less', `'${simpler}'`);
}

const FIELD_TEXT = /^([a-z]\w*(?:\.\w+)+)(?:\[([^\]]*)\])?$/;
const TRANSFORMER_TEXT = new RegExp(`^(?:val|${TRANSFORMERS.join('|')})\\(.*\\)$`, 's');

/** Without `val()` a field on the right is a text like any other; hardly anyone means that. */
function warnAboutFieldName(literal: Literal, scope: CheckScope): void {
  const { text } = literal;
  const [, name, argument] = FIELD_TEXT.exec(text) ?? [];
  if (name !== undefined && findField(name, argument) !== undefined) {
    warn(scope, literal, `'${text}' is a field, but stands here as a text`, `val(${text}) to compare with the field`);
  } else if (TRANSFORMER_TEXT.test(text)) {
    warn(scope, literal, `'${text}' is a transformer, but stands here as a text`, 'the same without quotes');
  }
}

function warn(scope: CheckScope, literal: Literal, message: string, expected: string): void {
  const details = { expected };
  scope.report({ code: 'LOAD_COMPILE_CONDITION', message, span: literal.span, details, unknownName: false });
}

function reportValue(scope: CheckScope, literal: Literal, message: string, expected?: string): void {
  scope.report({
    code: 'LOAD_ERR_COMPILE_CONDITION',
    message,
    span: literal.span,
    details: { expected },
    unknownName: false,
  });
}

/** The audit plugin once wrote `<NA>` for what was missing; such a check never holds now. */
function warnAboutNotAvailable(check: Check, literals: readonly Literal[], scope: CheckScope): void {
  if (check.left.kind !== 'field' || !/^(?:ka|jevt)\./.test(check.left.name)) return;
  if (!['=', '==', '!=', 'in', 'intersects', 'pmatch'].includes(check.operator)) return;
  const literal = literals.find(({ text }) => text === '<NA>');
  if (literal === undefined) return;
  scope.report({
    code: 'LOAD_UNSAFE_NA_CHECK',
    message: `comparing '${check.left.name}' with <NA> never holds: a missing value makes every check false`,
    span: literal.span,
    details: { expected: `'${check.left.name} exists'` },
    unknownName: false,
  });
}

function checkField(operand: FieldOperand, scope: Pick<CheckScope, 'report'>): TypedField | undefined {
  const found = findField(operand.name, operand.argument);
  if (found === undefined) {
    scope.report({
      code: 'LOAD_ERR_COMPILE_CONDITION',
      message: `nonexistent field '${operand.name}'`,
      span: { start: operand.span.start, end: operand.span.start + operand.name.length },
      details: { near: nearNames(operand.name, FIELDS.keys()) },
      unknownName: true,
    });
    return undefined;
  }
  const message = argumentMistake(found);
  if (message !== undefined) {
    const { argumentKind, name } = found.definition;
    const expected =
      found.definition.argument === 'none' ? undefined : `${name}[${argumentKind === 'index' ? '1' : 'NAME'}]`;
    scope.report({
      code: 'LOAD_ERR_COMPILE_CONDITION',
      message,
      span: operand.span,
      details: { expected },
      unknownName: false,
    });
    return undefined;
  }
  if (found.definition.deprecated) {
    const { name, description } = found.definition;
    const deprecated = {
      code: 'LOAD_DEPRECATED_ITEM',
      message: `field '${name}' is deprecated: ${description}`,
    } as const;
    scope.report({ ...deprecated, span: operand.span, details: {}, unknownName: false });
  }
  const { definition, reference } = found;
  const multiplicity = multiplicityOf(definition, reference.argument);
  return { kind: 'field', reference, definition, type: definition.type, multiplicity };
}

function argumentMistake({ definition, reference }: FoundField): string | undefined {
  const { name, argument, argumentKind } = definition;
  if (reference.argument === undefined)
    return argument === 'required' ? `field '${name}' needs an argument` : undefined;
  if (argument === 'none') return `field '${name}' takes no argument`;
  if (argumentKind === 'index' && !/^\d+$/.test(reference.argument)) {
    // proc.aenv takes a name too.
    return name === 'proc.aenv' ? undefined : `'${reference.argument}' is not an index for field '${name}'`;
  }
  return undefined;
}

/** How many arguments each transformer takes. */
const TRANSFORMER_ARGUMENTS: Record<TransformerName, { readonly least: number; readonly most: number }> = {
  tolower: { least: 1, most: 1 },
  toupper: { least: 1, most: 1 },
  b64: { least: 1, most: 1 },
  basename: { least: 1, most: 1 },
  len: { least: 1, most: 1 },
  concat: { least: 2, most: 100 },
  join: { least: 2, most: 2 },
  getopt: { least: 2, most: 2 },
};

function checkTransformer(
  operand: TransformerOperand,
  scope: Pick<CheckScope, 'report'>,
): TypedTransformer | undefined {
  const refuse = (message: string, expected?: string): undefined => {
    const { span } = operand;
    scope.report({ code: 'LOAD_ERR_COMPILE_CONDITION', message, span, details: { expected }, unknownName: false });
  };
  const counts = TRANSFORMER_ARGUMENTS[operand.name];
  const { argument } = operand;
  if (argument !== undefined && operand.name !== 'getopt') {
    return refuse(`transformer '${operand.name}' takes no index`);
  }
  if (operand.arguments.length < counts.least || operand.arguments.length > counts.most) {
    const expected = counts.least === counts.most ? `${counts.least}` : `${counts.least} or more`;
    return refuse(`transformer '${operand.name}' got ${operand.arguments.length} arguments`, expected);
  }
  const args = operand.arguments.map((argument) => checkArgument(argument, scope));
  if (!args.every((argument) => argument !== undefined)) return undefined;
  if (operand.name === 'getopt') {
    const mistake = getoptMistake(args, argument);
    if (mistake !== undefined) return refuse(...mistake);
    const multiplicity = argument === undefined ? 'list' : 'one';
    return { kind: 'transformer', name: 'getopt', arguments: args, argument, type: 'CHARBUF', multiplicity };
  }
  const wrong = args.find((each) => !fitsTransformer(operand.name, each));
  if (wrong !== undefined)
    return refuse(
      `transformer '${operand.name}' cannot be used on this argument`,
      operand.name === 'len' || operand.name === 'join'
        ? 'text, a list, or a field with a value for each ancestor'
        : 'text or fields of text with one value',
    );
  const type = operand.name === 'len' ? 'UINT64' : 'CHARBUF';
  return { kind: 'transformer', name: operand.name, arguments: args, argument: undefined, type, multiplicity: 'one' };
}

/** A list of arguments, or a text with blanks between them; and the options as a constant. */
function getoptMistake(
  [list, options]: readonly TypedArgument[],
  option: string | undefined,
): [message: string, expected: string] | undefined {
  const isText =
    list?.kind === 'list' || (list !== undefined && list.kind !== 'literal' && classOf(list.type) === 'string');
  if (!isText) return ["transformer 'getopt' cannot be used on this argument", 'a field or list of texts'];
  if (options?.kind !== 'literal') return ["the options of 'getopt' are not a constant", 'letters such as "ab:c"'];
  if (option === undefined) return undefined;
  if (/^[^:?]$/.test(option) && options.text.includes(option)) return undefined;
  return [
    `'${option}' is not among the options of 'getopt'`,
    `one of ${options.text.replaceAll(':', '').split('').join(' ')}`,
  ];
}

function fitsTransformer(name: string, argument: TypedArgument): boolean {
  if (argument.kind === 'literal') return name === 'concat' || name === 'join';
  if (argument.kind === 'list')
    return name === 'join' && argument.items.every((item) => fitsTransformer('concat', item));
  if (argument.multiplicity === 'list' || argument.multiplicity === 'any') return name === 'len' || name === 'join';
  return argument.multiplicity === 'one' && ['string', 'bytes'].includes(classOf(argument.type));
}

function checkArgument(argument: TransformerArgument, scope: Pick<CheckScope, 'report'>): TypedArgument | undefined {
  if (argument.kind === 'literal') return { kind: 'literal', text: argument.text };
  if (argument.kind !== 'list') return checkOperand(argument, scope);
  const items = argument.items.map((item) => checkArgument(item, scope));
  if (!items.every((item) => item !== undefined)) return undefined;
  return { kind: 'list', items: items as (TypedOperand | { kind: 'literal'; text: string })[] };
}

/** Checks that are decided before any event is seen; the evaluator and the event types profit. */
function simplify(check: TypedCheck): TypedExpression {
  if (check.left.kind !== 'field' || check.modifier !== undefined) return check;
  const { name } = check.left.reference;
  if (name === 'evt.num') return simplifyEventNumber(check);
  // There are no enter events any more: the direction is always out.
  if (name === 'evt.dir') return createMatcher(check)('<') ? TRUE : FALSE;
  if (namesEventType(check) && check.operator === 'exists') return TRUE;
  return check;
}

/** Rule files write always and never as `evt.num >= 0` and `evt.num = 0`; events are counted from 1. */
function simplifyEventNumber(check: TypedCheck): TypedExpression {
  const value = check.values[0];
  if (check.values.length !== 1 || typeof value !== 'number' || value > 0) return check;
  switch (check.operator) {
    case '>=':
    case '>':
    case '!=':
      return TRUE;
    default:
      return FALSE;
  }
}

function operandName(operand: Operand): string {
  return operand.name;
}

/** Turns a syntax mistake into a finding. */
export function findingOf(problem: SyntaxProblem): Finding {
  return {
    code: 'LOAD_ERR_COMPILE_CONDITION',
    message: problem.message,
    span: problem.span,
    details: { expected: problem.expected, near: problem.near },
    unknownName: false,
  };
}
