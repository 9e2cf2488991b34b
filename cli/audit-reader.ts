import { AuditEvent, AuditFields } from '../collector/sources/k8s-audit/index.ts';
import type { AuditReader } from '../rules/testing/case-event.ts';

/** Audit events of cases are read by the code that reads those of a cluster. */
export const readAudit: AuditReader = (json, timeNs, number) => {
  const event = new AuditEvent(json, timeNs, number);
  return (field) => FIELDS.getter(field)?.(event);
};

const FIELDS = new AuditFields({ hostname: 'host' });
