import { timestampNanos } from '../../detection/timestamp.ts';
import type { AuditRejection } from '../../telemetry/collector-stats.ts';
import { AuditEvent } from './audit-event.ts';
import { isDeeperThan, member } from './json.ts';

export interface AuditProblem {
  readonly reason: AuditRejection;
  /** Where: `items[3]`, or with a file `audit.log:17`. '' is the whole text. */
  readonly place: string;
  /** What was found and what was expected. */
  readonly message: string;
}

export interface ParsedAudit {
  readonly events: AuditEvent[];
  /** What was left out, the first {@link LISTED_PROBLEMS}. */
  readonly problems: AuditProblem[];
  readonly rejected: number;
}

export interface AuditParserOptions {
  /** A text of more bytes is refused as a whole. Falco's limit of a request by default. */
  readonly maxBytes?: number;
}

export interface AuditParserStats {
  readonly accepted: number;
  readonly rejected: Readonly<Record<AuditRejection, number>>;
}

/** 20 % above the largest batch that kube-apiserver sends unless it is told otherwise. */
export const DEFAULT_MAX_BYTES = 12 * 1024 * 1024;
/** A batch of garbage is described by its first items; all of them are counted. */
export const LISTED_PROBLEMS = 20;
/** Objects of Kubernetes have some twenty levels. Far fewer than those that overflow the stack of whoever prints them. */
const MAX_LEVELS = 200;
/** Lists of lists: nobody sends them, but they are read as Falco does. */
const MAX_LISTS = 8;

/**
 * Reads audit events (audit.k8s.io) out of JSON: an Event, an EventList, or an array of them. A bad item costs only itself: it is counted and described,
 * the others are events. Never throws for what stands in a text.
 */
export class AuditParser {
  readonly #maxBytes: number;
  readonly #rejected: Record<AuditRejection, number> = {
    malformed: 0,
    too_large: 0,
    too_deep: 0,
    not_audit: 0,
    no_time: 0,
    unreadable: 0,
    failed: 0,
  };
  #accepted = 0;

  constructor({ maxBytes = DEFAULT_MAX_BYTES }: AuditParserOptions = {}) {
    this.#maxBytes = maxBytes;
  }

  get stats(): AuditParserStats {
    return { accepted: this.#accepted, rejected: { ...this.#rejected } };
  }

  /**
   * @param place of the text, for problems: `audit.log:17`; '' if there is nothing to say
   * @param maxBytes of this text
   */
  parse(text: string, place = '', maxBytes = this.#maxBytes): ParsedAudit {
    const found = new Findings(place, this.#rejected);
    const value = this.#read(text, maxBytes, found);
    if (value !== undefined) this.#take(value, '', found);
    return found;
  }

  /** Counts what never came here, such as a line that is too long, or what went wrong afterwards. */
  reject(reason: AuditRejection, message: string, place: string): AuditProblem {
    this.#rejected[reason]++;
    return { reason, message, place };
  }

  #read(text: string, maxBytes: number, found: Findings): unknown {
    if (isLarger(text, maxBytes)) {
      found.reject('too_large', '', `more than ${maxBytes} bytes`);
      return undefined;
    }
    try {
      return JSON.parse(text);
    } catch (error) {
      found.reject('malformed', '', `no JSON: ${(error as Error).message}`);
      return undefined;
    }
  }

  #take(value: unknown, place: string, found: Findings, lists = 0): void {
    if (Array.isArray(value)) {
      if (lists === MAX_LISTS) found.reject('too_deep', place, `more than ${MAX_LISTS} lists in one another`);
      else for (const [index, item] of value.entries()) this.#take(item, `${place}[${index}]`, found, lists + 1);
      return;
    }
    const mistake = mistakeOf(value);
    if (mistake !== undefined) found.reject('not_audit', place, mistake);
    else if (member(value, 'kind') === 'EventList') this.#takeList(value, place, found);
    else this.#takeEvent(value as object, place, found);
  }

  #takeList(list: unknown, place: string, found: Findings): void {
    const events = member(list, 'items');
    // An empty list of Go is null.
    if (events === null || events === undefined) return;
    if (!Array.isArray(events)) {
      found.reject('not_audit', join(place, 'items'), `expected a list of events, got ${nameOf(events)}`);
      return;
    }
    for (const [index, item] of events.entries()) this.#takeItem(item, join(place, `items[${index}]`), found);
  }

  /** Items of a list do not say what they are. */
  #takeItem(item: unknown, place: string, found: Findings): void {
    const mistake = isObject(item) ? undefined : `expected an audit event, got ${nameOf(item)}`;
    if (mistake !== undefined) found.reject('not_audit', place, mistake);
    else this.#takeEvent(item as object, place, found);
  }

  #takeEvent(event: object, place: string, found: Findings): void {
    const timeNs =
      timestampNanos(member(event, 'stageTimestamp')) ?? timestampNanos(member(event, 'requestReceivedTimestamp'));
    if (timeNs === undefined) {
      const given = member(event, 'stageTimestamp') ?? member(event, 'requestReceivedTimestamp');
      const got = given === undefined ? 'neither' : JSON.stringify(given)?.slice(0, 60);
      found.reject(
        'no_time',
        place,
        `expected an RFC 3339 time in stageTimestamp or requestReceivedTimestamp, got ${got}`,
      );
      return;
    }
    if (isDeeperThan(event, MAX_LEVELS)) {
      found.reject('too_deep', place, `objects in one another more than ${MAX_LEVELS} levels deep`);
      return;
    }
    found.events.push(new AuditEvent(event, timeNs, ++this.#accepted));
  }
}

/** Collects what one text held. */
class Findings implements ParsedAudit {
  readonly events: AuditEvent[] = [];
  readonly problems: AuditProblem[] = [];
  rejected = 0;
  readonly #place: string;
  readonly #counts: Record<AuditRejection, number>;

  constructor(place: string, counts: Record<AuditRejection, number>) {
    this.#place = place;
    this.#counts = counts;
  }

  reject(reason: AuditRejection, place: string, message: string): void {
    this.rejected++;
    this.#counts[reason]++;
    if (this.problems.length === LISTED_PROBLEMS) return;
    this.problems.push({ reason, place: [this.#place, place].filter((part) => part !== '').join(' '), message });
  }
}

/** What is wrong with something that should say of itself that it is an audit event or a list of them. */
function mistakeOf(value: unknown): string | undefined {
  if (!isObject(value)) return `expected an audit event, got ${nameOf(value)}`;
  const kind = member(value, 'kind');
  const version = member(value, 'apiVersion');
  if (kind !== 'Event' && kind !== 'EventList')
    return `expected kind Event or EventList, got ${kind === undefined ? 'none' : JSON.stringify(kind).slice(0, 60)}`;
  if (version === undefined || (typeof version === 'string' && version.startsWith('audit.k8s.io/'))) return undefined;
  const hint =
    version === 'v1' || version === 'events.k8s.io/v1' ? ': an event of the cluster, not of its audit log' : '';
  return `expected apiVersion audit.k8s.io/v1, got ${JSON.stringify(version).slice(0, 60)}${hint}`;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function join(place: string, inner: string): string {
  return place === '' ? inner : `${place}.${inner}`;
}

function isLarger(text: string, bytes: number): boolean {
  return text.length * 3 > bytes && Buffer.byteLength(text) > bytes;
}
