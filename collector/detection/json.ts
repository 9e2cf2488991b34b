/**
 * JSON that keeps 64-bit integers: a bigint is written as a JSON number, and an integer too large for a double is read back as a bigint. Nearly every
 * detection has one, the time of its event in nanoseconds, and JSON's own ways (a replacer, a reviver) take three to five times as long: they are called for
 * every value.
 */

const MOST_KEYS = 10_000;
const writtenKeys = new Map<string, string>();

/** @param value plain data: objects, arrays, strings, numbers, bigints, booleans, null */
export function stringifyExact(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  return Array.isArray(value) ? writeArray(value) : writeObject(value as Record<string, unknown>);
}

function writeArray(items: readonly unknown[]): string {
  let text = '';
  for (const item of items) text += `${text === '' ? '[' : ','}${stringifyExact(item)}`;
  return text === '' ? '[]' : `${text}]`;
}

function writeObject(object: Readonly<Record<string, unknown>>): string {
  let text = '';
  // Plain data inherits nothing, and Object.keys takes twice as long.
  for (const key in object) {
    const value = object[key];
    if (value !== undefined) text += `${text === '' ? '{' : ','}${writtenKey(key)}${stringifyExact(value)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

/** Names of fields: the same ones again and again. */
function writtenKey(key: string): string {
  const known = writtenKeys.get(key);
  if (known !== undefined) return known;
  const written = `${JSON.stringify(key)}:`;
  if (writtenKeys.size < MOST_KEYS) writtenKeys.set(key, written);
  return written;
}

const LARGE_INTEGERS = /[:[,]\s*-?\d{16,}(?=\s*[,\]}])/g;

/** @throws SyntaxError */
export function parseExact(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const places: Place[] = [];
  findInexact({ value }, places);
  if (places.length === 0) return value;
  const integers = (text.match(LARGE_INTEGERS) ?? [])
    .map((token) => token.slice(1).trim())
    .filter((token) => !Number.isSafeInteger(Number(token)));
  // Parsing keeps the order of the text, unless a key is a number or is there twice; and a text inside the text may look like an integer.
  if (
    places.length !== integers.length ||
    places.some(([object, key], index) => object[key] !== Number(integers[index]))
  )
    return parseSlowly(text);
  places.forEach(([object, key], index) => {
    object[key] = BigInt(integers[index]!);
  });
  return value;
}

/** A key of an object, or an index of a list. */
type Place = [parent: Record<string, unknown>, key: string];

/** Integers that a double holds only nearly, in the order of the text. */
function findInexact(parent: unknown, places: Place[]): void {
  if (Array.isArray(parent)) {
    for (let index = 0; index < parent.length; index++) look(parent as never, index as never, parent[index], places);
  } else {
    const object = parent as Record<string, unknown>;
    for (const key in object) look(object, key, object[key], places);
  }
}

function look(parent: Record<string, unknown>, key: string, value: unknown, places: Place[]): void {
  if (typeof value === 'object') {
    if (value !== null) findInexact(value, places);
  } else if (typeof value === 'number' && !Number.isSafeInteger(value) && Number.isInteger(value))
    places.push([parent, key]);
}

function parseSlowly(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const source = context?.source ?? '';
    return /^-?\d+$/.test(source) ? BigInt(source) : value;
  });
}
