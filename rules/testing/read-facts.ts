import { constants } from 'node:os';
import type { FieldValue } from '../../collector/detection/detection.ts';
import { FIELDS, type FoundField, fieldText, findField, holdsPath } from '../fields/catalogue.ts';
import { EVENT_TYPES } from '../fields/event-types.ts';
import { nearNames } from '../fields/near.ts';
import type { ProblemDetails } from '../language/problem.ts';
import type { Place } from '../language/source.ts';
import { auditEvent } from './audit.ts';
import type { EventFacts } from './case-event.ts';
import type { CaseEntry, CaseNode } from './case-node.ts';
import { EVENT_ARGUMENTS } from './event-arguments.ts';
import { type Given, readValue } from './value.ts';

/** A section of a case as it is written: a mapping, or a scalar that stands for one. */
export interface Section {
  readonly node: CaseNode;
  readonly entries: ReadonlyMap<string, CaseEntry>;
  /** The scalar of the base that this mapping is added to. */
  readonly scalar?: CaseNode;
}

export type Sections = Readonly<Record<string, Section | undefined>>;

/** What the rules of the set know. */
export interface KnownNames {
  readonly rules: ReadonlySet<string>;
  /** Arguments of `evt.arg` that some rule names. */
  readonly eventArguments: ReadonlySet<string>;
}

interface Surroundings {
  /** Of the case, for what is missing. */
  readonly place: Place;
  readonly known: KnownNames;
  report(message: string, place: Place, details?: ProblemDetails): void;
}

const SOURCES = ['syscall', 'k8s_audit'];
/** The type that Falco gives to the events of plugins. */
const AUDIT_EVENT_TYPE = 'pluginevent';
const PARENT_KEYS = ['name', 'exe', 'exepath', 'args', 'cmdline', 'pid'] as const;
const RESULTS: ReadonlySet<string> = new Set(['SUCCESS', ...Object.keys(constants.errno)]);
const DEFAULT_PARENTS = [new Map([['name', 'bash']]), new Map([['name', 'systemd']])];

/** Reads what a case says of its event. */
export function readFacts(sections: Sections, surroundings: Surroundings): EventFacts {
  return new FactReader(sections, surroundings).read();
}

class FactReader {
  readonly #sections: Sections;
  readonly #around: Surroundings;
  readonly #given = new Map<string, Given>();
  #parents: readonly ReadonlyMap<string, FieldValue>[] = DEFAULT_PARENTS;
  #argv: string[] | undefined;
  #env: Map<string, string> | undefined;

  constructor(sections: Sections, surroundings: Surroundings) {
    this.#sections = sections;
    this.#around = surroundings;
  }

  read(): EventFacts {
    this.#checkShapes();
    const source = this.#source();
    const type = this.#type(source);
    this.#readEvent();
    this.#readProcess();
    this.#readPrefixed('user');
    this.#readPrefixed('container');
    return {
      type,
      source,
      given: this.#given,
      parents: this.#parents,
      argv: this.#argv,
      env: this.#env,
      inContainer: this.#inContainer(),
      audit: this.#audit(),
    };
  }

  /** What is neither a mapping nor a name. */
  #checkShapes(): void {
    for (const [name, section] of Object.entries(this.#sections)) {
      const node = section?.node;
      if (node === undefined || node.entries !== undefined || (name !== 'audit' && node.items === undefined)) continue;
      this.#around.report(`'${name}' is not a mapping`, node.place);
    }
  }

