import type { Priority } from '../../collector/detection/priority.ts';
import { FIELDS } from '../fields/catalogue.ts';
import { nearNames } from '../fields/near.ts';
import type { Expression, MacroReference } from './ast.ts';
import { checkExpression, checkOperand, type Finding, findingOf } from './check.ts';
import type { Collector, MacroEntry, RuleEntry } from './collect.ts';
import { eventTypesOf } from './event-types.ts';
import { withExceptions } from './exceptions.ts';
import { LinkedFolders } from './linked-folders.ts';
import { expandLists, type ListDefinition, listItemText } from './lists.ts';
import { type OutputFormat, parseOutput } from './output.ts';
import { DEEPEST, parseCondition, parseOperand } from './parse.ts';
import type { ProblemList } from './problems.ts';
import { SyntaxProblem } from './scan.ts';
import type { KeyEntry } from './several.ts';
import type { MappedText, Place } from './source.ts';
import type { TypedExpression, TypedOperand } from './typed.ts';

/** A rule that is right: its condition typed and without macros, its output cut at its fields. Every back end starts from this. */
export interface CheckedRule {
  readonly name: string;
  readonly description: string;
  readonly priority: Priority;
  readonly source: string;
  readonly tags: readonly string[];
  readonly enabled: boolean;
  /** The file that defines it, as a name without folder and extension. */
  readonly ruleset: string;
  /** The condition as written, exceptions included. */
  readonly conditionText: string;
  readonly condition: TypedExpression;
  /** Undefined if the condition restricts no event type. */
  readonly eventTypes: ReadonlySet<string> | undefined;
  readonly output: OutputFormat;
  readonly capture: boolean;
  readonly captureDurationMillis: number;
  /** It fires when so many events fulfil the condition. */
  readonly threshold: CheckedThreshold | undefined;
  /** It fires when the condition holds after other events did. */
  readonly sequence: CheckedSequence | undefined;
  readonly place: Place;
}

/** A field by which events belong together. */
export interface CheckedKey {
  readonly text: string;
  readonly operand: TypedOperand;
}

export interface CheckedThreshold {
  readonly count: number;
  readonly windowNs: number;
  readonly by: readonly CheckedKey[];
}

export interface CheckedSequence {
  readonly withinNs: number;
  readonly by: readonly CheckedKey[];
  /** Those before the rule's own condition. */
  readonly steps: readonly CheckedStep[];
}

export interface CheckedStep {
  readonly conditionText: string;
  readonly condition: TypedExpression;
  readonly eventTypes: ReadonlySet<string> | undefined;
}

/** Past so much text, its lists put in, a condition would take seconds and hundreds of megabytes to read. */
const LONGEST_CONDITION = 8_000_000;
/** Past so many event types a rule might as well name none. */
const MANY_EVENT_TYPES = 100;

interface CheckedText {
  /** Undefined if the condition has an error. */
  readonly condition: TypedExpression | undefined;
  /** Levels of nesting, those of the macros in it included. */
  readonly depth: number;
  readonly findings: readonly PlacedFinding[];
}

interface PlacedFinding {
  readonly finding: Finding;
  readonly place: Place;
}

/** Turns what the collector merged into checked rules. A rule with an error is left out, and the error reported. */
export class Compiler {
  readonly #collector: Collector;
  readonly #problems: ProblemList;
  readonly #lists: ReadonlyMap<string, ListDefinition>;
  readonly #usedLists = new Set<string>();
  readonly #usedMacros = new Set<string>();
  readonly #parsedMacros = new Map<string, Expression | undefined>();
  /** A macro is parsed first and checked later. */
  readonly #expanded = new Map<MappedText, MappedText>();
  readonly #checkedMacros = new Map<string, CheckedText>();
  readonly #reported = new Set<PlacedFinding>();
  readonly #linkedFolders = new LinkedFolders();
  readonly #macroStack: string[] = [];
  /** Levels of nesting of the macros that are being checked. */
  #openDepth = 0;

  constructor(collector: Collector, problems: ProblemList) {
    this.#collector = collector;
    this.#problems = problems;
    this.#lists = this.#resolveLists();
  }

