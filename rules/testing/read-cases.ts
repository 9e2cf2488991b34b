import { findField } from '../fields/catalogue.ts';
import { nearNames } from '../fields/near.ts';
import { type Problem, type ProblemDetails, problemAt } from '../language/problem.ts';
import { type Place, SourceFile } from '../language/source.ts';
import type { EventFacts } from './case-event.ts';
import { type CaseEntry, type CaseNode, readCaseDocuments } from './case-node.ts';
import { type KnownNames, readFacts, type Section, type Sections } from './read-facts.ts';
import { readDuration } from './value.ts';

/** What must fire. Undefined: is not looked at. */
export interface Expectation {
  readonly expect: readonly string[] | undefined;
  readonly expectNot: readonly string[];
  readonly allow: readonly string[];
  readonly first: string | undefined;
  readonly output: readonly string[];
}

export interface CaseStep {
  readonly facts: EventFacts;
  readonly atNs: bigint;
  readonly repeat: number;
  readonly everyNs: bigint;
  readonly expectation: Expectation;
  readonly place: Place;
}

export interface RuleCase {
  readonly title: string;
  readonly place: Place;
  readonly steps: readonly CaseStep[];
  /** About everything that fires in the case. */
  readonly expectation: Expectation;
}

export interface CaseFile {
  readonly path: string;
  readonly cases: readonly RuleCase[];
  readonly problems: readonly Problem[];
}

const SECTIONS = ['event', 'process', 'container', 'user', 'source', 'audit'] as const;
const EXPECTATIONS = ['expect', 'expect_not', 'allow', 'first', 'output'] as const;
const KEYS = {
  case: ['case', 'like', 'events', ...SECTIONS, ...EXPECTATIONS],
  base: ['base', 'like', ...SECTIONS],
  step: ['at', 'repeat', 'every', ...SECTIONS, ...EXPECTATIONS],
} as const;

const NOTHING: Sections = {};
/** More than a test wants; less than takes a second. */
const MOST_REPEATS = 100_000;

/** Reads a file of cases, and finds all its mistakes. */
export function readCases(path: string, text: string, known: KnownNames): CaseFile {
  return new CaseReader(new SourceFile(path, text), known).read();
}

class CaseReader {
  readonly #file: SourceFile;
  readonly #known: KnownNames;
  readonly #problems: Problem[] = [];
  readonly #bases = new Map<string, Sections>();
  readonly #titles = new Set<string>();

  constructor(file: SourceFile, known: KnownNames) {
    this.#file = file;
    this.#known = known;
  }

