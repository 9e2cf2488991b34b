/** Reading JSON whose shape nobody has checked: a request object is whatever a client sent. */

/** A member of an object; undefined for anything else, and for what every object inherits. */
export function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
}

export function dig(value: unknown, keys: readonly string[]): unknown {
  let at = value;
  for (const key of keys) at = member(at, key);
  return at;
}

export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A value as rules see it: a text as it is, all else as JSON without blanks. */
export function jsonText(value: unknown): string | undefined {
  return value === undefined ? undefined : typeof value === 'string' ? value : JSON.stringify(value);
}

/** The same for the fields of an audit event, where null is what Kubernetes writes for nothing. */
export function fieldText(value: unknown): string | undefined {
  return value === null ? undefined : jsonText(value);
}

/** The values that are there; undefined if there is none, as a field with an empty list has no value. */
export function listOf(values: readonly unknown[]): string[] | undefined {
  const texts = values.map(fieldText).filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : texts;
}

/** With indentation as `jevt.obj` has it. Indentation multiplies a text that was made for it: then it comes without. */
export function indented(value: unknown): string {
  try {
    return JSON.stringify(value, null, 2);
  } catch (error) {
    if (error instanceof RangeError) return JSON.stringify(value);
    throw error;
  }
}

/** Splits a JSON pointer (RFC 6901); as in Falco the first `/` may be left out. */
export function pointerKeys(pointer: string): string[] {
  const path = pointer.startsWith('/') ? pointer.slice(1) : pointer;
  return path.split('/').map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** What a JSON pointer leads to; undefined if it leads nowhere. */
export function follow(value: unknown, keys: readonly string[]): unknown {
  let at = value;
  for (const key of keys) at = Array.isArray(at) ? elementAt(at, key) : member(at, key);
  return at;
}

function elementAt(array: readonly unknown[], key: string): unknown {
  return /^\d+$/.test(key) ? array[Number(key)] : undefined;
}

/** True if objects and arrays are nested in more than so many levels. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const inner of Object.values(value)) if (isDeeperThan(inner, levels - 1)) return true;
  return false;
}
