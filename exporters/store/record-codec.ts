import type { Attributes, HrTime, SpanContext } from '@opentelemetry/api';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';

type Scope = ReadableLogRecord['instrumentationScope'];

/** A record as it is stored: everything but resource and scope. Short keys, there are millions of them. */
interface StoredRecord {
  readonly t: HrTime;
  readonly o: HrTime;
  readonly n?: number;
  readonly s?: string;
  readonly b?: ReadableLogRecord['body'];
  readonly e?: string;
  readonly a: Attributes;
  readonly d?: number;
  readonly c?: SpanContext;
}

export function encodeRecord(record: ReadableLogRecord): string {
  const stored: StoredRecord = {
    t: record.hrTime,
    o: record.hrTimeObserved,
    ...(record.severityNumber !== undefined && { n: record.severityNumber }),
    ...(record.severityText !== undefined && { s: record.severityText }),
    ...(record.body !== undefined && { b: record.body }),
    ...(record.eventName !== undefined && { e: record.eventName }),
    a: record.attributes,
    ...(record.droppedAttributesCount > 0 && { d: record.droppedAttributesCount }),
    ...(record.spanContext && { c: record.spanContext }),
  };
  return JSON.stringify(stored);
}

/** The record again, equal in every byte of its OTLP form: attributes keep their order, times their nanoseconds. */
export function decodeRecord(text: string, resource: Resource, scope: Scope): ReadableLogRecord {
  const stored = JSON.parse(text) as StoredRecord;
  return {
    hrTime: stored.t,
    hrTimeObserved: stored.o,
    ...(stored.n !== undefined && { severityNumber: stored.n }),
    ...(stored.s !== undefined && { severityText: stored.s }),
    ...(stored.b !== undefined && { body: stored.b }),
    ...(stored.e !== undefined && { eventName: stored.e }),
    ...(stored.c !== undefined && { spanContext: stored.c }),
    resource,
    instrumentationScope: scope,
    attributes: stored.a,
    droppedAttributesCount: stored.d ?? 0,
  };
}

export function encodeResource(resource: Resource): string {
  return JSON.stringify({ a: resource.attributes, ...(resource.schemaUrl !== undefined && { u: resource.schemaUrl }) });
}

export function decodeResource(text: string): Resource {
  const stored = JSON.parse(text) as { a: Resource['attributes']; u?: string };
  return resourceFromAttributes(stored.a, stored.u === undefined ? undefined : { schemaUrl: stored.u });
}

export function encodeScope(scope: Scope): string {
  return JSON.stringify(scope);
}

export function decodeScope(text: string): Scope {
  return JSON.parse(text) as Scope;
}
