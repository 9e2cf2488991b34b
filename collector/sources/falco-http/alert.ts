import type { Detection, FieldValue } from '../../detection/detection.ts';
import { parseExact } from '../../detection/json.ts';
import { PRIORITIES, parsePriority } from '../../detection/priority.ts';
import { formatTime, nowNanos } from '../../detection/time.ts';
import { timestampNanos } from '../../detection/timestamp.ts';
import { repeatableUuid } from '../../detection/uuid.ts';
import type { ReceiverOutcome } from '../../telemetry/metrics.ts';

/** Why a text is no alert. */
export class AlertError extends Error {
  readonly outcome: ReceiverOutcome;

  constructor(outcome: ReceiverOutcome, message: string) {
    super(message);
    this.outcome = outcome;
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Reads one alert as Falco's `http_output` or Falcosidekick sends it. Strict about what it says, tolerant of what versions and settings of Falco leave
 * out or write in another way.
 *
 * Falco gives its alerts no id. One that has none gets it from its time and its text: sent again, as Falco does after a time limit, it is the same one.
 * @param hostname of an alert that names none, as those of Falco before 0.33
 * @throws AlertError
 */
export function parseAlert(text: string, hostname: string): Detection {
  const alert = objectIn(text);
  const fields = outputFields(alert.output_fields);
  const rule = textAt(alert, 'rule');
  if (rule === undefined || rule === '')
    throw new AlertError('invalid', `rule: expected a name, got ${show(alert.rule)}`);
  const nanos = timeOf(alert.time, fields);
  return {
    uuid: uuidOf(alert) ?? repeatableUuid(nanos, text),
    time: formatTime(nanos),
    observed_time: formatTime(nowNanos()),
    rule,
    priority: priorityOf(alert.priority),
    source: textAt(alert, 'source') || 'syscall', // Falco had no other before it wrote this key
    tags: tagsOf(alert.tags),
    hostname: textAt(alert, 'hostname') || hostname,
    // `json_include_output_property` and `json_include_message_property` switch them on and off.
    output: textAt(alert, 'output') ?? textAt(alert, 'message') ?? rule,
    output_fields: fields,
    evidence: {},
    description: '',
    ruleset: 'falco',
  };
}

type Json = Readonly<Record<string, unknown>>;

function objectIn(text: string): Json {
  let value: unknown;
  try {
    value = parseExact(text);
  } catch (error) {
    const remedy = 'Falco sends text unless json_output is true';
    throw new AlertError('malformed', `no JSON: ${(error as Error).message}; ${remedy}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw new AlertError('malformed', `expected one alert as a JSON object, got ${show(value)}`);
}

function textAt(alert: Json, key: string): string | undefined {
  const value = alert[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  throw new AlertError('invalid', `${key}: expected text, got ${show(value)}`);
}

function uuidOf(alert: Json): string | undefined {
  const uuid = textAt(alert, 'uuid');
  if (uuid === undefined || uuid === '') return undefined;
  if (UUID.test(uuid)) return uuid.toLowerCase();
  throw new AlertError('invalid', `uuid: expected a UUID, got ${show(uuid)}`);
}

/** An alert of a severity that nobody knows would pass no filter, or every one: it is not guessed. */
function priorityOf(value: unknown): Detection['priority'] {
  const priority = typeof value === 'string' ? parsePriority(value) : undefined;
  if (priority !== undefined) return priority;
  throw new AlertError('unknown_priority', `priority: expected one of ${PRIORITIES.join(', ')}, got ${show(value)}`);
}

/** `2026-11-22T04:00:00.123456789Z`, or with +0000, as `%evt.time.iso8601` has it. */
function timeOf(value: unknown, fields: Detection['output_fields']): bigint {
  const given = value ?? fields['evt.time.iso8601'];
  const written = typeof given === 'string' ? given.replace(/([+-]\d\d)(\d\d)$/, '$1:$2') : undefined;
  const nanos = timestampNanos(written) ?? (given === undefined ? wholeNanos(fields['evt.time']) : undefined);
  if (nanos !== undefined) return nanos;
  throw new AlertError('invalid', `time: expected an RFC 3339 time, got ${show(value)}`);
}

function wholeNanos(value: unknown): bigint | undefined {
  const isWhole = typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
  return isWhole && value > 0 ? BigInt(value) : undefined;
}

function tagsOf(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((tag) => typeof tag === 'string')) return value;
  throw new AlertError('invalid', `tags: expected a list of texts, got ${show(value)}`);
}

function outputFields(value: unknown): Detection['output_fields'] {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw new AlertError('invalid', `output_fields: expected a mapping, got ${show(value)}`);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, fieldValue(name, field)]));
}

function fieldValue(name: string, value: unknown): FieldValue | null {
  if (value === null || ['string', 'number', 'bigint', 'boolean'].includes(typeof value)) return value as FieldValue;
  const isFlat = Array.isArray(value) && value.every((item) => item === null || typeof item !== 'object');
  if (isFlat) return value.map(String);
  const expected = 'expected a text, a number, true, false, null or a list of them';
  throw new AlertError('invalid', `output_fields.${name.slice(0, 60)}: ${expected}, got ${show(value)}`);
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a mapping';
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : String(value);
}
