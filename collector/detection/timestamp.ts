const TIMESTAMP = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,30}))?([Zz]|[+-]\d\d:\d\d)$/;

/** Nanoseconds since 1970 of an RFC 3339 time, exactly; undefined if the text is none, or before 1970 (Go's time zero). */
export function timestampNanos(text: unknown): bigint | undefined {
  const match = typeof text === 'string' ? TIMESTAMP.exec(text) : null;
  if (match === null) return undefined;
  const [, date, time, fraction = '', zone] = match;
  const millis = Date.parse(`${date}T${time}${zone!.toUpperCase()}`);
  if (!(millis >= 0)) return undefined;
  return BigInt(millis) * 1_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}
