import type { FieldValue } from '../../collector/detection/detection.ts';
import { NetworkSet } from './address.ts';
import { globMatch, hasGlob } from './glob.ts';
import { regexOf } from './regex.ts';
import type { LiteralValue, TypedCheck, TypedOperator } from './typed.ts';
import { classOf } from './types.ts';

/** One value against the constants of a check. */
type Test = (value: FieldValue) => boolean;

/**
 * Builds the test that a check makes on a value that is there. Built once at load; running it allocates nothing. The evaluator writes the common
 * ones out as code instead; both must agree.
 */
export function createMatcher(check: TypedCheck): Test {
  const { multiplicity } = check.left;
  if (check.operator === 'exists') return () => true;
  if (multiplicity === 'two-sided') return bothSides(check);
  const one = oneValue(check);
  if (multiplicity === 'list') return check.operator === 'in' ? everyOf(one) : someOf(one);
  if (multiplicity === 'any') return someOf(one);
  return one;
}

/** `=` asks one side, `!=` both. */
function bothSides(check: TypedCheck): Test {
  return check.operator === '!=' ? everyOf(oneValue(check)) : someOf(oneValue(check));
}

function someOf(test: Test): Test {
  return (value) => {
    if (typeof value !== 'object') return test(value);
    for (let i = 0; i < value.length; i++) if (test(value[i]!)) return true;
    return false;
  };
}

/** An empty list counts as no value. */
function everyOf(test: Test): Test {
  return (value) => {
    if (typeof value !== 'object') return test(value);
    for (let i = 0; i < value.length; i++) if (!test(value[i]!)) return false;
    return value.length > 0;
  };
}

function oneValue(check: TypedCheck): Test {
  const { operator, values, modifier } = check;
  if (modifier === undefined) return testOf(check, operator, values);
  const tests = values.map((value) => testOf(check, operator, [value]));
  return (value) => {
    let matches = 0;
    for (let i = 0; i < tests.length; i++) if (tests[i]!(value)) matches++;
    if (modifier === 'allof') return matches === tests.length;
    return modifier === 'oneof' ? matches === 1 : matches > 0;
  };
}

function testOf(check: TypedCheck, operator: TypedOperator, values: readonly LiteralValue[]): Test {
  switch (classOf(check.left.type)) {
    case 'network':
      return networkTest(operator, values);
    case 'number':
      return numberTest(operator, values);
    case 'boolean':
      return booleanTest(operator, values);
    default:
      return stringTest(operator, values.map(String));
  }
}

function networkTest(operator: TypedOperator, values: readonly LiteralValue[]): Test {
  const networks = new NetworkSet(values.map(String));
  if (operator === '!=') return (value) => !networks.has(String(value));
  return (value) => networks.has(String(value));
}

function booleanTest(operator: TypedOperator, values: readonly LiteralValue[]): Test {
  const wanted = new Set(values);
  const matches: Test = (value) => wanted.has(typeof value === 'string' ? value === 'true' : (value as boolean));
  return operator === '!=' ? (value) => !matches(value) : matches;
}

/** Values of several sides arrive as text; a double and a bigint of the same value are equal. */
function numberTest(operator: TypedOperator, values: readonly LiteralValue[]): Test {
  const wanted = values[0] as number | bigint;
  const number = (value: FieldValue) => (typeof value === 'string' ? Number(value) : (value as number | bigint));
  switch (operator) {
    case '<':
      return (value) => number(value) < wanted;
    case '<=':
      return (value) => number(value) <= wanted;
    case '>':
      return (value) => number(value) > wanted;
    case '>=':
      return (value) => number(value) >= wanted;
    case '!=':
      // biome-ignore lint/suspicious/noDoubleEquals: 5n and 5 are the same number
      return (value) => number(value) != wanted;
    default: {
      const set = numberSet(values);
      return (value) => set.has(number(value));
    }
  }
}

/** Holds each number in both of its forms. */
export function numberSet(values: readonly LiteralValue[]): ReadonlySet<number | bigint> {
  const set = new Set<number | bigint>();
  for (const value of values as readonly (number | bigint)[]) {
    set.add(value);
    if (typeof value === 'bigint') set.add(Number(value));
    else if (Number.isInteger(value)) set.add(BigInt(value));
  }
  return set;
}

