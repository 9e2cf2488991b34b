import { nearNames } from '../fields/near.ts';
import { OPERATORS } from './ast.ts';
import { listItemText } from './lists.ts';
import type { ProblemList } from './problems.ts';
import { joinTexts, type MappedText, type Place, textAt } from './source.ts';
import type { YamlNode } from './yaml.ts';

/** One exception of a rule, as written. */
export interface ExceptionEntry {
  readonly name: string;
  readonly place: Place;
  /** One name, or a list of them. */
  readonly fields: string | readonly string[] | undefined;
  readonly comparisons: string | readonly string[] | undefined;
  readonly values: readonly ExceptionValue[];
  readonly hasValues: boolean;
}

/** A value for a single field, or one tuple of values for several; an element of a tuple may be a list. */
export interface ExceptionValue {
  readonly value: string | readonly (string | readonly string[])[];
  readonly place: Place;
}

const LIST_COMPARISONS = /^(?:in|pmatch|intersects|\S+ +(?:oneof|anyof|allof))$/;

/** Reads `exceptions`, without comparing it with what other items of the same rule say. */
export function readExceptions(node: YamlNode, rule: string, problems: ProblemList): ExceptionEntry[] {
  if (node.isNull) return [];
  const { items } = node;
  if (items === undefined) {
    problems.add('LOAD_ERR_YAML_VALIDATE', "'exceptions' is not a sequence", node.place, {
      rule,
      expected: '- name: ...',
    });
    return [];
  }
  return items.map((item) => readException(item, rule, problems)).filter((entry) => entry !== undefined);
}

function readException(item: YamlNode, rule: string, problems: ProblemList): ExceptionEntry | undefined {
  const entries = new Map(item.entries?.map(({ key, keyNode, value }) => [key, { keyNode, value }]));
  const name = entries.get('name')?.value.scalar;
  if (name === undefined) {
    problems.add('LOAD_ERR_YAML_VALIDATE', 'an exception needs a name', item.place, {
      rule,
      expected: '{name, fields, comps, values}',
    });
    return undefined;
  }
  for (const [key, { keyNode }] of entries) {
    if (['name', 'fields', 'comps', 'values'].includes(key)) continue;
    const near = nearNames(key, ['name', 'fields', 'comps', 'values']);
    problems.add('LOAD_UNKNOWN_KEY', `unknown key '${key}' in an exception is ignored`, keyNode.place, { rule, near });
  }
  const values = readValues(entries.get('values')?.value, rule, problems);
  if (values === undefined) return undefined;
  return {
    name,
    place: entries.get('name')!.value.place,
    fields: scalarOrList(entries.get('fields')?.value),
    comparisons: scalarOrList(entries.get('comps')?.value),
    values,
    hasValues: entries.has('values'),
  };
}

function readValues(node: YamlNode | undefined, rule: string, problems: ProblemList): ExceptionValue[] | undefined {
  if (node === undefined || node.isNull) return [];
  const { items } = node;
  const values: ExceptionValue[] = [];
  for (const item of items ?? []) {
    const value =
      item.scalar ?? item.items?.map((part) => part.scalar ?? part.items?.map((inner) => inner.scalar ?? '') ?? '');
    if (value === undefined) {
      problems.add('LOAD_ERR_YAML_VALIDATE', 'an exception value is not text or a sequence', item.place, { rule });
      return undefined;
    }
    values.push({ value, place: item.place });
  }
  if (items !== undefined) return values;
  problems.add('LOAD_ERR_YAML_VALIDATE', "'values' of an exception is not a sequence", node.place, { rule });
  return undefined;
}

function scalarOrList(node: YamlNode | undefined): string | string[] | undefined {
  if (node === undefined || node.isNull) return undefined;
  return node.scalar?.trim() ?? node.items?.map((item) => item.scalar?.trim() ?? '');
}

