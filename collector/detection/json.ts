const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }; // TypeScript's library does not know it yet

/**
 * JSON that keeps 64-bit integers: a bigint is written as a JSON number, and an integer too large for a double is read back as a bigint.
 */
export function stringifyExact(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? rawJSON(String(inner)) : inner));
}

const LARGE_INTEGER = /[:[,]\s*-?\d{16,}\s*[,\]}]/;

export function parseExact(text: string): unknown {
  // A reviver makes parsing several times slower; nearly no text has a number of sixteen digits or more.
  if (!LARGE_INTEGER.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const source = context?.source ?? '';
    return /^-?\d+$/.test(source) ? BigInt(source) : value;
  });
}
