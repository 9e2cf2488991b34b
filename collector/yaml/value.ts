/** What a YAML file says as plain values. */
import { boolCoreTag, floatCoreTag, intCoreTag, NOT_RESOLVED, nullCoreTag } from 'js-yaml';
import { MERGE_KEY, type YamlEntry, type YamlMapping, type YamlScalar, type YamlTree } from './tree.ts';

export interface ValueOptions {
  /** Whether `<<` brings in the keys of another mapping. */
  readonly merge?: boolean;
  /** What scalars are taken for, if not for what they say. */
  readonly instead?: ReadonlyMap<YamlScalar, unknown>;
}

const CORE_TAGS = [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag];

/** By YAML's core schema: what stands in quotes is text. */
export function scalarValue({ text, style, tag }: YamlScalar): unknown {
  const isText = tag === undefined ? style !== 'plain' : !/^!!(?:null|bool|int|float)$/.test(tag);
  if (isText) return text;
  for (const core of CORE_TAGS) {
    const value = core.resolve(text, tag !== undefined, core.tagName);
    if (value !== NOT_RESOLVED) return value;
  }
  return text;
}

/** The value as JSON would have it, keys as they are written. A node that stands in several places is the same object in each. */
export function treeValue(tree: YamlTree, options: ValueOptions = {}): unknown {
  const known = new Map<YamlTree, unknown>();
  const merged = new Map<YamlMapping, readonly YamlEntry[]>();
  const visit = (node: YamlTree): unknown => {
    if (known.has(node)) return known.get(node);
    if (node.kind === 'scalar') return options.instead?.has(node) ? options.instead.get(node) : scalarValue(node);
    if (node.kind === 'sequence') {
      const items: unknown[] = [];
      known.set(node, items);
      for (const item of node.items) items.push(visit(item));
      return items;
    }
    const value = {};
    known.set(node, value);
    for (const entry of options.merge ? mergedEntries(node, merged) : node.entries)
      define(value, keyText(entry.key), visit(entry.value));
    return value;
  };
  return visit(tree);
}

/** A key may be `__proto__`. */
function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

/**
 * Of a mapping; a key that it has itself goes before one that `<<` brings in, and of these the first.
 * @param known of mappings that were asked for before: one that many bring in is looked at once
 */
export function mergedEntries(
  mapping: YamlMapping,
  known = new Map<YamlMapping, readonly YamlEntry[]>(),
): readonly YamlEntry[] {
  const before = known.get(mapping);
  if (before !== undefined) return before;
  known.set(mapping, []); // it may hold itself
  const entries = new Map<string, YamlEntry>();
  for (const { key, value } of mapping.entries) {
    if (keyText(key) !== MERGE_KEY) continue;
    for (const merged of value.kind === 'sequence' ? value.items : [value]) {
      if (merged.kind !== 'mapping') continue;
      for (const entry of mergedEntries(merged, known)) {
        if (!entries.has(keyText(entry.key))) entries.set(keyText(entry.key), entry);
      }
    }
  }
  for (const entry of mapping.entries) if (keyText(entry.key) !== MERGE_KEY) entries.set(keyText(entry.key), entry);
  const all = [...entries.values()];
  known.set(mapping, all);
  return all;
}

export function keyText(key: YamlTree): string {
  return key.kind === 'scalar' ? key.text : '';
}
