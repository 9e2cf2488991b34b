import { nearNames } from '../fields/near.ts';
import type { ProblemList } from './problems.ts';
import type { MappedText, Place } from './source.ts';
import type { YamlNode } from './yaml.ts';

/** A field by which events belong together, as written. */
export interface KeyEntry {
  readonly text: string;
  readonly place: Place;
}

/** `threshold`, as written. */
export interface ThresholdEntry {
  readonly place: Place;
  readonly count: number;
  readonly windowNs: number;
  readonly by: readonly KeyEntry[];
}

/** `sequence`, as written. */
export interface SequenceEntry {
  readonly place: Place;
  readonly withinNs: number;
  readonly by: readonly KeyEntry[];
  /** Conditions in order. The rule's own condition comes after them, if it has one. */
  readonly steps: readonly MappedText[];
}

const NS_OF: Readonly<Record<string, number>> = { ms: 1e6, s: 1e9, m: 60e9, h: 3600e9, d: 86_400e9 };
const LONGEST_NS = NS_OF.d!;
const MOST_COUNT = 100_000;
const MOST_STEPS = 10;
const MOST_KEY_FIELDS = 5;

/** Reads the keys that Falco does not know. Each mistake is reported at its place; what is right is read all the same, for the rest to be checked. */
export class SeveralEventsReader {
  readonly #rule: string;
  readonly #problems: ProblemList;
  #failed = false;

  /** True once something was refused: what was read cannot be used. */
  get failed(): boolean {
    return this.#failed;
  }

  constructor(rule: string, problems: ProblemList) {
    this.#rule = rule;
    this.#problems = problems;
  }

  /** @returns undefined if it is no mapping */
  threshold(node: YamlNode): ThresholdEntry | undefined {
    const fields = this.#fields(
      node,
      'threshold',
      ['count', 'window', 'by'],
      '{count: 10, window: 1m, by: [proc.sid]}',
    );
    if (fields === undefined) return undefined;
    const count = this.#count(fields.get('count'), node);
    const windowNs = this.#duration(fields.get('window'), 'threshold.window', node);
    const by = this.#by(fields.get('by'), 'threshold.by');
    return { place: node.place, count, windowNs, by };
  }

  /** @param hasCondition whether the rule has a condition, which is then the last step */
  sequence(node: YamlNode, hasCondition: boolean): SequenceEntry | undefined {
    const example = '{within: 30s, by: [proc.sid], steps: [{condition: ...}, {condition: ...}]}';
    const fields = this.#fields(node, 'sequence', ['within', 'by', 'steps'], example);
    if (fields === undefined) return undefined;
    const withinNs = this.#duration(fields.get('within'), 'sequence.within', node);
    const by = this.#by(fields.get('by'), 'sequence.by');
    const steps = this.#steps(fields.get('steps'), node, hasCondition);
    return { place: node.place, withinNs, by, steps };
  }

  #fields(node: YamlNode, name: string, known: readonly string[], expected: string): Map<string, YamlNode> | undefined {
    const { entries } = node;
    if (entries === undefined) {
      this.#refuse(`'${name}' is not a mapping`, node.place, expected);
      return undefined;
    }
    // Not only warned of: a rule that forgets half of what it was told would be worse than none.
    for (const { key, keyNode } of entries) {
      if (known.includes(key)) continue;
      this.#refuse(
        `unknown key '${key}' in '${name}'`,
        keyNode.place,
        `one of ${known.join(' ')}`,
        nearNames(key, known),
      );
    }
    return new Map(entries.map(({ key, value }) => [key, value]));
  }

  #count(node: YamlNode | undefined, parent: YamlNode): number {
    const text = node?.scalar ?? '';
    const count = /^\d+$/.test(text) ? Number(text) : 0;
    if (count < 1 || count > MOST_COUNT)
      this.#refuseValue('threshold.count', node, parent, `an integer from 1 to ${MOST_COUNT}`);
    return count;
  }

  #duration(node: YamlNode | undefined, name: string, parent: YamlNode): number {
    const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(node?.scalar ?? '') ?? [];
    const ns = number === undefined ? 0 : Number(number) * NS_OF[unit!]!;
    if (ns <= 0 || ns > LONGEST_NS)
      this.#refuseValue(name, node, parent, 'a duration of at most 1d, such as 500ms, 30s or 5m');
    return ns;
  }

  #by(node: YamlNode | undefined, name: string): KeyEntry[] {
    if (node === undefined || node.isNull) return [];
    const items = node.scalar === undefined ? node.items : [node];
    if (items === undefined || items.some(({ scalar }) => scalar === undefined)) {
      this.#refuse(`'${name}' is not a sequence of fields`, node.place, '[proc.sid, ...]');
      return [];
    }
    if (items.length > MOST_KEY_FIELDS)
      this.#refuse(`'${name}' has ${items.length} fields`, node.place, `at most ${MOST_KEY_FIELDS}`);
    return items.map((item) => ({ text: item.scalar!.trim(), place: item.place }));
  }

  #steps(node: YamlNode | undefined, parent: YamlNode, hasCondition: boolean): MappedText[] {
    const items = node?.items;
    const least = hasCondition ? 1 : 2;
    const last = hasCondition ? ', before the condition of the rule' : '';
    if (items === undefined || items.length < least || items.length > MOST_STEPS) {
      const found = items === undefined ? "'sequence' has no steps" : `'sequence.steps' has ${items.length} steps`;
      this.#refuse(found, node?.place ?? parent.place, `${least} to ${MOST_STEPS} steps${last}: - condition: ...`);
      return [];
    }
    return items.map((item) => this.#step(item)).filter((step) => step !== undefined);
  }

  #step(item: YamlNode): MappedText | undefined {
    const fields = this.#fields(item, 'step', ['condition'], '{condition: ...}');
    const text = fields?.get('condition')?.mappedText;
    if (fields !== undefined && text === undefined)
      this.#refuse("a step has no 'condition'", item.place, '- condition: ...');
    return text;
  }

  #refuseValue(name: string, node: YamlNode | undefined, parent: YamlNode, expected: string): void {
    const found = node === undefined ? `'${name}' is missing` : `'${name}' is not valid: '${node.scalar ?? ''}'`;
    this.#refuse(found, node?.place ?? parent.place, expected);
  }

  #refuse(message: string, place: Place, expected?: string, near?: readonly string[]): void {
    this.#failed = true;
    this.#problems.add('LOAD_ERR_YAML_VALIDATE', message, place, { rule: this.#rule, expected, near });
  }
}
