import { PRIORITIES, type Priority, parsePriority } from '../../collector/detection/priority.ts';
import { nearNames } from '../fields/near.ts';
import { type ExceptionEntry, readExceptions } from './exceptions.ts';
import type { ProblemList } from './problems.ts';
import { type SequenceEntry, SeveralEventsReader, type ThresholdEntry } from './several.ts';
import type { MappedText, Place } from './source.ts';
import { YamlNode } from './yaml.ts';

export const ITEM_KINDS = ['required_engine_version', 'required_plugin_versions', 'list', 'macro', 'rule'] as const;
export type ItemKind = (typeof ITEM_KINDS)[number];

const KEYS: Record<ItemKind, readonly string[]> = {
  required_engine_version: ['required_engine_version'],
  required_plugin_versions: ['required_plugin_versions'],
  list: ['list', 'items', 'append', 'override'],
  macro: ['macro', 'condition', 'append', 'override'],
  rule: [
    'rule',
    'desc',
    'condition',
    'output',
    'priority',
    'source',
    'enabled',
    'tags',
    'exceptions',
    'warn_evttypes',
    'skip-if-unknown-filter',
    'capture',
    'capture_duration',
    'threshold',
    'sequence',
    'append',
    'override',
  ],
};

interface Field {
  readonly keyNode: YamlNode;
  readonly value: YamlNode;
}

/** One item of a rule file, read key by key. What is missing or of another kind than it should be is reported, at its place. */
export class Item {
  readonly #fields: ReadonlyMap<string, Field>;
  readonly #problems: ProblemList;

  /** @returns undefined if the node is no mapping, which is reported */
  static of(node: YamlNode, problems: ProblemList): Item | undefined {
    const { entries } = node;
    if (entries !== undefined)
      return new Item(new Map(entries.map(({ key, keyNode, value }) => [key, { keyNode, value }])), problems);
    const hint = { expected: `one of ${ITEM_KINDS.join(', ')}` };
    problems.add('LOAD_ERR_YAML_VALIDATE', 'an item is not a mapping', node.place, hint);
    return undefined;
  }

  private constructor(fields: ReadonlyMap<string, Field>, problems: ProblemList) {
    this.#fields = fields;
    this.#problems = problems;
  }

  has(key: string): boolean {
    return this.#fields.has(key);
  }

  get(key: string): Field | undefined {
    return this.#fields.get(key);
  }

  get fields(): Iterable<readonly [string, Field]> {
    return this.#fields;
  }

  /** What it is; undefined if nothing that is known, which is reported. Keys that such an item does not have are reported too. */
  kind(place: Place): ItemKind | undefined {
    const kind = ITEM_KINDS.find((candidate) => this.#fields.has(candidate));
    if (kind === undefined) {
      const key = this.#fields.keys().next().value ?? '';
      this.#problems.add(
        'LOAD_UNKNOWN_ITEM',
        `unknown top level item '${key}'`,
        this.#fields.get(key)?.keyNode.place ?? place,
        { expected: ITEM_KINDS.join(', '), near: nearNames(key, ITEM_KINDS) },
      );
    } else this.#warnUnknownKeys(kind);
    return kind;
  }

