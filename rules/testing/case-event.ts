import type { FieldValue } from '../../collector/detection/detection.ts';
import { type FieldReference, fieldText } from '../fields/catalogue.ts';
import { NUMBER_ARGUMENTS } from '../fields/evt.ts';
import type { FieldGetter, FieldResolver } from '../language/evaluate.ts';
import { argumentsOf, DERIVED, DERIVED_OF_PROCESS, type Facts, PARENT_PID, type ProcessFacts } from './derive.ts';
import { type Given, Spellings } from './value.ts';

/** What a case says of an event, before anything is derived. */
export interface EventFacts {
  readonly type: string;
  readonly source: string;
  /** By the text of the field (`fieldText`). */
  readonly given: ReadonlyMap<string, Given>;
  /** Nearest first; keys are those of `proc.` fields without the prefix. */
  readonly parents: readonly ReadonlyMap<string, FieldValue>[];
  /** Arguments that the case gives as a list: one may hold a blank. */
  readonly argv: readonly string[] | undefined;
  readonly env: ReadonlyMap<string, string> | undefined;
  readonly inContainer: boolean;
  /** The audit event as JSON; only for source k8s_audit. */
  readonly audit: unknown;
}

/** 2026-01-01 00:00 UTC, the time at which every case starts. */
const START_NS = 1_767_225_600_000_000_000n;
const IN_PROGRESS = Symbol('in progress');

/** An event of a case, with the fields that follow from what the case says. */
export class CaseEvent implements Facts {
  readonly type: string;
  readonly source: string;
  readonly number: number;
  readonly timeNs: bigint;
  /** Since the start of the case. */
  readonly sinceStartNs: bigint;
  readonly inContainer: boolean;
  readonly parents: readonly ProcessFacts[];
  readonly spellings: number;
  readonly facts: EventFacts;
  #spelling = 0;
  #values = new Map<string, FieldValue | undefined | typeof IN_PROGRESS>();

  constructor(facts: EventFacts, number: number, sinceStartNs: bigint) {
    this.facts = facts;
    this.type = facts.type;
    this.source = facts.source;
    this.number = number;
    this.sinceStartNs = sinceStartNs;
    this.timeNs = START_NS + sinceStartNs;
    this.inContainer = facts.inContainer;
    this.parents = facts.parents.map((given, index) => new ParentFacts(given, PARENT_PID(index + 1)));
    const paths = [...facts.given.values()].filter((value) => value instanceof Spellings);
    this.spellings = Math.max(1, ...paths.map((value) => value.paths.length));
  }

  /** Which spelling of its paths is in force. */
  set spelling(spelling: number) {
    if (spelling !== this.#spelling) this.#values = new Map();
    this.#spelling = spelling;
  }

  given(key: string): FieldValue | undefined {
    const value = this.facts.given.get(key);
    if (!(value instanceof Spellings)) return value ?? undefined;
    return value.paths[Math.min(this.#spelling, value.paths.length - 1)];
  }

  get(key: string): FieldValue | undefined {
    if (this.facts.given.has(key)) return this.given(key);
    const known = this.#values.get(key);
    if (known !== undefined) return known === IN_PROGRESS ? undefined : known;
    this.#values.set(key, IN_PROGRESS);
    const value = this.#derive(key);
    this.#values.set(key, value);
    return value;
  }

  field(reference: FieldReference): FieldValue | undefined {
    const key = fieldText(reference);
    const value = this.get(key);
    if (value !== undefined || this.facts.given.has(key) || reference.argument === undefined) return value;
    return this.#withArgument(reference.name, reference.argument);
  }

  #derive(key: string): FieldValue | undefined {
    const derivation = DERIVED[key];
    if (derivation !== undefined) return derivation(this);
    const name = /^proc\.(.+)$/.exec(key)?.[1];
    if (name === undefined) return key === 'evt.args' || key === 'evt.info' ? this.#arguments() : undefined;
    if (name === 'env') return this.facts.env && [...this.facts.env].map((pair) => pair.join('=')).join(' ');
    if (name === 'args' && this.facts.argv !== undefined) return this.facts.argv.join(' ');
    const own = DERIVED_OF_PROCESS[name];
    if (own !== undefined) return own(this.#process);
    if (/^p(?:name|exe|exepath|cmdline)$/.test(name)) return this.parents[0]?.get(name.slice(1));
    if (/^a(?:name|exe|exepath|cmdline|args|pid)$/.test(name)) {
      return this.parents.map((parent) => String(parent.get(name.slice(1))));
    }
    return undefined;
  }

  #withArgument(name: string, argument: string): FieldValue | undefined {
    if (name === 'evt.type.is') return this.type === argument ? 1 : 0;
    if (name === 'evt.rawarg') return this.#rawArgument(argument);
    if (name === 'evt.abspath') return this.get(`fs.path.${argument === 'dst' ? 'target' : 'source'}`);
    if (name === 'proc.args') return (this.facts.argv ?? argumentsOf(this.#process))[Number(argument)];
    if (name === 'proc.env') return this.facts.env?.get(argument);
    const ancestor = /^proc\.a(name|exe|exepath|cmdline|args|pid)$/.exec(name)?.[1];
    if (ancestor === undefined) return undefined;
    return argument === '0' ? this.get(`proc.${ancestor}`) : this.parents[Number(argument) - 1]?.get(ancestor);
  }

  /** The argument itself, unless it is a name for a number. */
  #rawArgument(argument: string): FieldValue | undefined {
    const value = this.given(`evt.arg.${argument}`);
    if (!NUMBER_ARGUMENTS.has(argument)) return value;
    return value !== undefined && Number.isInteger(Number(value)) ? Number(value) : undefined;
  }

  get #process(): ProcessFacts {
    return { given: (key) => this.given(`proc.${key}`), get: (key) => this.get(`proc.${key}`) };
  }

  #arguments(): string {
    const named = [...this.facts.given.keys()].filter((key) => key.startsWith('evt.arg.'));
    return [`res=${this.get('evt.rawres')}`, ...named.map((key) => `${key.slice(8)}=${this.given(key)}`)].join(' ');
  }
}

class ParentFacts implements ProcessFacts {
  readonly #given: ReadonlyMap<string, FieldValue>;
  readonly #pid: number;

  constructor(given: ReadonlyMap<string, FieldValue>, pid: number) {
    this.#given = given;
    this.#pid = pid;
  }

  given(key: string): FieldValue | undefined {
    return this.#given.get(key);
  }

  get(key: string): FieldValue | undefined {
    return this.given(key) ?? (key === 'pid' ? this.#pid : DERIVED_OF_PROCESS[key]?.(this));
  }
}

/** Reads audit events as the agent does: of one, any field. */
export type AuditReader = (
  json: object,
  timeNs: bigint,
  number: number,
) => (field: FieldReference) => FieldValue | undefined;

/** Gives rules the fields of a case's event: every field is collected. */
export function caseResolver(readAudit?: AuditReader): FieldResolver<CaseEvent> {
  const opened = new WeakMap<CaseEvent, ReturnType<AuditReader>>();
  const open = (event: CaseEvent, read: AuditReader): ReturnType<AuditReader> => {
    const known = opened.get(event) ?? read(event.facts.audit as object, event.timeNs, event.number);
    opened.set(event, known);
    return known;
  };
  return {
    getter(field): FieldGetter<CaseEvent> {
      const key = fieldText(field);
      return (event) => {
        const isGiven = event.facts.audit === undefined || event.facts.given.has(key);
        return isGiven || readAudit === undefined ? event.field(field) : open(event, readAudit)(field);
      };
    },
  };
}
