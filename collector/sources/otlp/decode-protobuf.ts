import type { AnyValue } from '@opentelemetry/api';
import { Message } from '../../protobuf.ts';
import { type Attributes, integerValue, type ReceivedGroup, type ReceivedRecord } from './request.ts';

/** A value of a value of a value: nobody sends more. */
const MOST_LEVELS = 32;

/**
 * Reads an ExportLogsServiceRequest (opentelemetry-proto, logs/v1 and common/v1).
 * @throws Error if it is none
 */
export function decodeProtobuf(bytes: Buffer): ReceivedGroup[] {
  return new Message(bytes).messages(1).flatMap((resourceLogs) => {
    const resource = attributes(resourceLogs.message(1), 1);
    const resourceSchemaUrl = resourceLogs.text(3);
    return resourceLogs.messages(2).map((scopeLogs) => {
      const scope = scopeLogs.message(1);
      return {
        resource,
        resourceSchemaUrl,
        scope: { name: scope.text(1), version: scope.text(2), schemaUrl: scopeLogs.text(3) },
        records: scopeLogs.messages(2).map(record),
      };
    });
  });
}

function record(message: Message): ReceivedRecord {
  return {
    eventName: message.text(12),
    timeNanos: message.unsigned(1),
    observedNanos: message.unsigned(11),
    severityNumber: Number(message.integer(2)),
    severityText: message.text(3),
    body: anyValue(message.message(5), 0),
    attributes: attributes(message, 6),
  };
}

function attributes(message: Message, field: number, level = 0): Attributes {
  return Object.fromEntries(message.messages(field).map((pair) => [pair.text(1), anyValue(pair.message(2), level)]));
}

function anyValue(value: Message, level: number): AnyValue {
  if (level > MOST_LEVELS) throw new Error(`values in one another more than ${MOST_LEVELS} levels deep`);
  if (value.has(1)) return value.text(1);
  if (value.has(2)) return value.flag(2);
  if (value.has(3)) return integerValue(value.integer(3));
  if (value.has(4)) return value.double(4);
  if (value.has(5))
    return value
      .message(5)
      .messages(1)
      .map((item) => anyValue(item, level + 1));
  if (value.has(6)) return attributes(value.message(6), 1, level + 1);
  return value.bytes(7)?.toString('base64') ?? null;
}
