import { type Context, createContextKey, type LogRecord, ROOT_CONTEXT } from '@opentelemetry/api';
import { AttributeList } from './attribute-list.ts';
import type { Detection } from './detection.ts';
import { applyLimits } from './limits.ts';
import { addRule } from './rule-attributes.ts';
import { SEVERITIES } from './severity.ts';
import { addSubject } from './subject-attributes.ts';
import { parseTime } from './time.ts';

export const EVENT_NAME = 'shikra.detection';
export const SCOPE_NAME = 'shikra.detector';
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.44.0';

/** Attributes that other parts of Shikra read back from a record. */
export const ATTRIBUTES = {
  uid: 'log.record.uid',
  rule: 'security_rule.name',
  priority: 'shikra.priority',
  source: 'shikra.event.source',
  tags: 'shikra.rule.tags',
  eventsDropped: 'shikra.events.dropped',
  dropRatio: 'shikra.events.drop_ratio',
} as const;

const DETECTION_KEY = createContextKey('shikra detection');

/**
 * The OpenTelemetry log record of a detection: the one place where the two meet.
 * The same detection always gives the same record, so that a record sent twice can be recognised (`log.record.uid`, both times, all attributes equal).
 * The detection itself travels along in the record's context; {@link detectionIn} takes it out.
 * @param written the detection as `stringifyExact` writes it, if it was written already
 */
export function toLogRecord(detection: Detection, written?: string): LogRecord & { readonly context: Context } {
  const severity = SEVERITIES[detection.priority];
  const all = new AttributeList();
  all.add(ATTRIBUTES.uid, detection.uuid);
  all.add(ATTRIBUTES.priority, detection.priority.toLowerCase());
  all.add(ATTRIBUTES.source, detection.source);
  addRule(all, detection);
  addSubject(all, detection);
  const { body, attributes } = applyLimits(detection.output, all);
  return {
    eventName: EVENT_NAME,
    timestamp: parseTime(detection.time),
    observedTimestamp: parseTime(detection.observed_time),
    severityNumber: severity.number,
    severityText: severity.text,
    body,
    attributes,
    context: contextOf(detection, written),
  };
}

/** The record with the detection that it was made from elsewhere. */
export function withDetection(record: LogRecord, detection: Detection): LogRecord & { readonly context: Context } {
  return { ...record, context: contextOf(detection) };
}

interface Source {
  readonly detection: Detection;
  readonly written: string | undefined;
}

function contextOf(detection: Detection, written?: string): Context {
  return ROOT_CONTEXT.setValue(DETECTION_KEY, { detection, written } satisfies Source);
}

/** The detection that a record was made from; undefined for a record that is not Shikra's. */
export function detectionIn(context: Context | undefined): Detection | undefined {
  return sourceIn(context)?.detection;
}

/** The text of {@link detectionIn}, if it was written already. */
export function writtenDetectionIn(context: Context | undefined): string | undefined {
  return sourceIn(context)?.written;
}

function sourceIn(context: Context | undefined): Source | undefined {
  return context?.getValue(DETECTION_KEY) as Source | undefined;
}