  read(): CaseFile {
    const { documents, problems } = readCaseDocuments(this.#file);
    this.#problems.push(...problems);
    const cases = documents.flatMap((document) => this.#readDocument(document));
    const sorted = this.#problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
    return { path: this.#file.path, cases, problems: sorted };
  }

  #readDocument(document: CaseNode): RuleCase[] {
    if (document.isNull) return [];
    const { items } = document;
    if (items === undefined) this.#shape('cases are not a sequence', document.place, '- case: ...');
    return (items ?? []).flatMap((item) => this.#readItem(item) ?? []);
  }

  #readItem(item: CaseNode): RuleCase | undefined {
    const fields = this.#mapping(item, 'an item', '- case: or - base:');
    if (fields === undefined) return undefined;
    if (fields.has('base')) {
      const name = this.#text(fields.get('base')!);
      this.#checkKeys(fields, 'base');
      if (name !== undefined) this.#bases.set(name, this.#sections(fields, this.#like(fields)));
      return undefined;
    }
    const title = fields.get('case');
    if (title === undefined) {
      const [first] = fields.values();
      return this.#shape("an item has neither 'case' nor 'base'", first?.place ?? item.place, '- case: what happens');
    }
    this.#checkKeys(fields, 'case');
    return this.#readCase(fields, title);
  }

  #readCase(fields: ReadonlyMap<string, CaseEntry>, titleEntry: CaseEntry): RuleCase | undefined {
    const title = this.#text(titleEntry);
    if (title === undefined) return undefined;
    if (this.#titles.has(title)) this.#invalid(`there is a case '${title}' before`, titleEntry.value.place);
    this.#titles.add(title);
    const sections = this.#sections(fields, this.#like(fields));
    const expectation = this.#expectation(fields);
    const steps = fields.has('events')
      ? this.#readSteps(fields.get('events')!, sections)
      : [this.#onlyStep(sections, titleEntry)];
    if (![expectation, ...steps.map((step) => step.expectation)].some(isExpectation)) {
      this.#shape(`case '${title}' expects nothing`, titleEntry.place, "'expect' or 'expect_not'");
    }
    return { title, place: titleEntry.value.place, steps, expectation };
  }

  #onlyStep(sections: Sections, { value }: CaseEntry): CaseStep {
    const facts = this.#facts(sections, value.place);
    const expectation = this.#expectation(new Map());
    return { facts, atNs: 0n, repeat: 1, everyNs: 0n, expectation, place: value.place };
  }

  #readSteps({ value }: CaseEntry, sections: Sections): CaseStep[] {
    if (value.items === undefined) this.#shape("'events' is not a sequence", value.place, '- {at: 0s, ...}');
    let endNs = 0n;
    return (value.items ?? []).flatMap((item) => {
      const fields = this.#mapping(item, 'a step', '{at: 0s, event: ...}');
      if (fields === undefined) return [];
      this.#checkKeys(fields, 'step');
      const atNs = this.#duration(fields, 'at', endNs);
      if (atNs < endNs) this.#invalid('a step is before the one above', fields.get('at')!.value.place);
      const everyNs = this.#duration(fields, 'every', 1_000_000_000n);
      const repeat = this.#repeat(fields.get('repeat'));
      endNs = atNs + BigInt(repeat - 1) * everyNs;
      const facts = this.#facts(this.#sections(fields, sections), item.place);
      const expectation = this.#expectation(fields);
      return [{ facts, atNs, repeat, everyNs, expectation, place: item.place }];
    });
  }

  #facts(sections: Sections, place: Place): EventFacts {
    const report = (message: string, at: Place, details?: ProblemDetails) => this.#invalid(message, at, details);
    return readFacts(sections, { place, known: this.#known, report });
  }

  /** The sections that a case is written with, upon those that it is like. */
  #sections(fields: ReadonlyMap<string, CaseEntry>, base: Sections): Sections {
    const own: Record<string, Section> = {};
    for (const name of SECTIONS) {
      const value = fields.get(name)?.value;
      if (value === undefined) continue;
      const entries = new Map((value.entries ?? []).map((entry) => [normalKey(name, entry.key), entry]));
      own[name] = { node: value, entries };
    }
    return mergeSections(base, own);
  }

  #like(fields: ReadonlyMap<string, CaseEntry>): Sections {
    const entry = fields.get('like');
    if (entry === undefined) return NOTHING;
    let merged: Sections = NOTHING;
    for (const node of entry.value.items ?? [entry.value]) {
      const base = this.#bases.get(node.text ?? '');
      if (base === undefined) {
        const near = nearNames(node.text ?? '', this.#bases.keys());
        this.#invalid(`there is no base '${node.text ?? ''}' before`, node.place, { near });
      } else merged = mergeSections(merged, base);
    }
    return merged;
  }

  #expectation(fields: ReadonlyMap<string, CaseEntry>): Expectation {
    const expect = fields.get('expect');
    return {
      expect: expect && this.#ruleNames(expect),
      expectNot: this.#ruleNames(fields.get('expect_not')),
      allow: this.#ruleNames(fields.get('allow')),
      first: this.#ruleNames(fields.get('first'))[0],
      output: this.#texts(fields.get('output')),
    };
  }

  #ruleNames(entry: CaseEntry | undefined): string[] {
    const names = this.#texts(entry);
    for (const node of nodesOf(entry)) {
      const name = node.text ?? '';
      if (this.#known.rules.has(name)) continue;
      this.#invalid(`there is no rule '${name}'`, node.place, { near: nearNames(name, this.#known.rules) });
    }
    return names;
  }

