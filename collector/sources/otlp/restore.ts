import { resourceFromAttributes } from '@opentelemetry/resources';
import type { AttributeValue } from '../../detection/attribute-value.ts';
import type { Detection } from '../../detection/detection.ts';
import { fieldsOfAttributes } from '../../detection/fields-of-attributes.ts';
import { ATTRIBUTES, EVENT_NAME, SCOPE_NAME } from '../../detection/log-record.ts';
import { PRIORITIES, parsePriority } from '../../detection/priority.ts';
import { formatTime, nowNanos } from '../../detection/time.ts';
import type { ReceiverOutcome } from '../../telemetry/metrics.ts';
import type { ForeignRecord, RecordOrigin } from '../receiver.ts';
import { type Attributes, hrTime, type ReceivedGroup, type ReceivedRecord } from './request.ts';

/** A record that is not taken, and why. */
export interface Refused {
  readonly outcome: ReceiverOutcome;
  readonly message: string;
}

export interface Restored {
  readonly detection: Detection;
  readonly foreign: ForeignRecord;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function originOf({ resource, resourceSchemaUrl, scope }: ReceivedGroup): RecordOrigin {
  const options = resourceSchemaUrl === '' ? undefined : { schemaUrl: resourceSchemaUrl };
  return {
    key: JSON.stringify([resource, resourceSchemaUrl, scope]),
    resource: resourceFromAttributes(resource as Record<string, AttributeValue>, options),
    scope: { name: scope.name, version: scope.version || undefined, schemaUrl: scope.schemaUrl || undefined },
  };
}

/**
 * The detection that a Shikra made the record from, under the same uuid: sent again, it is known. The record itself goes on as it is, with all that the sender's
 * processors have made of it.
 */
export function restore(record: ReceivedRecord, group: ReceivedGroup, origin: RecordOrigin): Restored | Refused {
  const mistake = mistakeOf(record, group.scope.name);
  if (mistake !== undefined) return mistake;
  const { attributes } = record;
  const text = (name: string): string => (typeof attributes[name] === 'string' ? attributes[name] : '');
  const source = text(ATTRIBUTES.source);
  const timeNanos = record.timeNanos || record.observedNanos;
  const observedNanos = record.observedNanos || nowNanos();
  const tags = attributes[ATTRIBUTES.tags];
  const detection: Detection = {
    uuid: text(ATTRIBUTES.uid),
    time: formatTime(timeNanos),
    observed_time: formatTime(observedNanos),
    rule: text(ATTRIBUTES.rule),
    priority: parsePriority(text(ATTRIBUTES.priority))!,
    source,
    tags: Array.isArray(tags) ? tags.map(String) : [],
    hostname: String(group.resource['host.name'] ?? attributes['host.name'] ?? ''),
    output: typeof record.body === 'string' ? record.body : JSON.stringify(record.body),
    output_fields: { 'evt.time': timeNanos, ...fieldsOfAttributes(flat(attributes), source) },
    evidence: {},
    description: text('security_rule.description'),
    ruleset: text('security_rule.ruleset.name'),
  };
  const { severityNumber, severityText, body } = record;
  const foreign = {
    eventName: EVENT_NAME,
    timestamp: hrTime(timeNanos),
    observedTimestamp: hrTime(observedNanos),
    severityNumber,
    severityText,
    body,
    attributes,
  };
  return { detection, foreign: { record: foreign, origin } };
}

function mistakeOf(
  { eventName, attributes, timeNanos, observedNanos }: ReceivedRecord,
  scope: string,
): Refused | undefined {
  // A Collector of before 2025 drops the name of an event; the scope is still there.
  const isDetection = eventName === EVENT_NAME || (eventName === '' && scope === SCOPE_NAME);
  if (!isDetection) {
    const found = eventName === '' ? 'none' : JSON.stringify(eventName.slice(0, 60));
    return { outcome: 'foreign', message: `no detection: expected event name ${EVENT_NAME}, got ${found}` };
  }
  const invalid = (name: string, expected: string): Refused => {
    const found = attributes[name] === undefined ? 'nothing' : JSON.stringify(attributes[name]).slice(0, 60);
    return { outcome: 'invalid', message: `${name}: expected ${expected}, got ${found}` };
  };
  if (!UUID.test(String(attributes[ATTRIBUTES.uid]))) return invalid(ATTRIBUTES.uid, 'a UUID');
  for (const name of [ATTRIBUTES.rule, ATTRIBUTES.source])
    if (typeof attributes[name] !== 'string' || attributes[name] === '') return invalid(name, 'text');
  if (parsePriority(String(attributes[ATTRIBUTES.priority])) === undefined)
    return { ...invalid(ATTRIBUTES.priority, `one of ${PRIORITIES.join(', ')}`), outcome: 'unknown_priority' };
  if (timeNanos === 0n && observedNanos === 0n) return { outcome: 'invalid', message: 'expected a time, got none' };
  return undefined;
}

/** As rules see values: what is nested is text. */
function flat(attributes: Attributes): Record<string, AttributeValue> {
  const entries = Object.entries(attributes).flatMap(([name, value]) => {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value))
      return [[name, value.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)))]];
    return [[name, typeof value === 'object' ? JSON.stringify(value) : value]];
  });
  return Object.fromEntries(entries);
}
