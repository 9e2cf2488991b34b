import { PRIORITIES, type Priority, parsePriority } from '../../collector/detection/priority.ts';
import { nearNames } from '../fields/near.ts';
import { type ExceptionEntry, mergeExceptions, readExceptions } from './exceptions.ts';
import type { ProblemList } from './problems.ts';
import { type SequenceEntry, SeveralEventsReader, type ThresholdEntry } from './several.ts';
import { joinTexts, type MappedText, type Place, textAt } from './source.ts';
import { compareVersions, type PluginVersions, requirementMistake } from './versions.ts';
import { YamlNode } from './yaml.ts';

export interface ListEntry {
  readonly name: string;
  readonly place: Place;
  items: readonly string[];
}

export interface MacroEntry {
  readonly name: string;
  readonly place: Place;
  /** Where it was first defined, as a count of items; it is known to what is defined after. */
  readonly index: number;
  condition: MappedText;
  /** Where it was last changed: it may use the macros defined before. */
  visibility: number;
}

export interface RuleEntry {
  readonly name: string;
  readonly place: Place;
  readonly ruleset: string;
  readonly source: string;
  condition: MappedText;
  output: MappedText;
  description: string;
  priority: Priority;
  tags: string[];
  enabled: boolean;
  exceptions: ExceptionEntry[];
  warnEventTypes: boolean;
  skipIfUnknownFilter: boolean;
  capture: boolean;
  captureDurationMillis: number;
  threshold: ThresholdEntry | undefined;
  sequence: SequenceEntry | undefined;
  /** Something of it is missing or wrong, and reported. It cannot be used; the rest of it is looked at all the same, for all mistakes to be told at once. */
  readonly broken: boolean;
}

export interface CollectOptions {
  readonly engineVersion: string;
  readonly plugins: PluginVersions;
  readonly sources: readonly string[];
}

type Fields = Map<string, { readonly keyNode: YamlNode; readonly value: YamlNode }>;
type Override = 'append' | 'replace';

const ITEM_KINDS = ['required_engine_version', 'required_plugin_versions', 'list', 'macro', 'rule'] as const;

