import type { Span } from './source.ts';

/**
 * A condition as it was written, lists already expanded, macros still by name. Every node is frozen by convention: macros share
 * their trees. Spans are offsets in the text that was parsed.
 */
export type Expression = Conjunction | Disjunction | Negation | MacroReference | Check;

export interface Conjunction {
  readonly kind: 'and';
  readonly operands: readonly Expression[];
}

export interface Disjunction {
  readonly kind: 'or';
  readonly operands: readonly Expression[];
}

export interface Negation {
  readonly kind: 'not';
  readonly operand: Expression;
}

export interface MacroReference {
  readonly kind: 'macro';
  readonly name: string;
  readonly span: Span;
}

/** One comparison: what, how, and with what. `exists` has no right side. */
export interface Check {
  readonly kind: 'check';
  readonly left: Operand;
  readonly operator: Operator;
  readonly operatorSpan: Span;
  readonly modifier: Modifier | undefined;
  readonly right: RightSide | undefined;
}

export type Operand = FieldOperand | TransformerOperand;

export interface FieldOperand {
  readonly kind: 'field';
  /** The text before the bracket; `evt.arg.flags` still whole. */
  readonly name: string;
  /** The text in the bracket. */
  readonly argument: string | undefined;
  readonly span: Span;
}

export interface TransformerOperand {
  readonly kind: 'transformer';
  readonly name: TransformerName;
  readonly arguments: readonly TransformerArgument[];
  /** The text in a bracket after it; only `getopt` takes one. */
  readonly argument: string | undefined;
  readonly span: Span;
}

export type TransformerArgument = Operand | Literal | ArgumentList;

export interface ArgumentList {
  readonly kind: 'list';
  readonly items: readonly (Operand | Literal)[];
}

export type RightSide = Literal | Literals | ValueOf;

export interface Literal {
  readonly kind: 'literal';
  /** Without quotes, escapes resolved. */
  readonly text: string;
  readonly span: Span;
}

export interface Literals {
  readonly kind: 'literals';
  readonly items: readonly Literal[];
  readonly span: Span;
}

/** `val(field)`, or a transformer on the right: field compared with field. */
export interface ValueOf {
  readonly kind: 'value-of';
  readonly operand: Operand;
}

/** Operators by the right side they take; also the list that errors and documents show. */
export const NUMERIC_OPERATORS = ['<=', '<', '>=', '>'] as const;
export const STRING_OPERATORS = [
  '==',
  '=',
  '!=',
  'glob',
  'iglob',
  'contains',
  'icontains',
  'bcontains',
  'startswith',
  'bstartswith',
  'endswith',
  'regex',
] as const;
export const LIST_OPERATORS = ['intersects', 'in', 'pmatch'] as const;
export const OPERATORS = ['exists', ...NUMERIC_OPERATORS, ...STRING_OPERATORS, ...LIST_OPERATORS] as const;
export const MODIFIERS = ['oneof', 'anyof', 'allof'] as const;
export const TRANSFORMERS = ['tolower', 'toupper', 'b64', 'basename', 'len', 'join', 'concat', 'getopt'] as const;

export type Operator = (typeof OPERATORS)[number];
export type Modifier = (typeof MODIFIERS)[number];
export type TransformerName = (typeof TRANSFORMERS)[number];
