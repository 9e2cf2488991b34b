import type { FieldValue } from '../../../detection/detection.ts';
import type { AuditEvent } from '../audit-event.ts';

/** What fields are taken from beside the event itself. */
export interface AuditFieldContext {
  readonly hostname: string;
}

export type Getter = (event: AuditEvent) => FieldValue | undefined;

/** A field by its argument; undefined if it has no value with that argument. */
export type ArgumentGetter = (argument: string | undefined, context: AuditFieldContext) => Getter | undefined;

export type FieldTable = Readonly<Record<string, ArgumentGetter>>;

/** A field that takes no argument. */
export function plain(getter: Getter): ArgumentGetter {
  return () => getter;
}
