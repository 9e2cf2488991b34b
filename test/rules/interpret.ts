import type { FieldValue } from '../../collector/detection/detection.ts';
import type { LiteralValue, TypedCheck, TypedExpression, TypedOperand } from '../../rules/language/typed.ts';

/** An event as tests make it: field texts and values. */
export type TestEvent = Readonly<Record<string, FieldValue>>;

/** What a condition means, written as plainly as can be and sharing no code with the evaluator. */
export function interpret(expression: TypedExpression, event: TestEvent): boolean {
  switch (expression.kind) {
    case 'constant':
      return expression.value;
    case 'and':
      return expression.operands.every((operand) => interpret(operand, event));
    case 'or':
      return expression.operands.some((operand) => interpret(operand, event));
    case 'not':
      return !interpret(expression.operand, event);
    case 'check':
      return interpretCheck(expression, event);
  }
}

function valueIn(operand: TypedOperand, event: TestEvent): FieldValue | undefined {
  if (operand.kind === 'field') {
    const { name, argument } = operand.reference;
    return event[argument === undefined ? name : `${name}[${argument}]`];
  }
  const [first] = operand.arguments;
  const value = first !== undefined && first.kind === 'field' ? valueIn(first, event) : undefined;
  if (operand.name === 'len') return value === undefined ? 0 : String(value).length;
  if (value === undefined) return undefined;
  if (operand.name === 'toupper') return String(value).toUpperCase();
  if (operand.name === 'tolower') return String(value).toLowerCase();
  if (operand.name === 'basename') return String(value).split('/').at(-1)!;
  throw new Error(`the interpreter does not know ${operand.name}`);
}

function interpretCheck(check: TypedCheck, event: TestEvent): boolean {
  const value = valueIn(check.left, event);
  if (value === undefined) return false;
  if (check.operator === 'exists') return true;
  if (check.right !== undefined) {
    const right = valueIn(check.right, event);
    return right !== undefined && compare(check.operator, value as LiteralValue, [right as LiteralValue]);
  }
  // Both ports of a two-sided field come as text.
  const literal = (element: FieldValue) => (check.left.type === 'PORT' ? Number(element) : (element as LiteralValue));
  const one = (element: FieldValue) => compare(check.operator, literal(element), check.values);
  const elements = Array.isArray(value) ? (value as string[]) : [value];
  switch (check.left.multiplicity) {
    case 'one':
      return one(value);
    case 'any':
      return elements.some(one);
    case 'list':
      return check.operator === 'in' ? elements.length > 0 && elements.every(one) : elements.some(one);
    case 'two-sided':
      return check.operator === '!=' ? elements.length > 0 && elements.every(one) : elements.some(one);
  }
}

function compare(operator: string, value: LiteralValue, wanted: readonly LiteralValue[]): boolean {
  const first = wanted[0]!;
  switch (operator) {
    case '=':
      return same(value, first);
    case '!=':
      return !same(value, first);
    case '<':
      return value < first;
    case '<=':
      return value <= first;
    case '>':
      return value > first;
    case '>=':
      return value >= first;
    case 'in':
    case 'intersects':
      return wanted.some((each) => same(value, each));
    case 'contains':
      return String(value).split(String(first)).length > 1 || first === '';
    case 'icontains':
      return String(value).toLowerCase().includes(String(first).toLowerCase());
    case 'startswith':
      return String(value).slice(0, String(first).length) === first;
    case 'endswith':
      return first === '' || String(value).slice(-String(first).length) === first;
    case 'pmatch':
      return wanted.some(
        (each) => `${value}/`.startsWith(`${String(each).replace(/(?<=.)\/+$/, '')}/`) || each === '/',
      );
    case 'glob': {
      const pattern = String(first)
        .replace(/[.+^${}()|\\]/g, '\\$&')
        .replaceAll('*', '[^]*')
        .replaceAll('?', '[^]');
      return new RegExp(`^${pattern}$`).test(String(value));
    }
    default:
      throw new Error(`the interpreter does not know ${operator}`);
  }
}

function same(a: LiteralValue, b: LiteralValue): boolean {
  if (typeof a === 'bigint' || typeof b === 'bigint') return BigInt(a) === BigInt(b);
  return a === b;
}
