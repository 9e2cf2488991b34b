import type { FieldReference } from '../fields/catalogue.ts';
import type { FieldDefinition, FieldType, Multiplicity } from '../fields/field.ts';
import type { Modifier, Operator, TransformerName } from './ast.ts';

/**
 * A condition after checking: macros put in, fields resolved, constants of the right type. This is what back ends read: the evaluator,
 * and the filter that runs in the kernel. Macros share their nodes, so a tree is a graph: walk it with a memory, or it may take for ever.
 */
export type TypedExpression = TypedConstant | TypedConjunction | TypedDisjunction | TypedNegation | TypedCheck;

export interface TypedConstant {
  readonly kind: 'constant';
  readonly value: boolean;
}

export interface TypedConjunction {
  readonly kind: 'and';
  readonly operands: readonly TypedExpression[];
}

export interface TypedDisjunction {
  readonly kind: 'or';
  readonly operands: readonly TypedExpression[];
}

export interface TypedNegation {
  readonly kind: 'not';
  readonly operand: TypedExpression;
}

/** `==` has become `=`. */
export type TypedOperator = Exclude<Operator, '=='>;

/**
 * One comparison. With `values`, any one of them will do unless the operator or modifier says otherwise; with `right`, field against field.
 * A missing value makes it false, whatever the operator.
 */
export interface TypedCheck {
  readonly kind: 'check';
  readonly left: TypedOperand;
  readonly operator: TypedOperator;
  readonly modifier: Modifier | undefined;
  readonly values: readonly LiteralValue[];
  readonly right: TypedOperand | undefined;
}

/** Addresses and networks are text in canonical form; bytes are text of one character each. */
export type LiteralValue = string | number | bigint | boolean;

export type TypedOperand = TypedField | TypedTransformer;

export interface TypedField {
  readonly kind: 'field';
  readonly reference: FieldReference;
  readonly definition: FieldDefinition;
  readonly type: FieldType;
  readonly multiplicity: Multiplicity;
}

export interface TypedTransformer {
  readonly kind: 'transformer';
  readonly name: TransformerName;
  readonly arguments: readonly TypedArgument[];
  readonly argument: string | undefined;
  readonly type: FieldType;
  readonly multiplicity: Multiplicity;
}

export type TypedArgument = TypedOperand | { readonly kind: 'literal'; readonly text: string } | TypedArgumentList;

export interface TypedArgumentList {
  readonly kind: 'list';
  readonly items: readonly (TypedOperand | { readonly kind: 'literal'; readonly text: string })[];
}