/** Adds exceptions to those of the rule so far: a known name gets more values, a new one needs its fields. */
export function mergeExceptions(
  before: readonly ExceptionEntry[],
  added: readonly ExceptionEntry[],
  rule: string,
  problems: ProblemList,
): ExceptionEntry[] {
  const merged = [...before];
  for (const entry of added) {
    const index = merged.findIndex(({ name }) => name === entry.name);
    const known = merged[index];
    if (known === undefined) {
      if (entry.fields === undefined) {
        problems.add('LOAD_ERR_VALIDATE', `exception '${entry.name}' has no fields`, entry.place, {
          rule,
          expected: "'fields'",
        });
      } else merged.push(entry);
    } else if (!before.includes(known)) {
      problems.add('LOAD_EXCEPTION_NAME_NOT_UNIQUE', `exception '${entry.name}' is defined twice`, entry.place, {
        rule,
      });
      merged.push(entry);
    } else if (entry.fields !== undefined || entry.comparisons !== undefined) {
      const message = `exception '${entry.name}' exists already: only values can be appended`;
      problems.add('LOAD_ERR_VALIDATE', message, entry.place, { rule, expected: "no 'fields' and no 'comps'" });
    } else {
      if (!entry.hasValues) {
        problems.add('LOAD_APPEND_NO_VALUES', `exception '${entry.name}' is appended to without values`, entry.place, {
          rule,
        });
      }
      merged[index] = { ...known, values: [...known.values, ...entry.values] };
    }
  }
  return merged;
}

/** The condition of a rule with its exceptions: `(condition) and not (exception) ...`. */
export function withExceptions(
  condition: MappedText,
  exceptions: readonly ExceptionEntry[],
  rule: string,
  problems: ProblemList,
): MappedText {
  const parts: MappedText[] = [];
  for (const exception of exceptions) {
    const text = exceptionText(exception, rule, problems);
    if (text !== undefined) parts.push(textAt(` and not ${text}`, exception.place));
  }
  if (parts.length === 0) return condition;
  const start = condition.place({ start: 0, end: 0 });
  return joinTexts([textAt('(', start), condition, textAt(')', start), ...parts]);
}

function exceptionText(exception: ExceptionEntry, rule: string, problems: ProblemList): string | undefined {
  const { name, place, fields, values } = exception;
  const refuse = (message: string, expected?: string): undefined => {
    problems.add('LOAD_ERR_VALIDATE', `exception '${name}': ${message}`, place, { rule, expected });
  };
  if (fields === undefined) return refuse('no fields', "'fields'");
  const comparisons = exception.comparisons ?? (typeof fields === 'string' ? 'in' : fields.map(() => '='));
  const wrong = [comparisons].flat().find((comparison) => !OPERATOR_TEXTS.has(comparison));
  if (wrong !== undefined)
    return refuse(`'${wrong}' is not a supported comparison operator`, `one of ${OPERATORS.join(' ')}`);
  if (typeof fields === 'string') {
    if (typeof comparisons !== 'string') return refuse('fields and comps must both be text or both be lists');
    if (!LIST_COMPARISONS.test(comparisons)) {
      return refuse(`'${comparisons}' cannot compare one field with a list of values`, 'in, pmatch or intersects');
    }
    if (values.length === 0) return undefined;
    if (values.some(({ value }) => typeof value !== 'string')) return refuse('values of one field must be text');
    return `(${fields} ${comparisons} (${values.map(({ value }) => listItemText(value as string)).join(', ')}))`;
  }
  if (typeof comparisons === 'string' || comparisons.length !== fields.length) {
    return refuse('fields and comps lists must have equal length');
  }
  if (values.length === 0) return undefined;
  if (values.some(({ value }) => typeof value === 'string' || value.length !== fields.length)) {
    return refuse('fields and values lists must have equal length');
  }
  const tuples = values.map(({ value }) =>
    tupleText(fields, comparisons, value as readonly (string | readonly string[])[]),
  );
  return `(${tuples.join(' or ')})`;
}

const OPERATOR_TEXTS: ReadonlySet<string> = new Set([
  ...OPERATORS,
  ...OPERATORS.flatMap((operator) => ['oneof', 'anyof', 'allof'].map((modifier) => `${operator} ${modifier}`)),
]);

function tupleText(
  fields: readonly string[],
  comparisons: readonly string[],
  tuple: readonly (string | readonly string[])[],
): string {
  const checks = fields.map((field, index) => {
    const comparison = comparisons[index]!;
    const value = tuple[index]!;
    if (!LIST_COMPARISONS.test(comparison)) return `${field} ${comparison} ${listItemText([value].flat().join(' '))}`;
    if (typeof value !== 'string') return `${field} ${comparison} (${value.map(listItemText).join(', ')})`;
    return `${field} ${comparison} ${value.startsWith('(') ? value : `(${listItemText(value)})`}`;
  });
  return `(${checks.join(' and ')})`;
}