  #texts(entry: CaseEntry | undefined): string[] {
    return nodesOf(entry).flatMap((node) => {
      if (node.text === undefined) this.#shape(`an item of '${entry!.key}' is not text`, node.place);
      return node.text ?? [];
    });
  }

  #duration(fields: ReadonlyMap<string, CaseEntry>, key: string, otherwise: bigint): bigint {
    const entry = fields.get(key);
    if (entry === undefined) return otherwise;
    const duration = readDuration(entry.value.text ?? '');
    if (duration === undefined) this.#shape(`'${key}' is not a duration`, entry.value.place, '10s, 500ms or 2m');
    return duration ?? otherwise;
  }

  #repeat(entry: CaseEntry | undefined): number {
    if (entry === undefined) return 1;
    const count = Number(entry.value.text);
    if (Number.isSafeInteger(count) && count >= 1 && count <= MOST_REPEATS) return count;
    this.#shape("'repeat' is not a count", entry.value.place, `an integer from 1 to ${MOST_REPEATS}`);
    return 1;
  }

  #mapping(node: CaseNode, what: string, expected: string): Map<string, CaseEntry> | undefined {
    const { entries } = node;
    if (entries === undefined) return this.#shape(`${what} is not a mapping`, node.place, expected);
    return new Map(entries.map((entry) => [entry.key, entry]));
  }

  #checkKeys(fields: ReadonlyMap<string, CaseEntry>, kind: keyof typeof KEYS): void {
    const known: readonly string[] = KEYS[kind];
    for (const { key, place } of fields.values()) {
      if (known.includes(key)) continue;
      const near = nearNames(key, known);
      const isField = findField(key) !== undefined;
      const expected = isField ? "the field under 'event'" : near.length > 0 ? undefined : `one of ${known.join(', ')}`;
      this.#invalid(`unknown key '${key}' in a ${kind}`, place, { near, expected });
    }
  }

  #text({ key, value }: CaseEntry): string | undefined {
    if (value.text === undefined || value.text === '') this.#shape(`'${key}' is not text`, value.place);
    return value.text || undefined;
  }

  #shape(message: string, place: Place, expected?: string): undefined {
    this.#problems.push(problemAt('LOAD_ERR_YAML_VALIDATE', message, place, { expected }));
  }

  #invalid(message: string, place: Place, details: ProblemDetails = {}): void {
    this.#problems.push(problemAt('LOAD_ERR_VALIDATE', message, place, details));
  }
}

function nodesOf(entry: CaseEntry | undefined): CaseNode[] {
  if (entry === undefined || entry.value.isNull) return [];
  return entry.value.items ?? [entry.value];
}

function isExpectation({ expect, expectNot, first, output }: Expectation): boolean {
  return expect !== undefined || expectNot.length > 0 || first !== undefined || output.length > 0;
}

/** `evt.arg[flags]` and `evt.arg.flags` are one key: the case's replaces the base's. */
function normalKey(section: string, key: string): string {
  return section === 'event' ? key.replace(/^evt\.arg\[(.+)\]$/, 'evt.arg.$1') : key;
}

/** A key of `over` goes before the same key of `base`. A scalar stands for one key; only `container: host` ends what there was. */
function mergeSections(base: Sections, over: Sections): Sections {
  const merged: Record<string, Section | undefined> = { ...base };
  for (const [name, section] of Object.entries(over)) {
    const before = base[name];
    if (section === undefined) continue;
    merged[name] = before === undefined || isHost(section) ? section : mergeSection(before, section);
  }
  return merged;
}

function mergeSection(before: Section, section: Section): Section {
  if (section.node.entries !== undefined) {
    const entries = new Map([...before.entries, ...section.entries]);
    const scalar = before.node.text === undefined ? before.scalar : before.node;
    return { node: section.node, entries, ...(scalar !== undefined && { scalar }) };
  }
  const entries = [...before.entries].filter(([key]) => !NAMED_BY_SCALAR.has(key));
  return { node: section.node, entries: new Map(entries) };
}

/** What a scalar in place of a section's mapping says. */
const NAMED_BY_SCALAR: ReadonlySet<string> = new Set(['type', 'evt.type', 'name']);

function isHost({ node }: Section): boolean {
  return node.text === 'host';
}