  compile(): CheckedRule[] {
    for (const macro of this.#collector.macros.values())
      this.#parsedMacros.set(macro.name, this.#parse(macro.condition));
    const rules = [...this.#collector.rules.values()].map((rule) => this.#compileRule(rule));
    for (const rule of this.#collector.rejected) this.#compileRule(rule);
    this.#warnUnused();
    return rules.filter((rule) => rule !== undefined);
  }

  #compileRule(rule: RuleEntry): CheckedRule | undefined {
    const source = withExceptions(rule.condition, rule.exceptions, rule.name, this.#problems);
    const text = this.#expand(source);
    const expression = this.#parse(text, rule.name, true);
    const checked = expression && this.#check(expression, text, Number.POSITIVE_INFINITY);
    const outputFindings: PlacedFinding[] = [];
    const outputSource = trimmedOutput(rule.output);
    const output = parseOutput(outputSource.text, (finding) =>
      outputFindings.push({ finding, place: outputSource.place(finding.span) }),
    );
    const by = rule.threshold?.by ?? rule.sequence?.by ?? [];
    const keyFindings: PlacedFinding[] = [];
    const keys = by.map((key) => checkKey(key, (finding) => keyFindings.push({ finding, place: key.place })));
    const steps = rule.sequence?.steps.map((step) => this.#checkStep(step, rule)) ?? [];
    const stepFindings = steps.flatMap((step) => step?.findings ?? []);
    const findings = [...stepFindings, ...(checked?.findings ?? []), ...outputFindings, ...keyFindings];
    const failed = this.#report(findings, rule);
    if (failed || checked?.condition === undefined) return undefined;
    const checkedSteps = steps.map((step) => step?.checked).filter((step) => step !== undefined);
    if (checkedSteps.length < steps.length) return undefined;
    if (checkedSteps.at(-1)?.conditionText === source.text.trim()) {
      const message = 'the last step says what the condition of the rule says, which comes after it';
      this.#problems.add('LOAD_ERR_VALIDATE', message, rule.sequence!.steps.at(-1)!.place({ start: 0, end: 1 }), {
        rule: rule.name,
        expected: 'no condition beside the steps, or steps without the last',
      });
      return undefined;
    }
    const eventTypes = eventTypesOf(checked.condition);
    this.#warnEventTypes(rule, rule.condition, eventTypes);
    for (const [index, step] of checkedSteps.entries())
      this.#warnEventTypes(rule, rule.sequence!.steps[index]!, step.eventTypes);
    if (rule.broken) return undefined;
    const checkedKeys = keys.filter((key) => key !== undefined);
    return {
      name: rule.name,
      description: rule.description,
      priority: rule.priority,
      source: rule.source,
      tags: rule.tags,
      enabled: rule.enabled,
      ruleset: rule.ruleset,
      conditionText: source.text.trim(),
      condition: this.#linkedFolders.resolve(checked.condition),
      eventTypes,
      output,
      capture: rule.capture,
      captureDurationMillis: rule.captureDurationMillis,
      threshold: rule.threshold && {
        count: rule.threshold.count,
        windowNs: rule.threshold.windowNs,
        by: checkedKeys,
      },
      sequence: rule.sequence && { withinNs: rule.sequence.withinNs, by: checkedKeys, steps: checkedSteps },
      place: rule.place,
    };
  }

  #checkStep(
    step: MappedText,
    rule: RuleEntry,
  ): { checked: CheckedStep | undefined; findings: readonly PlacedFinding[] } | undefined {
    const text = this.#expand(step);
    const expression = this.#parse(text, rule.name, true);
    if (expression === undefined) return undefined;
    const { condition, findings } = this.#check(expression, text, Number.POSITIVE_INFINITY);
    if (condition === undefined) return { checked: undefined, findings };
    const eventTypes = eventTypesOf(condition);
    const resolved = this.#linkedFolders.resolve(condition);
    return { checked: { conditionText: step.text.trim(), condition: resolved, eventTypes }, findings };
  }

  /** @returns true if the rule cannot be used */
  #report(findings: readonly PlacedFinding[], rule: RuleEntry): boolean {
    let failed = false;
    for (const placed of findings) {
      const { finding, place } = placed;
      const isError = finding.code === 'LOAD_ERR_COMPILE_CONDITION' || finding.code === 'LOAD_ERR_COMPILE_OUTPUT';
      failed ||= isError;
      if (finding.unknownName && rule.skipIfUnknownFilter) {
        this.#problems.add('LOAD_UNKNOWN_FILTER', `${finding.message}: the rule is skipped`, place, {
          ...finding.details,
          rule: rule.name,
        });
      } else if (!this.#reported.has(placed)) {
        this.#reported.add(placed);
        this.#problems.add(finding.code, finding.message, place, { ...finding.details, rule: rule.name });
      }
    }
    return failed;
  }

  #check(expression: Expression, text: MappedText, visibility: number): CheckedText {
    const findings: PlacedFinding[] = [];
    const report = (finding: Finding) => findings.push({ finding, place: text.place(finding.span) });
    const ownDepth = depthOf(expression);
    let depth = ownDepth;
    this.#openDepth += ownDepth;
    const condition = checkExpression(expression, {
      macro: (reference) => {
        const checked = this.#macro(reference, visibility, findings, report);
        depth = Math.max(depth, ownDepth + (checked?.depth ?? 0));
        if (depth <= DEEPEST) return checked?.condition;
        report(
          macroFinding(`macro '${reference.name}' nests the condition more than ${DEEPEST} levels deep`, reference),
        );
        return undefined;
      },
      report,
    });
    this.#openDepth -= ownDepth;
    const failed = findings.some(({ finding }) => finding.code === 'LOAD_ERR_COMPILE_CONDITION');
    return { condition: failed ? undefined : condition, depth, findings };
  }

  /** The condition of a macro, and the macro's own mistakes as mistakes of who uses it. */
  #macro(
    reference: MacroReference,
    visibility: number,
    findings: PlacedFinding[],
    report: (finding: Finding) => void,
  ): CheckedText | undefined {
    const macro = this.#collector.macros.get(reference.name);
    if (macro === undefined || macro.index >= visibility) {
      const names = [...this.#collector.macros.values()]
        .filter(({ index }) => index < visibility)
        .map(({ name }) => name);
      report(
        macroFinding(`undefined macro '${reference.name}' used in filter`, reference, nearNames(reference.name, names)),
      );
      return undefined;
    }
    this.#usedMacros.add(macro.name);
    if (this.#macroStack.includes(macro.name)) {
      report(macroFinding(`reference loop in macro '${macro.name}'`, reference));
      return undefined;
    }
    if (this.#openDepth > DEEPEST) {
      report(macroFinding(`macro '${macro.name}' nests the condition more than ${DEEPEST} levels deep`, reference));
      return undefined;
    }
    const checked = this.#checkMacro(macro);
    if (checked === undefined) report(macroFinding(`macro '${macro.name}' does not parse`, reference));
    else for (const placed of checked.findings) findings.push(placed);
    return checked;
  }

  #checkMacro(macro: MacroEntry): CheckedText | undefined {
    const known = this.#checkedMacros.get(macro.name);
    if (known !== undefined) return known;
    const expression = this.#parsedMacros.get(macro.name);
    if (expression === undefined) return undefined;
    this.#macroStack.push(macro.name);
    const checked = this.#check(expression, this.#expand(macro.condition), macro.visibility);
    this.#macroStack.pop();
    this.#checkedMacros.set(macro.name, checked);
    return checked;
  }

  #parse(source: MappedText, rule?: string, expanded = false): Expression | undefined {
    const text = expanded ? source : this.#expand(source);
    if (text.text.length > LONGEST_CONDITION) {
      const message = `the condition has ${text.text.length} characters, its lists put in; at most ${LONGEST_CONDITION} are read`;
      this.#problems.add('LOAD_ERR_COMPILE_CONDITION', message, text.place({ start: 0, end: 1 }), { rule });
      return undefined;
    }
    try {
      return parseCondition(text.text);
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error;
      const { code, message, span, details } = findingOf(error);
      this.#problems.add(code, message, text.place(span), { ...details, rule });
      return undefined;
    }
  }

  #expand(source: MappedText): MappedText {
    let expanded = this.#expanded.get(source);
    if (expanded === undefined) {
      expanded = expandLists(source, this.#lists, (name) => this.#usedLists.add(name));
      this.#expanded.set(source, expanded);
    }
    return expanded;
  }

  /** Puts lists into lists, and makes the text of each. */
  #resolveLists(): Map<string, ListDefinition> {
    const resolved = new Map<string, ListDefinition>();
    const open: string[] = [];
    const resolve = (name: string): ListDefinition => {
      const known = resolved.get(name);
      if (known !== undefined) return known;
      const entry = this.#collector.lists.get(name)!;
      open.push(name);
      const texts: string[] = [];
      for (const item of entry.items) {
        if (!this.#collector.lists.has(item) || item === name) texts.push(listItemText(item));
        else if (open.includes(item)) {
          this.#problems.add('LOAD_ERR_VALIDATE', `reference loop in list '${item}'`, entry.place);
        } else {
          this.#usedLists.add(item);
          const inner = resolve(item).text;
          if (inner !== '') texts.push(inner);
        }
      }
      open.pop();
      const definition = { name, text: texts.join(', ') };
      resolved.set(name, definition);
      return definition;
    };
    for (const name of this.#collector.lists.keys()) resolve(name);
    return resolved;
  }

  #warnEventTypes(rule: RuleEntry, condition: MappedText, eventTypes: ReadonlySet<string> | undefined): void {
    if (rule.source !== 'syscall' || !rule.warnEventTypes) return;
    if (eventTypes !== undefined && eventTypes.size <= MANY_EVENT_TYPES) return;
    const message = 'the rule matches too many event types: every event is compared with it';
    this.#problems.add('LOAD_NO_EVTTYPE', message, condition.place({ start: 0, end: 1 }), {
      rule: rule.name,
      expected: "a check such as 'evt.type in (openat, openat2)'",
    });
  }

  #warnUnused(): void {
    for (const { name, place } of this.#collector.macros.values()) {
      if (!this.#usedMacros.has(name)) {
        this.#problems.add('LOAD_UNUSED_MACRO', `macro '${name}' is not referred to by any rule or macro`, place);
      }
    }
    for (const { name, place } of this.#collector.lists.values()) {
      if (!this.#usedLists.has(name)) {
        this.#problems.add('LOAD_UNUSED_LIST', `list '${name}' is not referred to by any rule, macro or list`, place);
      }
    }
  }
}

