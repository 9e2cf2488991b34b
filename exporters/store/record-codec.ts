import type { Attributes, HrTime, SpanContext } from '@opentelemetry/api';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';

type Scope = ReadableLogRecord['instrumentationScope'];

interface StoredResource {
  readonly a: Resource['attributes'];
  readonly u?: string;
}

/** A record as it is stored: everything but resource and scope, unless they have no number. Short keys, there are millions of them. */
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
  readonly r?: StoredResource;
  readonly i?: Scope;
}

/** What of its origin a record keeps with it. */
export interface Kept {
  readonly resource: boolean;
  readonly scope: boolean;
}

export function encodeRecord(record: ReadableLogRecord, kept?: Kept): string {
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
    ...(kept?.resource && { r: storedResource(record.resource) }),
    ...(kept?.scope && { i: record.instrumentationScope }),
  };
  return JSON.stringify(stored);
}

/**
 * The record again, equal in every byte of its OTLP form: attributes keep their order, times their nanoseconds.
 * @param resource and scope, where the text does not have them
 */
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
    resource: stored.r === undefined ? resource : restoredResource(stored.r),
    instrumentationScope: stored.i ?? scope,
    attributes: stored.a,
    droppedAttributesCount: stored.d ?? 0,
  };
}

export function encodeResource(resource: Resource): string {
  return JSON.stringify(storedResource(resource));
}

export function decodeResource(text: string): Resource {
  return restoredResource(JSON.parse(text) as StoredResource);
}

function storedResource({ attributes, schemaUrl }: Resource): StoredResource {
  return { a: attributes, ...(schemaUrl !== undefined && { u: schemaUrl }) };
}

function restoredResource({ a, u }: StoredResource): Resource {
  return resourceFromAttributes(a, u === undefined ? undefined : { schemaUrl: u });
}

export function encodeScope(scope: Scope): string {
  return JSON.stringify(scope);
}

export function decodeScope(text: string): Scope {
  return JSON.parse(text) as Scope;
}
