import type { Item } from './item.ts';
import type { ProblemList } from './problems.ts';
import type { Place } from './source.ts';
import type { YamlNode } from './yaml.ts';

export type Override = 'append' | 'replace';
/** What can be defined by one item and changed by another. */
export type NamedKind = 'list' | 'macro' | 'rule';

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

/** What `append: true` and `override` ask for, key by key; undefined if they contradict something. */
export function overridesOf(kind: NamedKind, item: Item, problems: ProblemList): Map<string, Override> | undefined {
  const overrides = new Map<string, Override>();
  const name = item.get(kind)!.value.scalar ?? '';
  const append = item.flag('append', kind === 'rule' ? name : undefined, false);
  const override = item.get('override');
  if (append) {
    const place = item.get('append')!.keyNode.place;
    problems.add('LOAD_DEPRECATED_ITEM', "'append' is deprecated", place, { expected: "'override'" });
    if (override !== undefined) {
      problems.add('LOAD_ERR_VALIDATE', "keys 'override' and 'append: true' cannot be used together", place);
      return undefined;
    }
    for (const key of kind === 'rule' ? ['condition', 'exceptions'] : APPENDABLE[kind]) {
      if (item.has(key)) overrides.set(key, 'append');
    }
    return overrides;
  }
  if (override === undefined) return overrides;
  return readOverride(kind, item, problems, override.value, overrides);
}

function readOverride(
  kind: NamedKind,
  item: Item,
  problems: ProblemList,
  node: YamlNode,
  overrides: Map<string, Override>,
): Map<string, Override> | undefined {
  const entries = node.entries;
  if (entries === undefined) {
    const hint = { expected: '{key: append} or {key: replace}' };
    problems.add('LOAD_ERR_YAML_VALIDATE', "'override' is not a mapping", node.place, hint);
    return undefined;
  }
  let valid = true;
  const refuse = (message: string, place: Place, expected?: string) => {
    problems.error('LOAD_ERR_VALIDATE', message, place, expected);
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
    } else if (!item.has(key)) {
      refuse(`an ${how} override for '${key}' was specified but '${key}' is not defined`, keyNode.place);
    } else overrides.set(key, how);
  }
  for (const [key, { keyNode }] of item.fields) {
    if (REPLACEABLE[kind].includes(key) && !entries.some((entry) => entry.key === key)) {
      refuse(`unexpected key '${key}': no corresponding entry under 'override' is defined`, keyNode.place);
    }
  }
  // What is right of it is done, and so looked at.
  return valid || overrides.size > 0 ? overrides : undefined;
}
