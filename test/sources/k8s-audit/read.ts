import assert from 'node:assert/strict';
import type { FieldValue } from '../../../collector/detection/detection.ts';
import { type AuditEvent, AuditFields, AuditParser } from '../../../collector/sources/k8s-audit/index.ts';

const fields = new AuditFields({ hostname: 'node-1' });

/** One event that must be right. */
export function parsed(json: object): AuditEvent {
  const { events, problems } = new AuditParser().parse(JSON.stringify(json));
  assert.deepEqual(problems, []);
  assert.equal(events.length, 1);
  return events[0]!;
}

/** @param field as a rule writes it: `ka.uri.param[command]` */
export function fieldOf(event: AuditEvent, field: string): FieldValue | undefined {
  const [, name, argument] = /^([^[]+)(?:\[(.*)\])?$/.exec(field)!;
  return fields.getter(argument === undefined ? { name: name! } : { name: name!, argument })?.(event);
}
