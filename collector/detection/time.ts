import type { HrTime } from '@opentelemetry/api';

const NANOS_PER_SECOND = 1_000_000_000n;

/** Formatting a date costs more than all else here; detections come in bursts within one second. */
let cachedSecond = -1n;
let cachedText = '';

/** Nanoseconds since the epoch as RFC 3339 UTC with nine decimals, e.g. `2026-11-21T22:00:00.000000001Z`. */
export function formatTime(nanos: bigint): string {
  const second = nanos / NANOS_PER_SECOND;
  if (second !== cachedSecond) {
    cachedSecond = second;
    cachedText = new Date(Number(second) * 1000).toISOString().slice(0, 19);
  }
  return `${cachedText}.${String(nanos % NANOS_PER_SECOND).padStart(9, '0')}Z`;
}

/** Reads what {@link formatTime} writes, without going through a double: nanoseconds stay exact. */
export function parseTime(text: string): HrTime {
  const millis = Date.parse(`${text.slice(0, 19)}Z`);
  if (Number.isNaN(millis)) throw new RangeError(`expected an RFC 3339 time in UTC, got ${JSON.stringify(text)}`);
  const fraction = /^\.(\d{1,9})/.exec(text.slice(19))?.[1] ?? '';
  return [millis / 1000, Number(fraction.padEnd(9, '0'))];
}

/** The wall clock in nanoseconds. JavaScript's has milliseconds; the monotonic clock supplies the rest, so that times keep their order. */
export function nowNanos(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
}