  #audit(): unknown {
    const { audit } = this.#sections;
    if (audit === undefined) return undefined;
    const members: Record<string, unknown> = {};
    for (const [key, { value }] of audit.entries) {
      const { json } = value;
      if (json instanceof Error) this.#around.report(`'${key}' cannot be read: ${json.message}`, value.place);
      else members[key] = json;
    }
    return auditEvent(members);
  }

  #source(): string {
    const node = this.#sections.source?.node;
    if (node === undefined) return this.#sections.audit === undefined ? 'syscall' : 'k8s_audit';
    const source = node.text ?? '';
    if (!SOURCES.includes(source)) {
      const near = nearNames(source, SOURCES);
      this.#around.report(`unknown source '${source}'`, node.place, { near, expected: SOURCES.join(' or ') });
    }
    return source;
  }

  #type(source: string): string {
    const { event } = this.#sections;
    const node = event?.entries.get('type')?.value ?? event?.entries.get('evt.type')?.value ?? scalarOf(event);
    if (node === undefined) {
      if (source !== 'syscall') return AUDIT_EVENT_TYPE;
      const expected = 'event: {type: openat, ...}';
      this.#around.report('the event has no type', event?.node.place ?? this.#around.place, { expected });
      return '';
    }
    const type = node.text ?? '';
    if (!EVENT_TYPES.has(type)) {
      this.#around.report(`unknown event type '${type}'`, node.place, { near: nearNames(type, EVENT_TYPES) });
    }
    return type;
  }

  #readEvent(): void {
    for (const [key, entry] of this.#sections.event?.entries ?? []) {
      if (key !== 'type' && key !== 'evt.type') this.#readField(key, entry);
    }
  }

  #readProcess(): void {
    for (const [key, entry] of this.#sections.process?.entries ?? []) {
      const { value } = entry;
      if (key === 'parents') this.#readParents(value);
      else if (key === 'args' && value.items !== undefined) this.#argv = value.items.map((item) => item.text ?? '');
      else if (key === 'env') this.#readEnvironment(value);
      else this.#readField(`proc.${key}`, entry);
    }
    const name = scalarOf(this.#sections.process)?.text;
    if (name !== undefined && !this.#given.has('proc.name')) this.#given.set('proc.name', name);
  }

  /** A section whose keys are fields without their prefix; a scalar is the name. */
  #readPrefixed(prefix: 'user' | 'container'): void {
    const section = this.#sections[prefix];
    for (const [key, entry] of section?.entries ?? []) this.#readField(`${prefix}.${key}`, entry);
    const name = scalarOf(section)?.text;
    const key = name === 'host' ? 'container.id' : `${prefix}.name`;
    if (name !== undefined && name !== 'true' && !this.#given.has(key)) this.#given.set(key, name);
  }

  #inContainer(): boolean {
    const id = this.#given.get('container.id');
    if (id !== undefined) return id !== 'host';
    return (
      [...this.#given.keys()].some((key) => key.startsWith('container.') || key.startsWith('k8s.')) ||
      scalarOf(this.#sections.container)?.text === 'true' ||
      this.#sections.container?.node.entries !== undefined
    );
  }

  #readParents(node: CaseNode): void {
    const { items } = node;
    if (items === undefined && !node.isNull) {
      this.#around.report("'parents' is not a sequence", node.place, { expected: '[bash, sshd], nearest first' });
    }
    this.#parents = (items ?? []).map((item) => this.#readParent(item));
  }

  #readParent(node: CaseNode): ReadonlyMap<string, FieldValue> {
    const { entries } = node;
    if (entries === undefined) return new Map([['name', node.text ?? '']]);
    const parent = new Map<string, FieldValue>();
    for (const { key, place, value } of entries) {
      if (!(PARENT_KEYS as readonly string[]).includes(key)) {
        const near = nearNames(key, PARENT_KEYS);
        this.#around.report(`unknown key '${key}' of a parent`, place, { near, expected: PARENT_KEYS.join(', ') });
        continue;
      }
      const text = value.items?.map((item) => item.text ?? '').join(' ') ?? value.text ?? '';
      parent.set(key, key === 'pid' ? Number(text) : text);
    }
    return parent;
  }

  #readEnvironment(node: CaseNode): void {
    const pairs =
      node.entries?.map(({ key, value }) => [key, value.text ?? ''] as const) ??
      (node.items ?? [node]).map(({ text = '' }) => splitOnce(text, '='));
    this.#env = new Map(pairs);
  }

  #readField(key: string, { place, value }: CaseEntry): void {
    const found = foundField(key);
    if (found === undefined) {
      this.#reportUnknown(key, place);
      return;
    }
    const mistake = argumentMistake(found);
    if (mistake !== undefined) {
      this.#around.report(mistake, place);
      return;
    }
    const { reference } = found;
    if (reference.name === 'evt.arg' || reference.name === 'evt.rawarg')
      this.#checkArgument(reference.argument!, place);
    if (reference.name === 'evt.res') this.#checkResult(value);
    const result = readValue(value, definitionOf(found, value), holdsPath(found));
    if ('value' in result) this.#given.set(fieldText(reference), result.value);
    else {
      const message = `'${value.text ?? 'a sequence or mapping'}' is not a value of '${key}'`;
      this.#around.report(message, value.place, { expected: result.expected });
    }
  }

  #reportUnknown(key: string, place: Place): void {
    const written = place.file.text.slice(place.start, place.end);
    const prefix = key.endsWith(written) ? key.slice(0, key.length - written.length) : '';
    const names = [...FIELDS.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
    const near = nearNames(written, names);
    this.#around.report(`nonexistent field '${key}'`, place, { near });
  }

  #checkResult({ text, place }: CaseNode): void {
    if (text === undefined || RESULTS.has(text)) return;
    const near = nearNames(text, RESULTS);
    this.#around.report(`'${text}' is not a result`, place, { near, expected: 'SUCCESS or the name of an error' });
  }

  #checkArgument(argument: string, place: Place): void {
    const { eventArguments } = this.#around.known;
    if (eventArguments.has(argument) || EVENT_ARGUMENTS.has(argument)) return;
    // Whole names are compared: a short word would allow for one slip only.
    const known = [...eventArguments, ...EVENT_ARGUMENTS].map((name) => `evt.arg.${name}`);
    const near = nearNames(`evt.arg.${argument}`, new Set(known)).slice(0, 1);
    this.#around.report(`no event has 'evt.arg.${argument}' and no rule names it`, place, { near });
  }
}

function argumentMistake({ definition, reference }: FoundField): string | undefined {
  const { argument, name } = definition;
  if (argument === 'required' && reference.argument === undefined) return `field '${name}' needs an argument`;
  if (argument === 'none' && reference.argument !== undefined) return `field '${name}' takes no argument`;
  return undefined;
}

/** With an argument a field of several values has one; a raw argument is what it is written as. */
function definitionOf({ definition, reference }: FoundField, { text = '' }: CaseNode): FoundField['definition'] {
  if (reference.name === 'evt.rawarg' && /^-?\d+$/.test(text)) return { ...definition, type: 'INT64' };
  if (reference.argument === undefined || definition.multiplicity !== 'any') return definition;
  return { ...definition, multiplicity: 'one' };
}

function foundField(key: string): FoundField | undefined {
  const match = /^([^[\]]+)\[(.+)\]$/.exec(key);
  return match === null ? findField(key) : findField(match[1]!, match[2]);
}

function scalarOf(section: Section | undefined): CaseNode | undefined {
  if (section === undefined) return undefined;
  return section.node.text === undefined ? section.scalar : section.node;
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
