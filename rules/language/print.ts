import type { ArgumentList, Check, Expression, Literal, Operand, RightSide, TransformerArgument } from './ast.ts';

/** Writes a condition back as text that parses to the same tree: parentheses only where the tree needs them. */
export function print(expression: Expression): string {
  switch (expression.kind) {
    case 'or':
      return expression.operands.map((operand) => printInside(operand, operand.kind === 'or')).join(' or ');
    case 'and':
      return expression.operands
        .map((operand) => printInside(operand, operand.kind === 'or' || operand.kind === 'and'))
        .join(' and ');
    case 'not':
      return `not ${printInside(expression.operand, expression.operand.kind === 'or' || expression.operand.kind === 'and')}`;
    case 'macro':
      return expression.name;
    case 'check':
      return printCheck(expression);
  }
}

export function printOperand(operand: Operand): string {
  const argument = operand.argument === undefined ? '' : `[${printArgument(operand.argument)}]`;
  if (operand.kind === 'field') return `${operand.name}${argument}`;
  return `${operand.name}(${operand.arguments.map(printTransformerArgument).join(', ')})${argument}`;
}

function printInside(expression: Expression, parenthesised: boolean): string {
  return parenthesised ? `(${print(expression)})` : print(expression);
}

function printCheck(check: Check): string {
  const words: string[] = [printOperand(check.left), check.operator];
  if (check.modifier !== undefined) words.push(check.modifier);
  if (check.right !== undefined) words.push(printRight(check.right, /^[<>]/.test(check.operator)));
  return words.join(' ');
}

function printRight(right: RightSide, isNumber: boolean): string {
  switch (right.kind) {
    case 'literal':
      return isNumber ? right.text : printString(right);
    case 'literals':
      return `(${right.items.map(printString).join(', ')})`;
    case 'value-of':
      return right.operand.kind === 'field' ? `val(${printOperand(right.operand)})` : printOperand(right.operand);
  }
}

function printTransformerArgument(argument: TransformerArgument | ArgumentList): string {
  switch (argument.kind) {
    case 'literal':
      return quote(argument.text);
    case 'list':
      return `(${argument.items.map(printTransformerArgument).join(', ')})`;
    default:
      return printOperand(argument);
  }
}

const PLAIN = /^[^()"'\s=,\\]+$/;
/** Read bare, these would be taken for something else on the right side. */
const AMBIGUOUS = /^(?:oneof|anyof|allof|val|tolower|toupper|b64|basename|len|join|concat|getopt)$/;

function printString(literal: Literal): string {
  return PLAIN.test(literal.text) && !AMBIGUOUS.test(literal.text) ? literal.text : quote(literal.text);
}

function printArgument(argument: string): string {
  return /^[^\]["'\s]+$/.test(argument) ? argument : quote(argument);
}

const ESCAPES: Record<string, string> = {
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\\': '\\\\',
  '"': '\\"',
};

function quote(text: string): string {
  return `"${text.replace(/[\b\f\n\r\t\\"]/g, (character) => ESCAPES[character]!)}"`;
}
