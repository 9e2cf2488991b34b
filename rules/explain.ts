import { fieldText } from './fields/catalogue.ts';
import type { FieldDefinition } from './fields/field.ts';
import type { RuleFile } from './files.ts';
import { conditionFields } from './index.ts';
import type { Check, Expression } from './language/ast.ts';
import { Collector, type ListEntry, type MacroEntry, type RuleEntry } from './language/collect.ts';
import type { CheckedRule } from './language/compile.ts';
import type { ExceptionEntry } from './language/exceptions.ts';
import { expandLists, listItemText } from './language/lists.ts';
import { parseCondition } from './language/parse.ts';
import { print } from './language/print.ts';
import { ProblemList } from './language/problems.ts';
import { SyntaxProblem } from './language/scan.ts';
import { SourceFile, textAt } from './language/source.ts';
import { readYaml } from './language/yaml.ts';

export interface ExplainedField {
  readonly text: string;
  readonly definition: FieldDefinition;
}

export interface ExplainedList {
  readonly name: string;
  readonly items: readonly string[];
}

export interface ExplainedMacro {
  readonly name: string;
  readonly condition: string;
}

/** All that can be said of a rule without an event. */
export interface Explanation {
  readonly rule: CheckedRule;
  readonly file: string;
  readonly line: number;
  /** The condition with its macros put in, exceptions included; lists by name. */
  readonly expanded: Expression;
  /** The steps of a sequence before the condition, the same way. */
  readonly steps: readonly Expression[];
  /** Some macros stand by name: put in, they would fill pages. */
  readonly cut: boolean;
  readonly fields: readonly ExplainedField[];
  readonly outputFields: readonly ExplainedField[];
  readonly operators: readonly string[];
  readonly macros: readonly ExplainedMacro[];
  readonly lists: readonly ExplainedList[];
  readonly exceptions: readonly ExceptionEntry[];
}

/** Checks that are put in place of macros; past them macros stay. */
const MOST_CHECKS = 2000;

/** Knows the definitions of a rule set that loaded, to explain its rules. */
export class RuleExplainer {
  readonly #macros: ReadonlyMap<string, MacroEntry>;
  readonly #lists: ReadonlyMap<string, ListEntry>;
  readonly #entries: ReadonlyMap<string, RuleEntry>;
  readonly #parsed = new Map<string, Expression>();

  constructor(files: readonly RuleFile[]) {
    // What is wrong with the files was told when they were loaded.
    const collector = new Collector(new ProblemList(), {
      engineVersion: '999.0.0',
      plugins: {},
      sources: ['syscall', 'k8s_audit'],
    });
    for (const { path, text } of files) {
      for (const document of readYaml(new SourceFile(path, text)).documents) collector.add(document, path);
    }
    this.#macros = collector.macros;
    this.#lists = collector.lists;
    this.#entries = collector.rules;
  }

