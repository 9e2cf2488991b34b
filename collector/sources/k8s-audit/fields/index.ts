import type { FieldGetter, FieldReference, FieldResolver } from '../../../../rules/index.ts';
import type { FieldValue } from '../../../detection/detection.ts';
import type { AuditEvent } from '../audit-event.ts';
import { AUDIT_FIELDS } from './audit-fields.ts';
import type { AuditFieldContext, FieldTable, Getter } from './context.ts';
import { EVENT_FIELDS } from './event-fields.ts';
import { POD_FIELDS } from './pod-fields.ts';
import { REQUEST_FIELDS } from './request-fields.ts';

const FIELDS: FieldTable = { ...EVENT_FIELDS, ...AUDIT_FIELDS, ...REQUEST_FIELDS, ...POD_FIELDS };

/** Gives rules the fields of audit events. */
export class AuditFields implements FieldResolver<AuditEvent> {
  readonly #context: AuditFieldContext;

  constructor(context: AuditFieldContext) {
    this.#context = context;
  }

  getter({ name, argument }: FieldReference): FieldGetter<AuditEvent> | undefined {
    return Object.hasOwn(FIELDS, name) ? FIELDS[name]!(argument, this.#context) : undefined;
  }
}

/** What a detection's log record is made from, whether or not the rule's output names it. */
const EVIDENCE = [
  'ka.auditid',
  'ka.stage',
  'ka.verb',
  'ka.uri',
  'ka.user.name',
  'ka.user.groups',
  'ka.impuser.name',
  'ka.target.resource',
  'ka.target.subresource',
  'ka.target.namespace',
  'ka.target.name',
  'ka.resp.name',
  'ka.response.code',
  'ka.response.reason',
  'ka.auth.decision',
  'ka.auth.reason',
  'ka.useragent',
  'ka.sourceips',
  'ka.cluster.name',
  'ka.req.pod.containers.image',
] as const;
const EVIDENCE_GETTERS: readonly (readonly [string, Getter])[] = EVIDENCE.map((name) => [
  name,
  FIELDS[name]!(undefined, { hostname: '' })!,
]);

/** Collects the evidence of an event. Called for detections only. */
export function auditEvidence(event: AuditEvent): Record<string, FieldValue> {
  const evidence: Record<string, FieldValue> = {};
  for (const [name, getter] of EVIDENCE_GETTERS) {
    const value = getter(event);
    if (value !== undefined) evidence[name] = value;
  }
  return evidence;
}
