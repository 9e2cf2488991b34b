import { type Explanation, layOut, RuleExplainer } from '../rules/explain.ts';
import { nearNames } from '../rules/fields/near.ts';
import { type CheckedRule, formatProblem } from '../rules/index.ts';
import { print } from '../rules/language/print.ts';
import { errorsOf, loadRulePaths } from './load-rules.ts';

export interface RulesExplainOptions {
  readonly json?: boolean;
}

/** `shikra rules explain`: all that a rule is made of. @returns the exit code */
export async function rulesExplain(
  name: string,
  paths: readonly string[],
  options: RulesExplainOptions,
): Promise<number> {
  const { files, rules, problems } = await loadRulePaths(paths.length === 0 ? ['bundled'] : paths);
  const errors = errorsOf(problems);
  const rule = rules.find((one) => one.name === name) ?? rules.find((one) => isLike(one.name, name));
  if (rule === undefined) {
    for (const error of errors) console.error(formatProblem(error));
    console.error(
      `shikra: there is no rule '${name}'${suggestion(
        name,
        rules.map((one) => one.name),
      )}`,
    );
    return 2;
  }
  const explanation = new RuleExplainer(files).explain(rule);
  console.log(options.json ? JSON.stringify(explanationJson(explanation), null, 2) : explanationText(explanation));
  return 0;
}

function isLike(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Near names; else those that hold the words. */
function suggestion(name: string, names: readonly string[]): string {
  const near = nearNames(name, names);
  const holding = names.filter((one) => one.toLowerCase().includes(name.toLowerCase())).slice(0, 5);
  const shown = near.length > 0 ? near : holding;
  if (shown.length === 0) return '; `shikra rules list` names them all';
  return `; did you mean ${shown.map((one) => `'${one}'`).join(' or ')}?`;
}

const MOST_ITEMS = 12;

function explanationText(explanation: Explanation): string {
  const { rule, file, line, cut } = explanation;
  const eventTypes = eventTypesOf(rule);
  return [
    rule.name,
    `  ${rule.description.replace(/\s+/g, ' ')}`,
    '',
    `defined   ${file}:${line}`,
    `priority  ${rule.priority}${rule.enabled ? '' : ' (disabled)'}`,
    `source    ${rule.source}`,
    `tags      ${rule.tags.join(' ')}`,
    `events    ${rule.source !== 'syscall' ? 'every one of the source' : (eventTypes?.join(' ') ?? 'every type')}`,
    `output    ${rule.output.text}`,
    `operators ${explanation.operators.join(' ')}`,
    ...severalText(rule),
    ...explanation.steps.flatMap((step, index) => ['', `step ${index + 1}:`, layOut(step, '  ')]),
    '',
    `${explanation.steps.length > 0 ? 'then the condition' : 'condition'}, macros put in${cut ? ' (some stand by name: there would be pages)' : ''}:`,
    layOut(explanation.expanded, '  '),
    ...section('fields', explanation.fields, ({ text, definition }) => [
      text,
      `${definition.type.padEnd(8)} ${definition.description}`,
    ]),
    ...section('lists', explanation.lists, ({ name, items }) => [name, itemsText(items)]),
    ...section('macros', explanation.macros, ({ name, condition }) => [name, condition.replace(/\s+/g, ' ')]),
    ...section('exceptions', explanation.exceptions, ({ name, fields, comparisons, values }) => [
      name,
      `${[fields ?? []].flat().join(', ')}${comparisons === undefined ? '' : ` (${[comparisons].flat().join(', ')})`}: ${count(values.length, 'value')}`,
    ]),
  ].join('\n');
}

/** Of all steps; undefined if one of them restricts no event type. */
function eventTypesOf(rule: CheckedRule): string[] | undefined {
  const sets = [...(rule.sequence?.steps ?? []), rule].map(({ eventTypes }) => eventTypes);
  return sets.includes(undefined) ? undefined : [...new Set(sets.flatMap((types) => [...types!]))];
}

/** What a rule over several events asks of them together. */
function severalText({ threshold, sequence }: CheckedRule): string[] {
  const { by } = threshold ?? sequence ?? { by: [] };
  const together = by.length === 0 ? '' : `, equal in ${by.map(({ text }) => text).join(', ')}`;
  if (threshold !== undefined)
    return [`threshold ${threshold.count} within ${durationText(threshold.windowNs)}${together}`];
  return sequence === undefined ? [] : [`sequence  within ${durationText(sequence.withinNs)}${together}`];
}

function durationText(ns: number): string {
  const units = { d: 86_400e9, h: 3600e9, m: 60e9, s: 1e9, ms: 1e6 };
  const [unit, size] = Object.entries(units).find(([, size]) => ns % size === 0) ?? ['ms', 1e6];
  return `${ns / size}${unit}`;
}

function section<T>(title: string, items: readonly T[], row: (item: T) => readonly [string, string]): string[] {
  if (items.length === 0) return [];
  const rows = items.map(row);
  const width = Math.max(...rows.map(([name]) => name.length));
  return ['', `${title}:`, ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`)];
}

function itemsText(items: readonly string[]): string {
  if (items.length === 0) return '(empty)';
  const shown = items.slice(0, MOST_ITEMS).join(', ');
  return items.length > MOST_ITEMS ? `${shown}, and ${items.length - MOST_ITEMS} more` : shown;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** As `falco -l RULE` with JSON output; `file`, `line` and `shikra_*` are ours. */
function explanationJson(explanation: Explanation): object {
  const { rule, expanded, exceptions } = explanation;
  return {
    info: {
      name: rule.name,
      condition: rule.conditionText,
      priority: rule.priority,
      output: rule.output.text,
      description: rule.description,
      enabled: rule.enabled,
      source: rule.source,
      capture: rule.capture,
      capture_duration: rule.captureDurationMillis,
      tags: rule.tags,
      ...(rule.threshold && { threshold: { ...rule.threshold, by: rule.threshold.by.map(({ text }) => text) } }),
      ...(rule.sequence && {
        sequence: {
          withinNs: rule.sequence.withinNs,
          by: rule.sequence.by.map(({ text }) => text),
          steps: explanation.steps.map((step) => ({ condition: print(step) })),
        },
      }),
      file: explanation.file,
      line: explanation.line,
    },
    details: {
      macros: explanation.macros.map(({ name }) => name),
      lists: explanation.lists.map(({ name }) => name),
      condition_operators: explanation.operators,
      condition_fields: explanation.fields.map(({ text }) => text),
      output_fields: explanation.outputFields.map(({ text }) => text),
      exception_names: exceptions.map(({ name }) => name),
      exception_fields: [...new Set(exceptions.flatMap(({ fields }) => [fields ?? []].flat()))],
      exception_operators: [...new Set(exceptions.flatMap(({ comparisons }) => [comparisons ?? []].flat()))],
      events: eventTypesOf(rule) ?? ['all'],
      condition_compiled: print(expanded),
      output_compiled: rule.output.text,
      plugins: [],
    },
  };
}
