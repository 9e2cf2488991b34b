/**
 * How a delivery ended. Exporters never throw for what a receiver says; what they do throw is taken as `retryable`.
 *
 * - `success`: the receiver has the batch. `refused` names those that it will never take, by their place in the batch: they become dead letters.
 *   `rejected` is for receivers that only say how many (OTLP's partial success).
 * - `permanent`: it will never take this batch. With `splittable` (the default) the helper sends halves to find the record at fault; an
 *   exporter says `false` when the fault is not in the records (a wrong token, a wrong path).
 * - `retryable`: later, not before `afterMillis` if the receiver named a time.
 */
export type ExportOutcome =
  | {
      readonly status: 'success';
      readonly refused?: readonly { readonly index: number; readonly reason: string }[];
      readonly rejected?: { readonly count: number; readonly reason: string };
    }
  | { readonly status: 'permanent'; readonly reason: string; readonly splittable?: boolean }
  | { readonly status: 'retryable'; readonly reason: string; readonly afterMillis?: number };

export const SUCCESS: ExportOutcome = { status: 'success' };

/** HTTP's answer codes as OTLP reads them: 408, 429, 502, 503, 504 are worth another try, no other failure is. */
export function httpOutcome(status: number, reason: string, retryAfter?: string | null): ExportOutcome {
  return outcomeOfStatus(status, reason, retryAfter, (code) => OTLP_RETRYABLE.has(code));
}

/** The same for every receiver that no specification binds: any 5xx may pass, but for those that say "never" (501, 505). */
export function statusOutcome(status: number, reason: string, retryAfter?: string | null): ExportOutcome {
  return outcomeOfStatus(
    status,
    reason,
    retryAfter,
    (code) => code === 408 || code === 425 || code === 429 || (code >= 500 && code !== 501 && code !== 505),
  );
}

function outcomeOfStatus(
  status: number,
  reason: string,
  retryAfter: string | null | undefined,
  mayPass: (status: number) => boolean,
): ExportOutcome {
  if (status >= 200 && status < 300) return SUCCESS;
  if (mayPass(status)) {
    const afterMillis = parseRetryAfter(retryAfter);
    return { status: 'retryable', reason, ...(afterMillis !== undefined && { afterMillis }) };
  }
  return { status: 'permanent', reason, splittable: !ENDPOINT_AT_FAULT.has(status) };
}

const OTLP_RETRYABLE = new Set([408, 429, 502, 503, 504]);

/** Not the records, but the address, method or credentials are wrong: halves would fare no better. */
const ENDPOINT_AT_FAULT = new Set([301, 302, 303, 307, 308, 401, 403, 404, 405, 407, 410, 501, 505]);

/** `Retry-After` as seconds (some services send a fraction) or as a date. */
export function parseRetryAfter(value: string | null | undefined, now = Date.now()): number | undefined {
  if (value === null || value === undefined || value === '') return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return Math.ceil(Number(value) * 1000);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
