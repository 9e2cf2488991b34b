/**
 * JSON that keeps 64-bit integers: a bigint is written as a JSON number, and an integer too large for a double is read back as a bigint. Nearly every
 * detection has one, the time of its event in nanoseconds, and JSON's own ways (a replacer, a reviver) take three to five times as long: they are called for
 * every value.
 */

/** ES2026; the compiler's library does not have it yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): object };

/** @param value plain data: objects, arrays, strings, numbers, bigints, booleans, null */
export function stringifyExact(value: unknown): string {
  return JSON.stringify(withRawIntegers(value)) ?? 'null';
}

/** What has no bigint in it as it is; else a copy that `JSON.stringify` takes. */
function withRawIntegers(value: unknown): unknown {
  if (typeof value === 'bigint') return rawJSON(String(value));
  if (typeof value !== 'object' || value === null) return value;
  return Array.isArray(value) ? withRawItems(value) : withRawValues(value as Record<string, unknown>);
}

function withRawItems(items: readonly unknown[]): readonly unknown[] {
  const isPlain = items.every((item) => typeof item !== 'bigint' && typeof item !== 'object');
  return isPlain ? items : items.map(withRawIntegers);
}

function withRawValues(object: Record<string, unknown>): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  // Plain data inherits nothing, and Object.keys makes a list.
  for (const key in object) {
    const value = object[key];
    if (typeof value !== 'bigint' && typeof value !== 'object') continue;
    const raw = withRawIntegers(value);
    if (raw === value) continue;
    copy ??= { ...object };
    copy[key] = raw;
  }
  return copy ?? object;
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
