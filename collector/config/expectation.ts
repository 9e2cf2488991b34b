import type { z } from 'zod';
import { suggestion } from './nearest.ts';
import type { KeyPath } from './problem.ts';

/** The part of JSON Schema that zod writes and that is read here. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly format?: string;
  readonly pattern?: string;
  /** Marks a secret: its value is never shown. */
  readonly writeOnly?: boolean;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly examples?: readonly unknown[];
}

/** A mistake found by zod in the words of the user: where, and what it is. */
export interface Finding {
  readonly path: KeyPath;
  readonly message: string;
  /** True if the message is about the key, not about its value. */
  readonly isAboutKey: boolean;
}

/**
 * Says what zod found: what was expected, what was there, and the nearest known key.
 * @param schema what `issue` was found against, as JSON Schema: unlike an issue it knows the whole expectation
 * @param show how to print the value at a path
 * @param alsoKnown keys at the top that the schema does not have
 */
export function describeIssue(
  issue: z.core.$ZodIssue,
  schema: JsonSchema,
  show: (path: KeyPath) => string,
  alsoKnown: readonly string[] = [],
): Finding[] {
  const path = issue.path as KeyPath;
  if (issue.code === 'unrecognized_keys') {
    const known = [...keysOf(schemaAt(schema, path)), ...(path.length === 0 ? alsoKnown : [])];
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: `unknown key; ${suggestion(key, known)}`,
      isAboutKey: true,
    }));
  }
  if (issue.code === 'invalid_union') {
    const deepest = deepestBranch(issue.errors);
    if (deepest !== undefined) {
      return deepest.flatMap((inner) =>
        describeIssue({ ...inner, path: [...issue.path, ...inner.path] } as z.core.$ZodIssue, schema, show),
      );
    }
  }
  return [{ path, message: valueMessage(issue, schemaAt(schema, path), show(path)), isAboutKey: false }];
}

function valueMessage(issue: z.core.$ZodIssue, schema: JsonSchema | undefined, found: string): string {
  const saysIt = issue.message.startsWith('expected ');
  // A component's own check that does not begin so says the whole sentence.
  if (issue.code === 'custom' && !saysIt) return issue.message;
  const expected = saysIt ? issue.message : `expected ${expectation(schema)}`;
  return found === '' ? `${expected}, but it is missing` : `${expected}, got ${found}`;
}

/** Of a union's failed branches, the one that got further than its first look at the value. */
function deepestBranch(branches: readonly (readonly z.core.$ZodIssue[])[]) {
  const depth = (issues: readonly z.core.$ZodIssue[]) => Math.max(0, ...issues.map((issue) => issue.path.length));
  const [best] = [...branches].sort((a, b) => depth(b) - depth(a));
  return best !== undefined && depth(best) > 0 ? best : undefined;
}

function keysOf(schema: JsonSchema | undefined): string[] {
  const branches = schema?.anyOf ?? schema?.oneOf ?? [];
  return [...Object.keys(schema?.properties ?? {}), ...branches.flatMap(keysOf)];
}

/** The schema of the value that `path` leads to, or undefined where the path leaves it. */
export function schemaAt(schema: JsonSchema | undefined, path: KeyPath): JsonSchema | undefined {
  const [first, ...rest] = path;
  if (schema === undefined || first === undefined) return schema;
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches !== undefined) {
    return branches.map((branch) => schemaAt(branch, path)).find((found) => found !== undefined);
  }
  if (typeof first === 'number') return schemaAt(schema.items, rest);
  const open = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
  return schemaAt(schema.properties?.[first] ?? open, rest);
}

/** "a whole number from 1 to 10". */
export function expectation(schema: JsonSchema | undefined): string {
  if (schema === undefined) return 'something else';
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches !== undefined) return branches.map(expectation).join(' or ');
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return `one of ${schema.enum.map((value) => `\`${String(value)}\``).join(', ')}`;
  switch (schema.type) {
    case 'integer':
      return `a whole number${bounds(schema)}`;
    case 'number':
      return `a number${bounds(schema)}`;
    case 'boolean':
      return '`true` or `false`';
    case 'string':
      return text(schema);
    case 'array':
      return `a list${schema.minItems === undefined ? '' : ` of at least ${schema.minItems}`}`;
    case 'object':
      return 'a mapping of keys';
    case 'null':
      return 'nothing';
    default:
      return 'something else';
  }
}

function text(schema: JsonSchema): string {
  if (schema.format === 'uri') return 'a URL';
  if (schema.format !== undefined) return `a string of format ${schema.format}`;
  if (schema.examples !== undefined) return `a string such as ${schema.examples.map((one) => `\`${one}\``).join(', ')}`;
  if (schema.pattern !== undefined) return `a string like /${schema.pattern}/`;
  return schema.minLength === undefined ? 'a string' : 'a string that is not empty';
}

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string {
  // zod writes the limits of what a double holds exactly; they tell a user nothing.
  const low = minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum;
  const high = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (low !== undefined && high !== undefined) return ` from ${low} to ${high}`;
  if (low !== undefined) return `, ${low} or more`;
  if (high !== undefined) return `, ${high} or less`;
  const above = exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`];
  const below = exclusiveMaximum === undefined ? [] : [`below ${exclusiveMaximum}`];
  const parts = [...above, ...below];
  return parts.length === 0 ? '' : ` ${parts.join(' and ')}`;
}