/** A field of a key must have one value. */
function checkKey({ text }: KeyEntry, report: (finding: Finding) => void): CheckedKey | undefined {
  const refuse = (message: string, details: Finding['details'] = {}): undefined =>
    void report({
      code: 'LOAD_ERR_COMPILE_CONDITION',
      message,
      span: { start: 0, end: text.length },
      details,
      unknownName: false,
    });
  try {
    const operand = checkOperand(parseOperand(text), { report });
    if (operand === undefined || operand.multiplicity === 'one') return operand && { text, operand };
    return refuse(`'${text}' has several values: events cannot belong together by it`, {
      expected: 'a field with one value',
    });
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    return refuse(`'${text}' is not a field`, { near: nearNames(text, FIELDS.keys()) });
  }
}

function macroFinding(message: string, { span }: MacroReference, near: readonly string[] = []): Finding {
  return { code: 'LOAD_ERR_COMPILE_CONDITION', message, span, details: { near }, unknownName: false };
}

/** Levels of nesting, macros counted as one. */
function depthOf(expression: Expression): number {
  if (expression.kind === 'not') return 1 + depthOf(expression.operand);
  if (expression.kind !== 'and' && expression.kind !== 'or') return 1;
  let deepest = 0;
  for (const operand of expression.operands) deepest = Math.max(deepest, depthOf(operand));
  return 1 + deepest;
}

/** Falco reads a leading `*` as "print even if a field is missing", which is always so. */
function trimmedOutput(output: MappedText): MappedText {
  const start = /^\s*\*?/.exec(output.text)![0].length;
  const text = output.text.slice(start).trimEnd();
  return { text, place: (span) => output.place({ start: span.start + start, end: span.end + start }) };
}
