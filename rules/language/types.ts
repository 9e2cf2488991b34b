import type { FieldType } from '../fields/field.ts';
import type { Operator } from './ast.ts';

/** Types that compare alike. */
export type TypeClass = 'string' | 'bytes' | 'number' | 'boolean' | 'address' | 'network';

const CLASSES: Record<FieldType, TypeClass> = {
  CHARBUF: 'string',
  FSPATH: 'string',
  BYTEBUF: 'bytes',
  BOOL: 'boolean',
  INT64: 'number',
  UINT64: 'number',
  INT32: 'number',
  UINT32: 'number',
  DOUBLE: 'number',
  PORT: 'number',
  RELTIME: 'number',
  ABSTIME: 'number',
  IPADDR: 'address',
  IPNET: 'network',
};

const EQUALITY: readonly Operator[] = ['exists', '=', '==', '!=', 'in', 'intersects'];
const ORDER: readonly Operator[] = ['<', '<=', '>', '>='];

/** The operators that each class of types has. */
const OPERATORS_OF: Record<TypeClass, readonly Operator[]> = {
  string: [
    ...EQUALITY,
    ...ORDER,
    'glob',
    'iglob',
    'contains',
    'icontains',
    'startswith',
    'endswith',
    'regex',
    'pmatch',
  ],
  bytes: [...EQUALITY, 'contains', 'startswith', 'endswith', 'bcontains', 'bstartswith'],
  number: [...EQUALITY, ...ORDER],
  boolean: EQUALITY,
  address: EQUALITY,
  network: EQUALITY,
};

const LIST_FIELD_OPERATORS: readonly Operator[] = ['in', 'intersects', 'exists'];

export function classOf(type: FieldType): TypeClass {
  return CLASSES[type];
}

/** The operators that a field of this type may stand before. */
export function operatorsOf(type: FieldType, isList: boolean): readonly Operator[] {
  return isList ? LIST_FIELD_OPERATORS : OPERATORS_OF[classOf(type)];
}