const KEYS: Record<(typeof ITEM_KINDS)[number], readonly string[]> = {
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

const APPENDABLE = {
  list: ['items'],
  macro: ['condition'],
  rule: ['condition', 'output', 'desc', 'tags', 'exceptions'],
};
const REPLACEABLE = {
  list: ['items'],
  macro: ['condition'],
  rule: [
    'condition',
    'output',
    'desc',
    'priority',
    'capture',
    'capture_duration',
    'tags',
    'exceptions',
    'enabled',
    'warn_evttypes',
    'skip-if-unknown-filter',
    'threshold',
    'sequence',
  ],
};

const LIST_NAME = /^[^()"'\s=,]+$/;
const MACRO_NAME = /^[a-zA-Z]+[a-zA-Z0-9_]*$/;
const BLANK_PLACE_TEXT = ' ';
/** Stands for a condition that is missing, so that who refers to it makes no second mistake. */
const NEVER = 'evt.num = 0';

/** Merges the items of all files, in order: later definitions replace, append or override earlier ones. */
export class Collector {
  readonly lists = new Map<string, ListEntry>();
  readonly macros = new Map<string, MacroEntry>();
  /** In the order of first definition: a rule that is defined anew keeps its turn. */
  readonly rules = new Map<string, RuleEntry>();
  /** Rules that have no place among the others: nothing can refer to them. */
  readonly rejected: RuleEntry[] = [];
  readonly #problems: ProblemList;
  readonly #options: CollectOptions;
  #index = 0;

  constructor(problems: ProblemList, options: CollectOptions) {
    this.#problems = problems;
    this.#options = options;
  }

  /** Takes in one document of a file. */
  add(document: YamlNode, ruleset: string): void {
    if (document.isNull) return;
    const { items } = document;
    if (items === undefined) {
      this.#error(
        'LOAD_ERR_YAML_VALIDATE',
        'rules content is not a YAML array of objects',
        document.place,
        'a sequence of items: - rule: ...',
      );
      return;
    }
    for (const item of items) if (!item.isNull) this.#addItem(item, ruleset);
  }

  #addItem(item: YamlNode, ruleset: string): void {
    this.#index++;
    const fields = this.#fieldsOf(item);
    if (fields === undefined) return;
    const kind = ITEM_KINDS.find((candidate) => fields.has(candidate));
    if (kind === undefined) {
      const key = fields.keys().next().value ?? '';
      const place = fields.get(key)?.keyNode.place ?? item.place;
      const near = nearNames(key, ITEM_KINDS);
      this.#problems.add('LOAD_UNKNOWN_ITEM', `unknown top level item '${key}'`, place, {
        expected: ITEM_KINDS.join(', '),
        near,
      });
      return;
    }
    this.#warnUnknownKeys(kind, fields);
    if (kind === 'required_engine_version') this.#requireEngine(fields.get(kind)!.value);
    else if (kind === 'required_plugin_versions') this.#requirePlugins(fields.get(kind)!.value);
    else this.#addNamed(kind, fields, ruleset);
  }

  #addNamed(kind: 'list' | 'macro' | 'rule', fields: Fields, ruleset: string): void {
    const node = fields.get(kind)!.value;
    const name = node.scalar;
    if (name === undefined || name === '') {
      this.#error(
        'LOAD_ERR_YAML_VALIDATE',
        `a ${kind} needs a name`,
        node.isNull ? fields.get(kind)!.keyNode.place : node.place,
        'text',
      );
      if (kind === 'rule' && !fields.has('override') && !fields.has('append'))
        this.rejected.push({ ...this.#readRule('', node.place, fields, 'syscall', ruleset), broken: true });
      return;
    }
    const overrides = this.#overridesOf(kind, fields);
    if (overrides === undefined) return;
    if (kind === 'list') this.#addList(name, node.place, fields, overrides);
    else if (kind === 'macro') this.#addMacro(name, node.place, fields, overrides);
    else this.#addRule(name, node.place, fields, overrides, ruleset);
  }

  #addList(name: string, place: Place, fields: Fields, overrides: Map<string, Override>): void {
    if (!LIST_NAME.test(name)) {
      this.#problems.add('LOAD_INVALID_LIST_NAME', `list name '${name}' is not valid`, place, {
        expected: String(LIST_NAME),
      });
    }
    const items = this.#texts(fields, 'items', `list '${name}'`);
    if (items === undefined) return;
    const before = this.lists.get(name);
    if (overrides.get('items') !== 'append') {
      this.lists.set(name, { name, place, items });
    } else if (before === undefined) {
      this.#error('LOAD_ERR_VALIDATE', `list '${name}' is appended to but no list by that name already exists`, place);
    } else {
      // Not with a spread: a list may have a hundred thousand items.
      before.items = before.items.concat(items);
    }
  }

  #addMacro(name: string, place: Place, fields: Fields, overrides: Map<string, Override>): void {
    if (!MACRO_NAME.test(name)) {
      this.#problems.add('LOAD_INVALID_MACRO_NAME', `macro name '${name}' is not valid`, place, {
        expected: String(MACRO_NAME),
      });
    }
    const condition = this.#mapped(fields, 'condition', `macro '${name}'`, place) ?? textAt(NEVER, place);
    const before = this.macros.get(name);
    if (overrides.get('condition') !== 'append') {
      const index = before?.index ?? this.#index;
      this.macros.set(name, { name, place, index, condition, visibility: this.#index });
    } else if (before === undefined) {
      this.#error(
        'LOAD_ERR_VALIDATE',
        `macro '${name}' is appended to but no macro by that name already exists`,
        place,
      );
    } else {
      before.condition = appendText(before.condition, condition);
      before.visibility = this.#index;
    }
  }

  #addRule(name: string, place: Place, fields: Fields, overrides: Map<string, Override>, ruleset: string): void {
    const before = this.rules.get(name);
    const source = this.#text(fields, 'source', `rule '${name}'`);
    if (source !== undefined && !this.#options.sources.includes(source)) {
      const near = nearNames(source, this.#options.sources);
      this.#problems.add(
        'LOAD_UNKNOWN_SOURCE',
        `unknown source '${source}': the rule is skipped`,
        fields.get('source')!.value.place,
        {
          rule: name,
          expected: `one of ${this.#options.sources.join(', ')}`,
          near,
        },
      );
      return;
    }
    const changes = overrides.size > 0;
    const onlySwitches = !['condition', 'output', 'desc', 'priority', 'threshold', 'sequence'].some((key) =>
      fields.has(key),
    );
    if (before === undefined && (changes || (onlySwitches && fields.has('enabled')))) {
      const how = changes ? 'changed' : "given an 'enabled' key";
      this.#error(
        'LOAD_ERR_VALIDATE',
        `rule '${name}' is ${how} but no rule by that name already exists`,
        place,
        undefined,
        name,
      );
    } else if (before !== undefined && source !== undefined && source !== before.source) {
      this.#error(
        'LOAD_ERR_VALIDATE',
        `rule '${name}' has been re-defined with a different source`,
        place,
        `'${before.source}'`,
        name,
      );
      if (!changes) this.rejected.push({ ...this.#readRule(name, place, fields, source, ruleset), broken: true });
    } else if (before !== undefined && changes) {
      this.#changeRule(before, fields, overrides);
    } else if (before !== undefined && onlySwitches && fields.has('enabled')) {
      before.enabled = this.#flag(fields, 'enabled', name, before.enabled);
      const hint = { rule: name, expected: 'override: {enabled: replace}' };
      this.#problems.add('LOAD_DEPRECATED_ITEM', "switching a rule by 'enabled' alone is deprecated", place, hint);
    } else {
      this.rules.set(name, this.#readRule(name, place, fields, source ?? 'syscall', ruleset));
    }
  }

  #readRule(name: string, place: Place, fields: Fields, source: string, ruleset: string): RuleEntry {
    const what = `rule '${name}'`;
    const several = this.#severalEvents(fields, name, fields.has('condition'));
    // A sequence may hold the last step too; then the rule needs no condition beside it.
    const lastStep = fields.has('condition') ? undefined : several.sequence?.steps.at(-1);
    const condition =
      lastStep ??
      (fields.has('sequence') && !fields.has('condition')
        ? undefined
        : this.#mapped(fields, 'condition', what, place, name));
    const output = this.#mapped(fields, 'output', what, place, name);
    const description = this.#mapped(fields, 'desc', what, place, name)?.text;
    const priority = this.#priority(fields, name, place);
    const tags = this.#texts(fields, 'tags', what, true) ?? [];
    const sequence = several.sequence;
    return {
      name,
      place,
      ruleset,
      source,
      condition: condition ?? textAt(NEVER, place),
      output: output ?? textAt('', place),
      description: description?.trim() ?? '',
      priority: priority ?? 'Debug',
      tags: [...new Set(tags)],
      enabled: this.#flag(fields, 'enabled', name, true),
      exceptions: mergeExceptions([], this.#exceptions(fields, name), name, this.#problems),
      warnEventTypes: this.#flag(fields, 'warn_evttypes', name, true),
      skipIfUnknownFilter: this.#flag(fields, 'skip-if-unknown-filter', name, false),
      capture: this.#flag(fields, 'capture', name, false),
      captureDurationMillis: this.#milliseconds(fields, 'capture_duration', name),
      threshold: several.threshold,
      sequence: sequence && lastStep !== undefined ? { ...sequence, steps: sequence.steps.slice(0, -1) } : sequence,
      broken: several.failed || [condition, output, description, priority].includes(undefined),
    };
  }

  /** `threshold` or `sequence`, and whether there is a mistake in them. */
  #severalEvents(
    fields: Fields,
    rule: string,
    hasCondition: boolean,
  ): { threshold?: ThresholdEntry | undefined; sequence?: SequenceEntry | undefined; failed: boolean } {
    const [threshold, sequence] = [fields.get('threshold'), fields.get('sequence')];
    const reader = new SeveralEventsReader(rule, this.#problems);
    const read = {
      threshold: threshold && reader.threshold(threshold.value),
      sequence: sequence && reader.sequence(sequence.value, hasCondition),
    };
    if (threshold === undefined || sequence === undefined) return { ...read, failed: reader.failed };
    const message = "a rule cannot have both 'threshold' and 'sequence'";
    this.#error('LOAD_ERR_YAML_VALIDATE', message, sequence.keyNode.place, 'two rules', rule);
    return { ...read, failed: true };
  }

  /** Appends first, then replacements. */
  #changeRule(rule: RuleEntry, fields: Fields, overrides: Map<string, Override>): void {
    const { name } = rule;
    const what = `rule '${name}'`;
    const appended = (key: string) => overrides.get(key) === 'append';
    const replaced = (key: string) => overrides.get(key) === 'replace';
    if (overrides.has('condition')) {
      const text = this.#mapped(fields, 'condition', what, rule.place, name);
      if (text !== undefined) rule.condition = appended('condition') ? appendText(rule.condition, text) : text;
    }
    if (overrides.has('output')) {
      const text = this.#mapped(fields, 'output', what, rule.place, name);
      if (text !== undefined) rule.output = appended('output') ? appendText(rule.output, text) : text;
    }
    if (overrides.has('desc')) {
      const text = this.#text(fields, 'desc', what) ?? '';
      rule.description = appended('desc') ? `${rule.description} ${text.trim()}` : text.trim();
    }
    if (overrides.has('tags')) {
      const tags = this.#texts(fields, 'tags', what, true) ?? [];
      rule.tags = [...new Set(appended('tags') ? [...rule.tags, ...tags] : tags)];
    }
    if (overrides.has('exceptions')) {
      const exceptions = this.#exceptions(fields, name);
      rule.exceptions = mergeExceptions(
        appended('exceptions') ? rule.exceptions : [],
        exceptions,
        name,
        this.#problems,
      );
    }
    if (replaced('priority')) rule.priority = this.#priority(fields, name, rule.place) ?? rule.priority;
    if (replaced('enabled')) rule.enabled = this.#flag(fields, 'enabled', name, true);
    if (replaced('warn_evttypes')) rule.warnEventTypes = this.#flag(fields, 'warn_evttypes', name, true);
    if (replaced('skip-if-unknown-filter')) {
      rule.skipIfUnknownFilter = this.#flag(fields, 'skip-if-unknown-filter', name, false);
    }
    if (replaced('threshold') || replaced('sequence')) {
      const { threshold, sequence } = this.#severalEvents(fields, name, true);
      rule.threshold = threshold;
      rule.sequence = sequence;
    }
    if (replaced('capture')) rule.capture = this.#flag(fields, 'capture', name, false);
    if (replaced('capture_duration')) rule.captureDurationMillis = this.#milliseconds(fields, 'capture_duration', name);
  }

  /** What `append: true` and `override` ask for, key by key; undefined if they contradict something. */
  #overridesOf(kind: 'list' | 'macro' | 'rule', fields: Fields): Map<string, Override> | undefined {
    const overrides = new Map<string, Override>();
    const name = fields.get(kind)!.value.scalar ?? '';
    const append = this.#flag(fields, 'append', kind === 'rule' ? name : undefined, false);
    const override = fields.get('override');
    if (append) {
      const place = fields.get('append')!.keyNode.place;
      this.#problems.add('LOAD_DEPRECATED_ITEM', "'append' is deprecated", place, { expected: "'override'" });
      if (override !== undefined) {
        this.#error('LOAD_ERR_VALIDATE', "keys 'override' and 'append: true' cannot be used together", place);
        return undefined;
      }
      for (const key of kind === 'rule' ? ['condition', 'exceptions'] : APPENDABLE[kind]) {
        if (fields.has(key)) overrides.set(key, 'append');
      }
      return overrides;
    }
    if (override === undefined) return overrides;
    return this.#readOverride(kind, fields, override.value, overrides);
  }

  #readOverride(
    kind: 'list' | 'macro' | 'rule',
    fields: Fields,
    node: YamlNode,
    overrides: Map<string, Override>,
  ): Map<string, Override> | undefined {
    const entries = node.entries;
    if (entries === undefined) {
      this.#error(
        'LOAD_ERR_YAML_VALIDATE',
        "'override' is not a mapping",
        node.place,
        '{key: append} or {key: replace}',
      );
      return undefined;
    }
    let valid = true;
    const refuse = (message: string, place: Place, expected?: string) => {
      this.#error('LOAD_ERR_VALIDATE', message, place, expected);
      valid = false;
    };
    for (const { key, keyNode, value } of entries) {
      const how = value.scalar;
      if (how !== 'append' && how !== 'replace') {
        refuse(`invalid override operation '${how ?? ''}' for key '${key}'`, value.place, 'append or replace');
        continue;
      }
      const allowed = how === 'append' ? APPENDABLE[kind] : REPLACEABLE[kind];
      if (!allowed.includes(key)) {
        refuse(`key '${key}' cannot be overridden: ${how}`, keyNode.place, `one of ${allowed.join(' ')}`);
      } else if (!fields.has(key)) {
        refuse(`an ${how} override for '${key}' was specified but '${key}' is not defined`, keyNode.place);
      } else overrides.set(key, how);
    }
    for (const [key, { keyNode }] of fields) {
      if (REPLACEABLE[kind].includes(key) && !entries.some((entry) => entry.key === key)) {
        refuse(`unexpected key '${key}': no corresponding entry under 'override' is defined`, keyNode.place);
      }
    }
    // What is right of it is done, and so looked at.
    return valid || overrides.size > 0 ? overrides : undefined;
  }

  #requireEngine(node: YamlNode): void {
    const wanted = /^\d+$/.test(node.scalar ?? '') ? `0.${node.scalar}.0` : (node.scalar ?? '');
    const order = compareVersions(this.#options.engineVersion, wanted);
    if (order === undefined) {
      this.#error('LOAD_ERR_YAML_VALIDATE', `'${wanted}' is not a version`, node.place, 'a number or x.y.z');
    } else if (order < 0) {
      const message = `rules require engine version ${wanted}, but engine version is ${this.#options.engineVersion}`;
      this.#error('LOAD_ERR_VALIDATE', message, node.place);
    }
  }

  #requirePlugins(node: YamlNode): void {
    for (const item of node.items ?? []) {
      const mistake = requirementMistake(item, this.#options.plugins);
      if (mistake !== undefined) this.#error('LOAD_ERR_VALIDATE', mistake, item.place);
    }
    if (node.items === undefined) {
      this.#error('LOAD_ERR_YAML_VALIDATE', "'required_plugin_versions' is not a sequence", node.place, '- name: ...');
    }
  }

  #fieldsOf(item: YamlNode): Fields | undefined {
    const { entries } = item;
    if (entries === undefined) {
      this.#error('LOAD_ERR_YAML_VALIDATE', 'an item is not a mapping', item.place, `one of ${ITEM_KINDS.join(', ')}`);
      return undefined;
    }
    return new Map(entries.map(({ key, keyNode, value }) => [key, { keyNode, value }]));
  }

  #warnUnknownKeys(kind: (typeof ITEM_KINDS)[number], fields: Fields): void {
    for (const [key, { keyNode }] of fields) {
      if (KEYS[kind].includes(key)) continue;
      this.#problems.add('LOAD_UNKNOWN_KEY', `unknown key '${key}' in a ${kind} is ignored`, keyNode.place, {
        near: nearNames(key, KEYS[kind]),
      });
    }
  }

  #exceptions(fields: Fields, rule: string): ExceptionEntry[] {
    const field = fields.get('exceptions');
    return field === undefined ? [] : readExceptions(field.value, rule, this.#problems);
  }

  #priority(fields: Fields, rule: string, place: Place): Priority | undefined {
    const text = this.#mapped(fields, 'priority', `rule '${rule}'`, place, rule)?.text;
    if (text === undefined) return undefined;
    const priority = parsePriority(text);
    if (priority === undefined) {
      this.#problems.add('LOAD_ERR_YAML_VALIDATE', `invalid priority '${text}'`, fields.get('priority')!.value.place, {
        rule,
        expected: `one of ${PRIORITIES.join(', ')}`,
        near: nearNames(text, PRIORITIES),
      });
    }
    return priority;
  }

  /** A scalar that must be there. */
  #mapped(fields: Fields, key: string, what: string, place: Place, rule?: string): MappedText | undefined {
    const field = fields.get(key);
    const text = field?.value.mappedText;
    if (text !== undefined) return text;
    const found = field === undefined ? `${what} has no '${key}'` : `'${key}' of ${what} is not text`;
    this.#error('LOAD_ERR_YAML_VALIDATE', found, field?.keyNode.place ?? place, undefined, rule);
    return undefined;
  }

  #text(fields: Fields, key: string, what: string): string | undefined {
    const field = fields.get(key);
    if (field === undefined) return undefined;
    if (field.value.scalar === undefined) {
      this.#error('LOAD_ERR_YAML_VALIDATE', `'${key}' of ${what} is not text`, field.keyNode.place);
    }
    return field.value.scalar;
  }

  #texts(fields: Fields, key: string, what: string, optional = false): readonly string[] | undefined {
    const field = fields.get(key);
    if (field === undefined) {
      if (!optional)
        this.#error('LOAD_ERR_YAML_VALIDATE', `${what} has no '${key}'`, fields.values().next().value!.value.place);
      return undefined;
    }
    const { texts } = field.value;
    if (texts === undefined) {
      if (field.value.isNull) return [];
      this.#error('LOAD_ERR_YAML_VALIDATE', `'${key}' of ${what} is not a sequence`, field.value.place, '[value, ...]');
      return undefined;
    }
    if (!(texts instanceof YamlNode)) return texts;
    this.#error('LOAD_ERR_YAML_VALIDATE', `an item of '${key}' of ${what} is not text`, texts.place);
    return undefined;
  }

  #flag(fields: Fields, key: string, rule: string | undefined, otherwise: boolean): boolean {
    const field = fields.get(key);
    if (field === undefined) return otherwise;
    const text = (field.value.scalar ?? '').toLowerCase();
    if (['true', 'yes', 'on', 'y'].includes(text)) return true;
    if (['false', 'no', 'off', 'n'].includes(text)) return false;
    this.#error('LOAD_ERR_YAML_VALIDATE', `'${key}' is not a truth value`, field.value.place, 'true or false', rule);
    return otherwise;
  }

  #milliseconds(fields: Fields, key: string, rule: string): number {
    const field = fields.get(key);
    if (field === undefined) return 0;
    const value = Number(field.value.scalar);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    this.#error(
      'LOAD_ERR_YAML_VALIDATE',
      `'${key}' is not a number of milliseconds`,
      field.value.place,
      'an integer from 0',
      rule,
    );
    return 0;
  }

  #error(
    code: 'LOAD_ERR_YAML_VALIDATE' | 'LOAD_ERR_VALIDATE',
    message: string,
    place: Place,
    expected?: string,
    rule?: string,
  ): void {
    this.#problems.add(code, message, place, { expected, rule });
  }
}

/** Falco joins texts by a blank, before it parses them. */
function appendText(before: MappedText, after: MappedText): MappedText {
  const blank = textAt(BLANK_PLACE_TEXT, after.place({ start: 0, end: 0 }));
  return joinTexts([before, blank, after]);
}
