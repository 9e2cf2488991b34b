import type { FieldValue } from '../../collector/detection/detection.ts';
import type { FieldDefinition } from '../fields/field.ts';
import { readLiteral } from '../language/literal.ts';
import { classOf } from '../language/types.ts';
import type { CaseNode } from './case-node.ts';

/** What a case says of a field. `null`: the event has no value for it. */
export type Given = FieldValue | null | Spellings;

/** The spellings of a path; rules are shown each. */
export class Spellings {
  readonly paths: readonly string[];

  constructor(paths: readonly string[]) {
    this.paths = paths;
  }
}

export type ValueResult = { readonly value: Given } | { readonly expected: string };

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};
const DURATION = /^(\d+)(ns|us|ms|s|m|h|d)$/;

/** `3s` in nanoseconds. */
export function readDuration(text: string): bigint | undefined {
  const match = DURATION.exec(text);
  return match === null ? undefined : BigInt(match[1]!) * UNITS[match[2]!]!;
}

/**
 * Reads the value of a field as the event would have it.
 * @param isPath the field can have several spellings
 */
export function readValue(node: CaseNode, definition: FieldDefinition, isPath: boolean): ValueResult {
  if (node.isNull) return { value: null };
  // an address may have several names; a case gives one
  const several = definition.multiplicity !== 'one' && !definition.isDomainName;
  const { items } = node;
  if (items === undefined) {
    const result = readScalar(node, definition);
    return several && 'value' in result ? { value: [String(result.value)] } : result;
  }
  if (!several && !isPath) return { expected: 'one value' };
  const texts: string[] = [];
  for (const item of items) {
    const result = readScalar(item, definition);
    if ('expected' in result) return result;
    texts.push(String(result.value));
  }
  return { value: several ? texts : new Spellings(texts) };
}

function readScalar(node: CaseNode, { type }: FieldDefinition): ValueResult {
  const { text } = node;
  if (text === undefined) return { expected: 'a text, a number or a truth value' };
  if (type === 'RELTIME' || type === 'ABSTIME') {
    const duration = readDuration(text);
    if (duration !== undefined) return { value: smallest(duration) };
  }
  // An event has an address where a rule names a network.
  if (classOf(type) === 'network') return readLiteral(text, 'IPADDR', '=');
  return readLiteral(text, type, '=');
}

function smallest(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
