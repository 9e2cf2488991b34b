import { jsonText, member } from './json.ts';

/** evt.type of audit events: Falco's name of what a plugin delivers. */
export const AUDIT_EVENT_TYPE = 'pluginevent';
/** By {@link AuditEvent.type}, for the engine. */
export const AUDIT_EVENT_TYPE_NAMES: readonly string[] = [AUDIT_EVENT_TYPE];

/** One event of the Kubernetes audit log as rules see it. Fields are read from the JSON when a rule asks for them. */
export class AuditEvent {
  readonly type = 0;
  /** An audit event has no path that could be spelled in several ways. */
  readonly spellings = 0;
  spelling = 0;
  /** Number of the event since start, from 1. */
  readonly number: number;
  /** When its stage was reached, in nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** The event as it came. */
  readonly json: object;
  /** The same for `ka.*`: as in Falco, only what has an id is an audit event to them. */
  readonly audit: object;
  readonly #texts = new Map<object, string>();

  constructor(json: object, timeNs: bigint, number: number) {
    this.json = json;
    this.timeNs = timeNs;
    this.number = number;
    this.audit = member(json, 'auditID') === undefined ? {} : json;
  }
  /** A part of it as text. Rules ask for that of the whole request again and again: it is made once. */
  textOf(part: unknown): string | undefined {
    if (typeof part !== 'object' || part === null) return jsonText(part);
    const known = this.#texts.get(part);
    if (known !== undefined) return known;
    const text = JSON.stringify(part);
    this.#texts.set(part, text);
    return text;
  }
}