  #warnUnknownKeys(kind: ItemKind): void {
    for (const [key, { keyNode }] of this.#fields) {
      if (KEYS[kind].includes(key)) continue;
      this.#problems.add('LOAD_UNKNOWN_KEY', `unknown key '${key}' in a ${kind} is ignored`, keyNode.place, {
        near: nearNames(key, KEYS[kind]),
      });
    }
  }

  /** `threshold` or `sequence`, and whether there is a mistake in them. */
  severalEvents(
    rule: string,
    hasCondition: boolean,
  ): { threshold?: ThresholdEntry | undefined; sequence?: SequenceEntry | undefined; failed: boolean } {
    const [threshold, sequence] = [this.#fields.get('threshold'), this.#fields.get('sequence')];
    const reader = new SeveralEventsReader(rule, this.#problems);
    const read = {
      threshold: threshold && reader.threshold(threshold.value),
      sequence: sequence && reader.sequence(sequence.value, hasCondition),
    };
    if (threshold === undefined || sequence === undefined) return { ...read, failed: reader.failed };
    const message = "a rule cannot have both 'threshold' and 'sequence'";
    this.#problems.error('LOAD_ERR_YAML_VALIDATE', message, sequence.keyNode.place, 'two rules', rule);
    return { ...read, failed: true };
  }

  exceptions(rule: string): ExceptionEntry[] {
    const field = this.#fields.get('exceptions');
    return field === undefined ? [] : readExceptions(field.value, rule, this.#problems);
  }

  priority(rule: string, place: Place): Priority | undefined {
    const text = this.mapped('priority', `rule '${rule}'`, place, rule)?.text;
    if (text === undefined) return undefined;
    const priority = parsePriority(text);
    if (priority === undefined) {
      this.#problems.add(
        'LOAD_ERR_YAML_VALIDATE',
        `invalid priority '${text}'`,
        this.#fields.get('priority')!.value.place,
        {
          rule,
          expected: `one of ${PRIORITIES.join(', ')}`,
          near: nearNames(text, PRIORITIES),
        },
      );
    }
    return priority;
  }

  /** A scalar that must be there. */
  mapped(key: string, what: string, place: Place, rule?: string): MappedText | undefined {
    const field = this.#fields.get(key);
    const text = field?.value.mappedText;
    if (text !== undefined) return text;
    const found = field === undefined ? `${what} has no '${key}'` : `'${key}' of ${what} is not text`;
    this.#problems.error('LOAD_ERR_YAML_VALIDATE', found, field?.keyNode.place ?? place, undefined, rule);
    return undefined;
  }

  text(key: string, what: string): string | undefined {
    const field = this.#fields.get(key);
    if (field === undefined) return undefined;
    if (field.value.scalar === undefined) {
      this.#problems.error('LOAD_ERR_YAML_VALIDATE', `'${key}' of ${what} is not text`, field.keyNode.place);
    }
    return field.value.scalar;
  }

  texts(key: string, what: string, optional = false): readonly string[] | undefined {
    const field = this.#fields.get(key);
    if (field === undefined) {
      if (!optional)
        this.#problems.error(
          'LOAD_ERR_YAML_VALIDATE',
          `${what} has no '${key}'`,
          this.#fields.values().next().value!.value.place,
        );
      return undefined;
    }
    const { texts } = field.value;
    if (texts === undefined) {
      if (field.value.isNull) return [];
      this.#problems.error(
        'LOAD_ERR_YAML_VALIDATE',
        `'${key}' of ${what} is not a sequence`,
        field.value.place,
        '[value, ...]',
      );
      return undefined;
    }
    if (!(texts instanceof YamlNode)) return texts;
    this.#problems.error('LOAD_ERR_YAML_VALIDATE', `an item of '${key}' of ${what} is not text`, texts.place);
    return undefined;
  }

  flag(key: string, rule: string | undefined, otherwise: boolean): boolean {
    const field = this.#fields.get(key);
    if (field === undefined) return otherwise;
    const text = (field.value.scalar ?? '').toLowerCase();
    if (['true', 'yes', 'on', 'y'].includes(text)) return true;
    if (['false', 'no', 'off', 'n'].includes(text)) return false;
    this.#problems.error(
      'LOAD_ERR_YAML_VALIDATE',
      `'${key}' is not a truth value`,
      field.value.place,
      'true or false',
      rule,
    );
    return otherwise;
  }

  milliseconds(key: string, rule: string): number {
    const field = this.#fields.get(key);
    if (field === undefined) return 0;
    const value = Number(field.value.scalar);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    this.#problems.error(
      'LOAD_ERR_YAML_VALIDATE',
      `'${key}' is not a number of milliseconds`,
      field.value.place,
      'an integer from 0',
      rule,
    );
    return 0;
  }
}
