import { createHash } from 'node:crypto';
import type { AttributeList } from './attribute-list.ts';
import type { AttributeValue } from './attribute-value.ts';
import { compactText } from './compact.ts';
import type { Detection } from './detection.ts';

const CATEGORIES = ['process', 'network', 'filesystem', 'container', 'k8s', 'users'];

/** What is the same for every detection of a rule. */
interface RuleAttributes {
  readonly tags: readonly string[];
  readonly description: string;
  readonly attributes: readonly (readonly [string, AttributeValue])[];
}

const MOST_RULES = 10_000;
const rules = new Map<string, RuleAttributes>();

/** Adds what is the same for every detection of a rule. */
export function addRule(attributes: AttributeList, detection: Detection): void {
  const { ruleset, rule, tags, description } = detection;
  const key = `${ruleset}\n${rule}`;
  let known = rules.get(key);
  // After a reload a rule may have other tags.
  if (known === undefined || known.description !== description || !sameItems(known.tags, tags)) {
    known = { tags, description, attributes: Object.entries(ruleAttributes(detection)) };
    if (rules.size >= MOST_RULES) rules.clear();
    rules.set(key, known);
  }
  for (const [name, value] of known.attributes) attributes.add(name, value);
}

function sameItems(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

function ruleAttributes({ ruleset, rule, tags, description }: Detection): Record<string, AttributeValue> {
  const category = CATEGORIES.find((name) => tags.includes(name));
  const techniques = tags.filter((tag) => /^T\d{4}(\.\d{3})?$/.test(tag));
  const tactics = tags.filter((tag) => tag.startsWith('mitre_')).map((tag) => compactText(tag.slice('mitre_'.length)));
  return {
    'security_rule.name': rule,
    'security_rule.uuid': ruleUuid(ruleset, rule),
    'security_rule.ruleset.name': ruleset,
    ...(description !== '' && { 'security_rule.description': description }),
    ...(category !== undefined && { 'security_rule.category': category }),
    ...(tags.length > 0 && { 'shikra.rule.tags': [...tags] }),
    ...(techniques.length > 0 && { 'shikra.threat.technique.ids': techniques }),
    ...(tactics.length > 0 && { 'shikra.threat.tactic.names': tactics }),
  };
}

/** A UUIDv8 of the rule's file and name: the same on every node that has the rule. */
function ruleUuid(ruleset: string, rule: string): string {
  const hex = createHash('sha256').update('shikra.rule\n').update(`${ruleset}\n${rule}`).digest('hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return compactText(
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`,
  );
}
