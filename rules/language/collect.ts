import type { Priority } from '../../collector/detection/priority.ts';
import { nearNames } from '../fields/near.ts';
import { type ExceptionEntry, mergeExceptions } from './exceptions.ts';
import { Item } from './item.ts';
import { type NamedKind, type Override, overridesOf } from './overrides.ts';
import type { ProblemList } from './problems.ts';
import type { SequenceEntry, ThresholdEntry } from './several.ts';
import { joinTexts, type MappedText, type Place, textAt } from './source.ts';
import { compareVersions, type PluginVersions, requirementMistake } from './versions.ts';
import type { YamlNode } from './yaml.ts';

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
      this.#problems.error(
        'LOAD_ERR_YAML_VALIDATE',
        'rules content is not a YAML array of objects',
        document.place,
        'a sequence of items: - rule: ...',
      );
      return;
    }
    for (const item of items) if (!item.isNull) this.#addItem(item, ruleset);
  }

  #addItem(node: YamlNode, ruleset: string): void {
    this.#index++;
    const item = Item.of(node, this.#problems);
    const kind = item?.kind(node.place);
    if (item === undefined || kind === undefined) return;
    if (kind === 'required_engine_version') this.#requireEngine(item.get(kind)!.value);
    else if (kind === 'required_plugin_versions') this.#requirePlugins(item.get(kind)!.value);
    else this.#addNamed(kind, item, ruleset);
  }

  #addNamed(kind: NamedKind, item: Item, ruleset: string): void {
    const node = item.get(kind)!.value;
    const name = node.scalar;
    if (name === undefined || name === '') {
      this.#problems.error(
        'LOAD_ERR_YAML_VALIDATE',
        `a ${kind} needs a name`,
        node.isNull ? item.get(kind)!.keyNode.place : node.place,
        'text',
      );
      if (kind === 'rule' && !item.has('override') && !item.has('append'))
        this.rejected.push({ ...this.#readRule('', node.place, item, 'syscall', ruleset), broken: true });
      return;
    }
    const overrides = overridesOf(kind, item, this.#problems);
    if (overrides === undefined) return;
    if (kind === 'list') this.#addList(name, node.place, item, overrides);
    else if (kind === 'macro') this.#addMacro(name, node.place, item, overrides);
    else this.#addRule(name, node.place, item, overrides, ruleset);
  }

  #addList(name: string, place: Place, item: Item, overrides: Map<string, Override>): void {
    if (!LIST_NAME.test(name)) {
      this.#problems.add('LOAD_INVALID_LIST_NAME', `list name '${name}' is not valid`, place, {
        expected: String(LIST_NAME),
      });
    }
    const items = item.texts('items', `list '${name}'`);
    if (items === undefined) return;
    const before = this.lists.get(name);
    if (overrides.get('items') !== 'append') {
      this.lists.set(name, { name, place, items });
    } else if (before === undefined) {
      this.#problems.error(
        'LOAD_ERR_VALIDATE',
        `list '${name}' is appended to but no list by that name already exists`,
        place,
      );
    } else {
      // Not with a spread: a list may have a hundred thousand items.
      before.items = before.items.concat(items);
    }
  }

  #addMacro(name: string, place: Place, item: Item, overrides: Map<string, Override>): void {
    if (!MACRO_NAME.test(name)) {
      this.#problems.add('LOAD_INVALID_MACRO_NAME', `macro name '${name}' is not valid`, place, {
        expected: String(MACRO_NAME),
      });
    }
    const condition = item.mapped('condition', `macro '${name}'`, place) ?? textAt(NEVER, place);
    const before = this.macros.get(name);
    if (overrides.get('condition') !== 'append') {
      const index = before?.index ?? this.#index;
      this.macros.set(name, { name, place, index, condition, visibility: this.#index });
    } else if (before === undefined) {
      this.#problems.error(
        'LOAD_ERR_VALIDATE',
        `macro '${name}' is appended to but no macro by that name already exists`,
        place,
      );
    } else {
      before.condition = appendText(before.condition, condition);
      before.visibility = this.#index;
    }
  }

  #addRule(name: string, place: Place, item: Item, overrides: Map<string, Override>, ruleset: string): void {
    const before = this.rules.get(name);
    const source = item.text('source', `rule '${name}'`);
    if (source !== undefined && !this.#options.sources.includes(source)) {
      const near = nearNames(source, this.#options.sources);
      this.#problems.add(
        'LOAD_UNKNOWN_SOURCE',
        `unknown source '${source}': the rule is skipped`,
        item.get('source')!.value.place,
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
      item.has(key),
    );
    if (before === undefined && (changes || (onlySwitches && item.has('enabled')))) {
      const how = changes ? 'changed' : "given an 'enabled' key";
      this.#problems.error(
        'LOAD_ERR_VALIDATE',
        `rule '${name}' is ${how} but no rule by that name already exists`,
        place,
        undefined,
        name,
      );
    } else if (before !== undefined && source !== undefined && source !== before.source) {
      this.#problems.error(
        'LOAD_ERR_VALIDATE',
        `rule '${name}' has been re-defined with a different source`,
        place,
        `'${before.source}'`,
        name,
      );
      if (!changes) this.rejected.push({ ...this.#readRule(name, place, item, source, ruleset), broken: true });
    } else if (before !== undefined && changes) {
      this.#changeRule(before, item, overrides);
    } else if (before !== undefined && onlySwitches && item.has('enabled')) {
      before.enabled = item.flag('enabled', name, before.enabled);
      const hint = { rule: name, expected: 'override: {enabled: replace}' };
      this.#problems.add('LOAD_DEPRECATED_ITEM', "switching a rule by 'enabled' alone is deprecated", place, hint);
    } else {
      this.rules.set(name, this.#readRule(name, place, item, source ?? 'syscall', ruleset));
    }
  }

  #readRule(name: string, place: Place, item: Item, source: string, ruleset: string): RuleEntry {
    const what = `rule '${name}'`;
    const several = item.severalEvents(name, item.has('condition'));
    // A sequence may hold the last step too; then the rule needs no condition beside it.
    const lastStep = item.has('condition') ? undefined : several.sequence?.steps.at(-1);
    const condition =
      lastStep ??
      (item.has('sequence') && !item.has('condition') ? undefined : item.mapped('condition', what, place, name));
    const output = item.mapped('output', what, place, name);
    const description = item.mapped('desc', what, place, name)?.text;
    const priority = item.priority(name, place);
    const tags = item.texts('tags', what, true) ?? [];
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
      enabled: item.flag('enabled', name, true),
      exceptions: mergeExceptions([], item.exceptions(name), name, this.#problems),
      warnEventTypes: item.flag('warn_evttypes', name, true),
      skipIfUnknownFilter: item.flag('skip-if-unknown-filter', name, false),
      capture: item.flag('capture', name, false),
      captureDurationMillis: item.milliseconds('capture_duration', name),
      threshold: several.threshold,
      sequence: sequence && lastStep !== undefined ? { ...sequence, steps: sequence.steps.slice(0, -1) } : sequence,
      broken: several.failed || [condition, output, description, priority].includes(undefined),
    };
  }

  /** Appends first, then replacements. */
  #changeRule(rule: RuleEntry, item: Item, overrides: Map<string, Override>): void {
    const { name } = rule;
    const what = `rule '${name}'`;
    const appended = (key: string) => overrides.get(key) === 'append';
    const replaced = (key: string) => overrides.get(key) === 'replace';
    if (overrides.has('condition')) {
      const text = item.mapped('condition', what, rule.place, name);
      if (text !== undefined) rule.condition = appended('condition') ? appendText(rule.condition, text) : text;
    }
    if (overrides.has('output')) {
      const text = item.mapped('output', what, rule.place, name);
      if (text !== undefined) rule.output = appended('output') ? appendText(rule.output, text) : text;
    }
    if (overrides.has('desc')) {
      const text = item.text('desc', what) ?? '';
      rule.description = appended('desc') ? `${rule.description} ${text.trim()}` : text.trim();
    }
    if (overrides.has('tags')) {
      const tags = item.texts('tags', what, true) ?? [];
      rule.tags = [...new Set(appended('tags') ? [...rule.tags, ...tags] : tags)];
    }
    if (overrides.has('exceptions')) {
      const exceptions = item.exceptions(name);
      rule.exceptions = mergeExceptions(
        appended('exceptions') ? rule.exceptions : [],
        exceptions,
        name,
        this.#problems,
      );
    }
    if (replaced('priority')) rule.priority = item.priority(name, rule.place) ?? rule.priority;
    if (replaced('enabled')) rule.enabled = item.flag('enabled', name, true);
    if (replaced('warn_evttypes')) rule.warnEventTypes = item.flag('warn_evttypes', name, true);
    if (replaced('skip-if-unknown-filter')) {
      rule.skipIfUnknownFilter = item.flag('skip-if-unknown-filter', name, false);
    }
    if (replaced('threshold') || replaced('sequence')) {
      const { threshold, sequence } = item.severalEvents(name, true);
      rule.threshold = threshold;
      rule.sequence = sequence;
    }
    if (replaced('capture')) rule.capture = item.flag('capture', name, false);
    if (replaced('capture_duration')) rule.captureDurationMillis = item.milliseconds('capture_duration', name);
  }

  #requireEngine(node: YamlNode): void {
    const wanted = /^\d+$/.test(node.scalar ?? '') ? `0.${node.scalar}.0` : (node.scalar ?? '');
    const order = compareVersions(this.#options.engineVersion, wanted);
    if (order === undefined) {
      this.#problems.error('LOAD_ERR_YAML_VALIDATE', `'${wanted}' is not a version`, node.place, 'a number or x.y.z');
    } else if (order < 0) {
      const message = `rules require engine version ${wanted}, but engine version is ${this.#options.engineVersion}`;
      this.#problems.error('LOAD_ERR_VALIDATE', message, node.place);
    }
  }

  #requirePlugins(node: YamlNode): void {
    for (const item of node.items ?? []) {
      const mistake = requirementMistake(item, this.#options.plugins);
      if (mistake !== undefined) this.#problems.error('LOAD_ERR_VALIDATE', mistake, item.place);
    }
    if (node.items === undefined) {
      this.#problems.error(
        'LOAD_ERR_YAML_VALIDATE',
        "'required_plugin_versions' is not a sequence",
        node.place,
        '- name: ...',
      );
    }
  }
}

/** Falco joins texts by a blank, before it parses them. */
function appendText(before: MappedText, after: MappedText): MappedText {
  const blank = textAt(BLANK_PLACE_TEXT, after.place({ start: 0, end: 0 }));
  return joinTexts([before, blank, after]);
}