function stringTest(operator: TypedOperator, values: readonly string[]): Test {
  const wanted = values[0] ?? '';
  switch (operator) {
    case '!=':
      return (value) => value !== wanted;
    case '<':
      return (value) => value < wanted;
    case '<=':
      return (value) => value <= wanted;
    case '>':
      return (value) => value > wanted;
    case '>=':
      return (value) => value >= wanted;
    case 'contains':
    case 'bcontains':
      return (value) => (value as string).includes(wanted);
    case 'startswith':
    case 'bstartswith':
      return (value) => (value as string).startsWith(wanted);
    case 'endswith':
      return (value) => (value as string).endsWith(wanted);
    case 'icontains': {
      const folded = wanted.toLowerCase();
      return (value) => includesFolded(value as string, folded);
    }
    case 'glob':
      return (value) => globMatch(wanted, value as string);
    case 'iglob': {
      const folded = wanted.toLowerCase();
      return (value) => globMatch(folded, (value as string).toLowerCase());
    }
    case 'regex': {
      const pattern = regexOf(wanted);
      return (value) => pattern.test(value as string);
    }
    case 'pmatch':
      return pathTest(values);
    default: {
      const set = new Set<FieldValue>(values);
      return (value) => set.has(value);
    }
  }
}

/** strcasestr without making a lower-case copy: ASCII letters only. `folded` is in lower case. */
export function includesFolded(text: string, folded: string): boolean {
  const last = text.length - folded.length;
  for (let start = 0; start <= last; start++) {
    let at = 0;
    while (at < folded.length && foldCode(text.charCodeAt(start + at)) === folded.charCodeAt(at)) at++;
    if (at === folded.length) return true;
  }
  return false;
}

function foldCode(code: number): number {
  return code >= 65 && code <= 90 ? code | 32 : code;
}

/** `pmatch`: the pattern equals the path or a leading part of it that ends at a slash. */
function pathTest(patterns: readonly string[]): Test {
  const plain: string[] = [];
  const globs: string[][] = [];
  for (const pattern of patterns) {
    const trimmed = pattern.length > 1 ? pattern.replace(/\/+$/, '') : pattern;
    if (hasGlob(trimmed)) globs.push(trimmed.split('/'));
    else plain.push(trimmed);
  }
  if (plain.length > MOST_FOLDERS) return manyFolders(plain, globs);
  return (value) => {
    const path = value as string;
    for (let i = 0; i < plain.length; i++) if (isBelow(path, plain[i]!)) return true;
    for (let i = 0; i < globs.length; i++) if (isBelowGlob(path, globs[i]!)) return true;
    return false;
  };
}

/** More folders than this are not compared one by one. */
const MOST_FOLDERS = 8;

/** Looks each leading part of the path up by a hash that goes on from part to part: the same cost for ten folders and a hundred thousand. */
function manyFolders(folders: readonly string[], globs: readonly string[][]): Test {
  const byHash = new Map<number, string[]>();
  for (const folder of folders) {
    const hash = hashOf(folder);
    const same = byHash.get(hash);
    if (same === undefined) byHash.set(hash, [folder]);
    else if (!same.includes(folder)) same.push(folder);
  }
  const everything = folders.includes('/');
  return (value) => {
    const path = value as string;
    if (everything && path.startsWith('/')) return true;
    let hash = HASH_START;
    for (let at = 0; at <= path.length; at++) {
      const code = at === path.length ? SLASH : path.charCodeAt(at);
      if (code === SLASH) {
        const candidates = byHash.get(hash);
        if (candidates !== undefined)
          for (let i = 0; i < candidates.length; i++) if (isBelow(path, candidates[i]!)) return true;
      }
      hash = (Math.imul(hash, HASH_FACTOR) + code) | 0;
    }
    for (let i = 0; i < globs.length; i++) if (isBelowGlob(path, globs[i]!)) return true;
    return false;
  };
}

const SLASH = 47;
const HASH_START = 7;
const HASH_FACTOR = 31;

function hashOf(text: string): number {
  let hash = HASH_START;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, HASH_FACTOR) + text.charCodeAt(at)) | 0;
  return hash;
}

function isBelow(path: string, folder: string): boolean {
  if (!path.startsWith(folder)) return false;
  return path.length === folder.length || folder === '/' || path.charCodeAt(folder.length) === 47;
}

function isBelowGlob(path: string, parts: readonly string[]): boolean {
  let start = 0;
  for (let i = 0; i < parts.length; i++) {
    if (start > path.length) return false;
    const slash = path.indexOf('/', start);
    const end = slash < 0 ? path.length : slash;
    if (!globMatch(parts[i]!, path, start, end)) return false;
    start = end + 1;
  }
  return true;
}
