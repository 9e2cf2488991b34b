import type { AnyValue, LogRecord } from '@opentelemetry/api';
import type { Detection, FieldValue } from '../detection/detection.ts';
import type { ForeignRecord } from '../sources/receiver.ts';
import type { RedactionConfig } from './config.ts';
import { createRedact, type Redact } from './text.ts';

/** Fields that hold command lines, whole or in parts; `proc.acmdline[2]` too. */
const FIELD = /^(?:proc\.[apsv]{0,2}(?:cmdline|args|exeline|env)|evt\.(?:args?|rawarg|info))(?:[.[]|$)/;
/** The attributes that are made from them. */
const ATTRIBUTE =
  /^(?:process\.command_(?:line|args)|shikra\.process\.parent\.command_line|shikra\.field\.proc\.[apsv]{0,2}(?:cmdline|args|exeline|env)|shikra\.event\.(?:args?|rawarg|info))(?:\.|$)/;

/** Where something was hidden, in a detection: fields, or `output`. */
const MARK = 'shikra.redacted';

export interface Redaction {
  detection(detection: Detection): Detection;
  /** The same for a record of somebody else, which may not have hidden anything. */
  foreign(record: ForeignRecord): ForeignRecord;
}

/** Hides secrets of command lines in what is stored and sent. What nothing is hidden in stays the same object. */
export function createRedaction(config: RedactionConfig): Redaction | undefined {
  if (!config.command_lines) return undefined;
  const redact = createRedact(config.patterns);
  return {
    detection: (detection) => redactDetection(detection, redact),
    foreign: ({ record, origin }) => ({ record: redactRecord(record, redact), origin }),
  };
}

function redactDetection(detection: Detection, redact: Redact): Detection {
  const hidden = new Map<string, string>();
  const names = new Set<string>();
  const output_fields = redactFields(detection.output_fields, redact, names, hidden);
  const evidence = redactFields(detection.evidence, redact, names, hidden);
  const output = redactOutput(detection.output, redact, hidden);
  if (output !== detection.output) names.add('output');
  if (names.size === 0) return detection;
  return { ...detection, output, output_fields, evidence: { ...evidence, [MARK]: [...names] } };
}

/** @param hidden command lines as they were and as they are: the output has them as they were */
function redactOutput(output: string, redact: Redact, hidden: ReadonlyMap<string, string>): string {
  let text = output;
  for (const [before, after] of hidden) text = text.replaceAll(before, () => after);
  return redact.prose(text);
}

function redactFields<V extends FieldValue | null>(
  fields: Readonly<Record<string, V>>,
  redact: Redact,
  names: Set<string>,
  hidden: Map<string, string>,
): Readonly<Record<string, V>> {
  let changed: Record<string, V> | undefined;
  for (const name of Object.keys(fields)) {
    if (!isCommand(name)) continue;
    const value = fields[name]!;
    const clean = redactValue(value, redact);
    if (clean === value) continue;
    names.add(name);
    if (typeof value === 'string') hidden.set(value, String(clean));
    changed ??= { ...fields };
    changed[name] = clean as V;
  }
  return changed ?? fields;
}

function redactRecord(record: LogRecord, redact: Redact): LogRecord {
  const hidden = new Map<string, string>();
  const attributes: Record<string, AnyValue> = { ...record.attributes };
  const names: string[] = [];
  for (const [name, value] of Object.entries(attributes)) {
    if (!ATTRIBUTE.test(name)) continue;
    const clean = redactValue(value, redact) as AnyValue;
    if (clean === value) continue;
    names.push(name);
    attributes[name] = clean;
    if (typeof value === 'string') hidden.set(value, String(clean));
  }
  const body = typeof record.body === 'string' ? redactOutput(record.body, redact, hidden) : record.body;
  if (body !== record.body) names.push('body');
  return names.length === 0 ? record : { ...record, body, attributes: { ...attributes, [MARK]: names } };
}

const known = new Map<string, boolean>();
/** Names of fields are few, but who sends alerts may make some up. */
const MOST_KNOWN = 10_000;

function isCommand(field: string): boolean {
  const answer = known.get(field) ?? FIELD.test(field);
  if (known.size < MOST_KNOWN) known.set(field, answer);
  return answer;
}

/** Of a list also what stands in the next item: `--password`, `x`. */
function redactValue(value: AnyValue | FieldValue | null, redact: Redact): unknown {
  if (typeof value === 'string') return redact.commandLine(value);
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) return value;
  const clean = value.map((item, index) => {
    const before = index === 0 ? '' : `${value[index - 1]} `;
    return redact.commandLine(`${before}${item}`).slice(redact.commandLine(before).length);
  });
  return clean.some((item, index) => item !== value[index]) ? clean : value;
}
