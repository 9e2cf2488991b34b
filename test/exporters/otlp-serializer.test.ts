/** Our own bytes of OTLP against the official ones. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { AnyValue } from '@opentelemetry/api';
import { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider, type ReadableLogRecord } from '@opentelemetry/sdk-logs';
import fc from 'fast-check';
import { toLogRecord } from '../../collector/detection/log-record.ts';
import { serializeLogs } from '../../exporters/otlp/logs-serializer.ts';
import { decodeRecord, encodeRecord } from '../../exporters/store/record-codec.ts';
import { detection } from '../fixtures/detections.ts';

function assertSame(records: readonly ReadableLogRecord[]): void {
  const official = ProtobufLogsSerializer.serializeRequest([...records]);
  assert.deepEqual(Buffer.from(serializeLogs(records)), Buffer.from(official!));
}

/** Records of two resources and two scopes, as the SDK makes them of detections. */
function recordsOf(changes: readonly Parameters<typeof detection>[1][]): ReadableLogRecord[] {
  const records: ReadableLogRecord[] = [];
  const sink = {
    onEmit: (record: ReadableLogRecord) => void records.push(record),
    forceFlush: async () => {},
    shutdown: async () => {},
  };
  const loggers = ['node-1', 'node-2'].flatMap((host) => {
    const resource = resourceFromAttributes(
      { 'host.name': host, many: ['a', 'ä'], on: true },
      { schemaUrl: 'https://x/1' },
    );
    const provider = new LoggerProvider({ resource, processors: [sink] });
    return [provider.getLogger('a', '1', { schemaUrl: 'https://x/2' }), provider.getLogger('b')];
  });
  changes.forEach((change, index) => {
    loggers[index % loggers.length]!.emit(toLogRecord(detection(index, change)));
  });
  return records;
}

it('makes the bytes that the official serializer makes, of any detection', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ maxLength: 400 }),
    fc.constantFrom('\ud83d', '€'.repeat(50)),
  );
  const value = fc.oneof(
    text,
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.array(text, { maxLength: 5 }),
  );
  const change = fc.record({
    output: text,
    rule: text,
    evidence: fc.dictionary(fc.string({ minLength: 1 }), value, { maxKeys: 20 }),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 12 }), (changes) => assertSame(recordsOf(changes))),
    { numRuns: 200 },
  );
});

it('makes the same of whatever a record of another application may hold', () => {
  const [made] = recordsOf([{}]);
  const record = decodeRecord(encodeRecord(made!), made!.resource, made!.instrumentationScope);
  const values: AnyValue[] = [
    null,
    new Uint8Array([0, 255]),
    { a: { b: [1, [2, 'x'.repeat(300)]] }, c: undefined },
    [],
    {},
    -1,
    -(2 ** 63),
    2 ** 63,
    2 ** 53 + 2,
    -0,
    Number.NaN,
    1e300,
    'x'.repeat(20_000),
    'ü'.repeat(127),
  ];
  for (const body of values) {
    const attributes = { 'a.value': body, ['k'.repeat(200)]: 'long name', '': 'no name' };
    assertSame([{ ...record, body, attributes, severityNumber: 0, droppedAttributesCount: 3 }]);
  }
  const spanContext = { traceId: '0123456789abcdef0123456789abcdef', spanId: '0123456789abcdef', traceFlags: 1 };
  const { eventName, severityText, body, ...bare } = record;
  assertSame([{ ...record, spanContext }, bare]);
  assertSame([]);
});
