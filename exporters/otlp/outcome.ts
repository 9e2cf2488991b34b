import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { type ExportOutcome, httpOutcome, SUCCESS } from '../helper/outcome.ts';
import type { Protocol } from './config.ts';

/** gRPC codes that OTLP calls retryable: CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. */
const RETRYABLE_CODES = new Set([1, 4, 10, 11, 14, 15]);
const RESOURCE_EXHAUSTED = 8;
/** PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED: not the records, but address or credentials are wrong. */
const ENDPOINT_AT_FAULT = new Set([7, 12, 16]);

interface ServiceError extends Error {
  readonly code?: unknown;
  readonly metadata?: { get(key: string): unknown[] };
}

/** What the exporter's callback says, in the helper's words. */
export function outcomeOf(result: ExportResult, protocol: Protocol): ExportOutcome {
  if (result.code === ExportResultCode.SUCCESS) return SUCCESS;
  const error = result.error as ServiceError | undefined;
  const reason = error?.message || 'the export failed without a reason';
  // No number: the connection failed (ECONNREFUSED, a certificate), or HTTP's own five tries are over.
  if (typeof error?.code !== 'number') return { status: 'retryable', reason };
  if (protocol === 'http/protobuf') return httpOutcome(error.code, `HTTP ${error.code} ${reason}`);
  if (RETRYABLE_CODES.has(error.code)) return { status: 'retryable', reason };
  if (error.code === RESOURCE_EXHAUSTED) {
    const afterMillis = retryInfo(error.metadata?.get('grpc-status-details-bin')[0]);
    if (afterMillis !== undefined) return { status: 'retryable', reason, afterMillis };
  }
  return { status: 'permanent', reason, splittable: !ENDPOINT_AT_FAULT.has(error.code) };
}

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

/**
 * The pause that a google.rpc.Status asks for: details (3) is a list of Any { type_url 1, value 2 }, RetryInfo is { retry_delay 1 },
 * a Duration { seconds 1, nanos 2 }. Undefined if it has no RetryInfo or cannot be read.
 */
function retryInfo(details: unknown): number | undefined {
  if (!(details instanceof Uint8Array)) return undefined;
  const bytes = Buffer.from(details);
  const at = bytes.indexOf(RETRY_INFO);
  if (at < 0) return undefined;
  const value = lengthDelimited(bytes, at + RETRY_INFO.length, 2);
  const delay = value && lengthDelimited(value, 0, 1);
  return delay === undefined ? 0 : durationMillis(delay);
}

function lengthDelimited(bytes: Buffer, offset: number, field: number): Buffer | undefined {
  if (bytes[offset] !== ((field << 3) | 2)) return undefined;
  const length = bytes[offset + 1] ?? 0; // these messages are shorter than 128 bytes
  return bytes.subarray(offset + 2, offset + 2 + length);
}

function durationMillis(bytes: Buffer): number {
  let millis = 0;
  for (let offset = 0; offset < bytes.length; ) {
    const field = bytes[offset++]! >> 3;
    let value = 0;
    let shift = 1;
    for (; offset < bytes.length; shift *= 128) {
      const byte = bytes[offset++]!;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) break;
    }
    millis += field === 1 ? value * 1000 : value / 1e6;
  }
  return millis;
}
