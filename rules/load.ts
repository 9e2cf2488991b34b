import { basename, extname } from 'node:path';
import type { RuleFile } from './files.ts';
import { Collector } from './language/collect.ts';
import { type CheckedRule, Compiler } from './language/compile.ts';
import type { Problem } from './language/problem.ts';
import { ProblemList } from './language/problems.ts';
import { SourceFile } from './language/source.ts';
import type { PluginVersions } from './language/versions.ts';
import { readYaml } from './language/yaml.ts';

/** Switches rules on or off: those whose name fits, and those that have the tag. */
export type RuleSelection =
  | { readonly enable: SelectedRules; readonly disable?: never }
  | { readonly disable: SelectedRules; readonly enable?: never };

export interface SelectedRules {
  /** `*` stands for any text. */
  readonly rule?: string | undefined;
  readonly tag?: string | undefined;
}

export interface LoadOptions {
  /** Falco's engine version that the rule files may ask for. */
  readonly engineVersion?: string;
  /** Falco plugins whose fields are built in, with the version each is equal to. */
  readonly plugins?: PluginVersions;
  /** Event sources that exist; rules for others are skipped with a warning. */
  readonly sources?: readonly string[];
  /** Applied in order when all files are loaded. */
  readonly selection?: readonly RuleSelection[];
}

export interface LoadResult {
  /** The rules without errors, in the order of their first definition, disabled ones included. */
  readonly rules: CheckedRule[];
  /** Everything found, by file and line. The caller refuses to start if one is an error. */
  readonly problems: Problem[];
}

const DEFAULTS: Required<LoadOptions> = {
  engineVersion: '0.63.0',
  plugins: { container: '0.7.1', k8saudit: '0.18.0', json: '0.7.4' },
  sources: ['syscall', 'k8s_audit'],
  selection: [],
};

/**
 * Loads rule files in order, as one set: a later file may change what an earlier one defines. Never throws for what stands in a file.
 */
export function loadRules(files: readonly RuleFile[], options: LoadOptions = {}): LoadResult {
  const problems = new ProblemList();
  const collector = new Collector(problems, { ...DEFAULTS, ...options });
  for (const { path, text } of files) {
    const file = new SourceFile(path, text);
    const { documents, problems: mistakes } = readYaml(file);
    for (const mistake of mistakes) problems.push(mistake);
    for (const document of documents) collector.add(document, rulesetName(path));
  }
  const rules = new Compiler(collector, problems).compile();
  const { selected, unmatched } = selectRules(rules, options.selection ?? []);
  return { rules: selected, problems: [...problems.sorted(), ...unmatched] };
}

function selectRules(
  rules: readonly CheckedRule[],
  selection: readonly RuleSelection[],
): { selected: CheckedRule[]; unmatched: Problem[] } {
  const enabled = new Map(rules.map((rule) => [rule, rule.enabled]));
  const unmatched: Problem[] = [];
  for (const [index, choice] of selection.entries()) {
    const { rule: name, tag } = choice.enable ?? choice.disable;
    const chosen = rules.filter(
      (rule) => (name !== undefined && globMatches(name, rule.name)) || (tag !== undefined && rule.tags.includes(tag)),
    );
    for (const rule of chosen) enabled.set(rule, choice.enable !== undefined);
    if (chosen.length === 0) unmatched.push(selectsNothing(index, choice));
  }
  const selected = rules.map((rule) =>
    enabled.get(rule) === rule.enabled ? rule : { ...rule, enabled: !rule.enabled },
  );
  return { selected, unmatched };
}

/** Only `*` means anything: names hold brackets and question marks. */
function globMatches(pattern: string, name: string): boolean {
  const parts = pattern.split('*');
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

function selectsNothing(index: number, choice: RuleSelection): Problem {
  const message = `no rule is chosen by ${JSON.stringify(choice)}`;
  const file = `configuration: rules[${index}]`;
  return { code: 'LOAD_SELECTS_NOTHING', severity: 'warning', message, file, line: 1, column: 1, endColumn: 2 };
}

function rulesetName(path: string): string {
  return basename(path, extname(path));
}
