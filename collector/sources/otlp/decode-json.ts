import type { AnyValue } from '@opentelemetry/api';
import { parseExact } from '../../detection/json.ts';
import { type Attributes, integerValue, type ReceivedGroup, type ReceivedRecord } from './request.ts';

const MOST_LEVELS = 32;

/**
 * Reads the same request in protobuf's JSON mapping, as OTLP has it: 64-bit integers as text or numbers, keys in lowerCamelCase.
 * @throws Error if it is none
 */
export function decodeJson(bytes: Buffer): ReceivedGroup[] {
  const request = objectAt(parseExact(bytes.toString()), 'the request');
  return list(request.resourceLogs, 'resourceLogs').flatMap((each) => {
    const resourceLogs = objectAt(each, 'resourceLogs');
    const resource = attributes(objectAt(resourceLogs.resource ?? {}, 'resource').attributes);
    return list(resourceLogs.scopeLogs, 'scopeLogs').map((inner) => {
      const scopeLogs = objectAt(inner, 'scopeLogs');
      const scope = objectAt(scopeLogs.scope ?? {}, 'scope');
      return {
        resource,
        resourceSchemaUrl: text(resourceLogs.schemaUrl, 'schemaUrl'),
        scope: {
          name: text(scope.name, 'scope.name'),
          version: text(scope.version, 'scope.version'),
          schemaUrl: text(scopeLogs.schemaUrl, 'schemaUrl'),
        },
        records: list(scopeLogs.logRecords, 'logRecords').map((record) => recordOf(objectAt(record, 'logRecords'))),
      };
    });
  });
}

type Json = Readonly<Record<string, unknown>>;

function recordOf(record: Json): ReceivedRecord {
  return {
    eventName: text(record.eventName, 'eventName'),
    timeNanos: BigInt.asUintN(64, integer(record.timeUnixNano, 'timeUnixNano')),
    observedNanos: BigInt.asUintN(64, integer(record.observedTimeUnixNano, 'observedTimeUnixNano')),
    severityNumber: Number(integer(record.severityNumber, 'severityNumber')),
    severityText: text(record.severityText, 'severityText'),
    body: anyValue(record.body ?? {}, 0),
    attributes: attributes(record.attributes),
  };
}

function attributes(value: unknown, level = 0): Attributes {
  const pairs = list(value, 'attributes').map((pair) => {
    const { key, value: inner } = objectAt(pair, 'attributes');
    return [text(key, 'attributes.key'), anyValue(inner ?? {}, level)] as const;
  });
  return Object.fromEntries(pairs);
}

function anyValue(value: unknown, level: number): AnyValue {
  if (level > MOST_LEVELS) throw new Error(`values in one another more than ${MOST_LEVELS} levels deep`);
  const any = objectAt(value, 'value');
  if (any.stringValue !== undefined) return text(any.stringValue, 'stringValue');
  if (any.boolValue !== undefined) return any.boolValue === true;
  if (any.intValue !== undefined) return integerValue(integer(any.intValue, 'intValue'));
  if (any.doubleValue !== undefined) return Number(any.doubleValue);
  if (any.arrayValue !== undefined) {
    const { values } = objectAt(any.arrayValue, 'arrayValue');
    return list(values, 'arrayValue.values').map((item) => anyValue(item, level + 1));
  }
  if (any.kvlistValue !== undefined)
    return attributes(objectAt(any.kvlistValue, 'kvlistValue').values, level + 1) as AnyValue;
  return any.bytesValue === undefined ? null : text(any.bytesValue, 'bytesValue');
}

function objectAt(value: unknown, place: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw new Error(`${place}: expected an object, got ${nameOf(value)}`);
}

function list(value: unknown, place: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw new Error(`${place}: expected a list, got ${nameOf(value)}`);
}

function text(value: unknown, place: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  throw new Error(`${place}: expected text, got ${nameOf(value)}`);
}

function integer(value: unknown, place: string): bigint {
  if (value === undefined || value === null) return 0n;
  if (typeof value === 'bigint') return value;
  const isInteger = typeof value === 'number' ? Number.isSafeInteger(value) : /^-?\d{1,20}$/.test(String(value));
  if (isInteger) return BigInt(value as string | number);
  throw new Error(`${place}: expected an integer, got ${nameOf(value)}`);
}

function nameOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : JSON.stringify(value)?.slice(0, 60);
}