  explain(rule: CheckedRule): Explanation {
    const macros = new Set<string>();
    const lists = new Set<string>();
    const operators = new Set<string>();
    const stepTexts = (rule.sequence?.steps ?? []).map(({ conditionText }) => conditionText);
    for (const text of [...stepTexts, rule.conditionText]) {
      this.#collect(this.#parse(text), text, { macros, lists, operators });
    }
    const budget = { checks: MOST_CHECKS, cut: false };
    const steps = stepTexts.map((text) => this.#expand(this.#parse(text), budget));
    const expanded = this.#expand(this.#parse(rule.conditionText), budget);
    const { line } = rule.place.file.position(rule.place.start);
    return {
      rule,
      file: rule.place.file.path,
      line,
      expanded,
      steps,
      cut: budget.cut,
      fields: fieldsOf(rule),
      outputFields: outputFields(rule),
      operators: [...operators],
      macros: [...macros].map((name) => ({ name, condition: this.#macros.get(name)!.condition.text.trim() })),
      lists: [...lists].map((name) => ({ name, items: this.#lists.get(name)!.items })),
      exceptions: this.#entries.get(rule.name)?.exceptions ?? [],
    };
  }

  /** Every list and macro that a condition uses, through others too, and the operators. */
  #collect(expression: Expression, text: string, found: Found): void {
    this.#collectLists(text, found.lists);
    walk(expression, (node) => {
      if (node.kind === 'check') found.operators.add(operatorOf(node));
      if (node.kind !== 'macro' || found.macros.has(node.name) || !this.#macros.has(node.name)) return;
      found.macros.add(node.name);
      this.#collect(this.#macro(node.name), this.#macros.get(node.name)!.condition.text, found);
    });
  }

  #collectLists(text: string, found: Set<string>): void {
    const definitions = new Map([...this.#lists.keys()].map((name) => [name, { name, text: name }]));
    const add = (name: string) => {
      if (found.has(name)) return;
      found.add(name);
      for (const item of this.#lists.get(name)!.items) if (this.#lists.has(item)) add(item);
    };
    expandLists(textAt(text, NOWHERE), definitions, add);
  }

  #macro(name: string): Expression {
    const known = this.#parsed.get(name) ?? this.#parse(this.#macros.get(name)!.condition.text);
    this.#parsed.set(name, known);
    return known;
  }

  /** Lists stay by name, unless only what is in one makes the text a condition. */
  #parse(text: string): Expression {
    try {
      return parseCondition(text);
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error;
      const definitions = new Map([...this.#lists.keys()].map((name) => [name, { name, text: this.#listText(name) }]));
      return parseCondition(expandLists(textAt(text, NOWHERE), definitions, () => {}).text);
    }
  }

  #listText(name: string): string {
    const texts = this.#lists
      .get(name)!
      .items.map((item) => (item !== name && this.#lists.has(item) ? this.#listText(item) : listItemText(item)));
    return texts.filter((text) => text !== '').join(', ');
  }

  #expand(expression: Expression, budget: Budget): Expression {
    switch (expression.kind) {
      case 'check':
        budget.checks--;
        return expression;
      case 'not':
        return { kind: 'not', operand: this.#expand(expression.operand, budget) };
      case 'macro':
        if (budget.checks > 0 && this.#macros.has(expression.name)) {
          return this.#expand(this.#macro(expression.name), budget);
        }
        budget.cut = true;
        return expression;
      default:
        return joined(
          expression.kind,
          expression.operands.map((operand) => this.#expand(operand, budget)),
        );
    }
  }
}

interface Found {
  readonly macros: Set<string>;
  readonly lists: Set<string>;
  readonly operators: Set<string>;
}

interface Budget {
  checks: number;
  cut: boolean;
}

const NOWHERE = { file: new SourceFile('', ''), start: 0, end: 0 };

/** `a and (b and c)`, which macros lead to, reads better as `a and b and c`. */
function joined(kind: 'and' | 'or', operands: readonly Expression[]): Expression {
  return { kind, operands: operands.flatMap((operand) => (operand.kind === kind ? operand.operands : [operand])) };
}

function walk(expression: Expression, visit: (node: Expression) => void): void {
  visit(expression);
  if (expression.kind === 'not') walk(expression.operand, visit);
  if (expression.kind === 'and' || expression.kind === 'or')
    for (const operand of expression.operands) walk(operand, visit);
}

function operatorOf({ operator, modifier }: Check): string {
  return modifier === undefined ? operator : `${operator} ${modifier}`;
}

/** Fields of every condition. */
function fieldsOf({ condition, sequence }: CheckedRule): ExplainedField[] {
  const conditions = [...(sequence?.steps ?? []).map((step) => step.condition), condition];
  const fields = new Map(conditions.flatMap((one) => [...conditionFields(one)]));
  return [...fields].map(([text, { definition }]) => ({ text, definition }));
}

function outputFields({ output }: CheckedRule): ExplainedField[] {
  const fields = new Map<string, ExplainedField>();
  for (const part of output.parts) {
    if (typeof part === 'string' || part.operand.kind !== 'field') continue;
    const { definition, reference } = part.operand;
    fields.set(fieldText(reference), { text: fieldText(reference), definition });
  }
  return [...fields.values()];
}

const LINE_WIDTH = 100;

/** Writes a condition over several lines: it parses to the same tree. */
export function layOut(expression: Expression, indent = ''): string {
  const line = print(expression);
  if (indent.length + line.length <= LINE_WIDTH || expression.kind === 'check' || expression.kind === 'macro')
    return indent + line;
  if (expression.kind === 'not') return `${indent}not ${parenthesised(expression.operand, indent)}`;
  return expression.operands
    .map((operand, index) => {
      const word = index === 0 ? '' : `${expression.kind} `;
      if (operand.kind === 'and' || operand.kind === 'or') return `${indent}${word}${parenthesised(operand, indent)}`;
      return `${indent}${word}${layOut(operand, indent).trimStart()}`;
    })
    .join('\n');
}

function parenthesised(expression: Expression, indent: string): string {
  const line = print(expression);
  if (expression.kind !== 'and' && expression.kind !== 'or') return layOut(expression, indent).trimStart();
  if (indent.length + line.length + 2 <= LINE_WIDTH) return `(${line})`;
  return `(\n${layOut(expression, `${indent}  `)}\n${indent})`;
}
