/**
 * How a delivery ended. Exporters never throw for what a receiver says; what they do throw is taken as `retryable`.
 *
 * - `success`: the receiver has the batch. `rejected` is what it said it would not take of it (OTLP's partial success); that is never sent again.
 * - `permanent`: it will never take this batch. With `splittable` (the default) the helper sends halves to find the record at fault; an
 *   exporter says `false` when the fault is not in the records (a wrong token, a wrong path).
 * - `retryable`: later, not before `afterMillis` if the receiver named a time.
 */
export type ExportOutcome =
  | { readonly status: 'success'; readonly rejected?: { readonly count: number; readonly reason: string } }
  | { readonly status: 'permanent'; readonly reason: string; readonly splittable?: boolean }
  | { readonly status: 'retryable'; readonly reason: string; readonly afterMillis?: number };

export const SUCCESS: ExportOutcome = { status: 'success' };

/** HTTP's answer codes as OTLP reads them: 408, 429, 502, 503, 504 are worth another try, no other failure is. */
export function httpOutcome(status: number, reason: string, retryAfter?: string | null): ExportOutcome {
  if (status >= 200 && status < 300) return SUCCESS;
  if (status === 408 || status === 429 || (status >= 502 && status <= 504)) {
    const afterMillis = parseRetryAfter(retryAfter);
    return { status: 'retryable', reason, ...(afterMillis !== undefined && { afterMillis }) };
  }
  return { status: 'permanent', reason, splittable: !ENDPOINT_AT_FAULT.has(status) };
}

/** Not the records, but the address, method or credentials are wrong: halves would fare no better. */
const ENDPOINT_AT_FAULT = new Set([401, 403, 404, 405, 407, 410, 501]);

/** `Retry-After` as seconds or as a date. */
export function parseRetryAfter(value: string | null | undefined, now = Date.now()): number | undefined {
  if (value === null || value === undefined || value === '') return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
