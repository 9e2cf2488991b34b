import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { ProtobufWriter } from './protobuf-writer.ts';

type Scope = ReadableLogRecord['instrumentationScope'];
type Resource = ReadableLogRecord['resource'];

// Field numbers of opentelemetry/proto/logs/v1/logs.proto, common.proto and resource.proto.
const REQUEST = { resourceLogs: 1 };
const RESOURCE_LOGS = { resource: 1, scopeLogs: 2, schemaUrl: 3 };
const RESOURCE = { attributes: 1, droppedAttributesCount: 2 };
const SCOPE_LOGS = { scope: 1, logRecords: 2, schemaUrl: 3 };
const SCOPE = { name: 1, version: 2, attributes: 3, droppedAttributesCount: 4 };
const RECORD = {
  timeUnixNano: 1,
  severityNumber: 2,
  severityText: 3,
  body: 5,
  attributes: 6,
  droppedAttributesCount: 7,
  flags: 8,
  traceId: 9,
  spanId: 10,
  observedTimeUnixNano: 11,
  eventName: 12,
};

/** What a small batch takes; the writer grows. It is kept, as the next batch is as large. */
const writer = new ProtobufWriter(64 * 1024);

/**
 * An ExportLogsServiceRequest: byte for byte what the official exporters make of the same records, which a test compares, in a third of the time. Theirs goes
 * over every character twice in JavaScript, which was a quarter of what a detection cost the main thread.
 */
export function serializeLogs(records: readonly ReadableLogRecord[]): Uint8Array {
  writer.reset();
  for (const [resource, scopes] of grouped(records))
    writer.message(REQUEST.resourceLogs, () => {
      writer.message(RESOURCE_LOGS.resource, () => writeResource(resource));
      for (const [scope, own] of scopes) writer.message(RESOURCE_LOGS.scopeLogs, () => writeScopeLogs(scope, own));
      if (resource.schemaUrl) writer.text(RESOURCE_LOGS.schemaUrl, resource.schemaUrl);
    });
  return writer.finish();
}

/** By the identity of resource and scope. */
function grouped(records: readonly ReadableLogRecord[]): Map<Resource, Map<Scope, ReadableLogRecord[]>> {
  const groups = new Map<Resource, Map<Scope, ReadableLogRecord[]>>();
  for (const record of records) {
    const { resource, instrumentationScope: scope } = record;
    const scopes = groups.get(resource) ?? new Map<Scope, ReadableLogRecord[]>();
    groups.set(resource, scopes);
    const own = scopes.get(scope);
    if (own === undefined) scopes.set(scope, [record]);
    else own.push(record);
  }
  return groups;
}

function writeResource(resource: Resource): void {
  writer.attributes(RESOURCE.attributes, resource.attributes);
  writer.varint(RESOURCE.droppedAttributesCount, 0);
}

function writeScopeLogs(scope: Scope, records: readonly ReadableLogRecord[]): void {
  writer.message(SCOPE_LOGS.scope, () => {
    writer.text(SCOPE.name, scope.name);
    if (scope.version) writer.text(SCOPE.version, scope.version);
    if (scope.attributes) writer.attributes(SCOPE.attributes, scope.attributes);
    if (scope.droppedAttributesCount) writer.varint(SCOPE.droppedAttributesCount, scope.droppedAttributesCount);
  });
  for (const record of records) writer.message(SCOPE_LOGS.logRecords, () => writeRecord(record), 2);
  if (scope.schemaUrl) writer.text(SCOPE_LOGS.schemaUrl, scope.schemaUrl);
}

function writeRecord(record: ReadableLogRecord): void {
  const { severityNumber, severityText, body, spanContext, eventName } = record;
  writer.nanos(RECORD.timeUnixNano, record.hrTime);
  if (severityNumber) writer.varint(RECORD.severityNumber, severityNumber);
  if (severityText) writer.text(RECORD.severityText, severityText);
  if (body !== undefined) writer.value(RECORD.body, body, 2);
  writer.attributes(RECORD.attributes, record.attributes);
  writer.varint(RECORD.droppedAttributesCount, record.droppedAttributesCount);
  if (spanContext?.traceFlags) writer.fixed32(RECORD.flags, spanContext.traceFlags);
  if (spanContext?.traceId) writer.bytes(RECORD.traceId, Buffer.from(spanContext.traceId, 'hex'));
  if (spanContext?.spanId) writer.bytes(RECORD.spanId, Buffer.from(spanContext.spanId, 'hex'));
  writer.nanos(RECORD.observedTimeUnixNano, record.hrTimeObserved);
  if (eventName) writer.text(RECORD.eventName, eventName);
}
