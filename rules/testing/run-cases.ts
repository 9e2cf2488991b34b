import { type CheckedRule, conditionFields } from '../index.ts';
import type { Problem } from '../language/problem.ts';
import { type AuditReader, CaseEvent, caseResolver } from './case-event.ts';
import { type CaseEngine, type CaseEngineFactory, createMemoryEngine, type FiredRule } from './engine.ts';
import { type CaseFile, type CaseStep, type Expectation, type RuleCase, readCases } from './read-cases.ts';
import type { KnownNames } from './read-facts.ts';

export interface CaseResult {
  readonly title: string;
  readonly file: string;
  readonly line: number;
  /** What was expected and did not come, or came and was not expected; empty if the case passed. */
  readonly failures: readonly string[];
  readonly millis: number;
}

export interface RuleCoverage {
  readonly rule: string;
  /** Cases that passed, and in which the rule fired as expected. */
  readonly matching: number;
  /** Cases that passed, and that say that the rule must not fire. */
  readonly notMatching: number;
}

export interface TestReport {
  readonly results: readonly CaseResult[];
  /** Of every rule, in the order of definition. */
  readonly coverage: readonly RuleCoverage[];
  /** Mistakes in the files of cases: nothing was run. */
  readonly problems: readonly Problem[];
}

export interface TestOptions {
  /** The engine in which the rules run; by default one that remembers as the agent does. */
  readonly createEngine?: CaseEngineFactory;
  /** Reads audit events as the agent does; without it cases give the fields `ka.*` themselves. */
  readonly readAudit?: AuditReader;
}

/** Runs the cases of all files against one set of rules. Disabled rules are tested too, by the cases that name them. */
export function runCases(
  rules: readonly CheckedRule[],
  files: readonly { readonly path: string; readonly text: string }[],
  { createEngine = createMemoryEngine, readAudit }: TestOptions = {},
): TestReport {
  const known = knownNames(rules);
  const read = files.map(({ path, text }) => readCases(path, text, known));
  const problems = read.flatMap((file) => file.problems);
  if (problems.length > 0) return { results: [], coverage: [], problems };
  const resolver = caseResolver(readAudit);
  const enabled = rules.map((rule) => ({ ...rule, enabled: true }));
  const engines = new Map(
    [...new Set(rules.map(({ source }) => source))].map((source) => {
      const ofSource = enabled.filter((rule) => rule.source === source);
      return [source, createEngine(ofSource, resolver)] as const;
    }),
  );
  const disabled = new Set(rules.filter((rule) => !rule.enabled).map(({ name }) => name));
  const coverage = new Coverage(rules);
  const results = read.flatMap((file) => file.cases.map((one) => runCase(file, one, { engines, disabled, coverage })));
  return { results, coverage: coverage.list(), problems };
}

/** What a case can name: the rules, and the event arguments that they look at. */
export function knownNames(rules: readonly CheckedRule[]): KnownNames {
  const eventArguments = new Set<string>();
  for (const { condition, output, sequence } of rules) {
    const conditions = [condition, ...(sequence?.steps ?? []).map((step) => step.condition)];
    const fields = conditions.flatMap((one) => [...conditionFields(one).values()].map(({ reference }) => reference));
    for (const part of output.parts) {
      if (typeof part !== 'string' && part.operand.kind === 'field') fields.push(part.operand.reference);
    }
    for (const { name, argument } of fields) if (name === 'evt.arg' && argument) eventArguments.add(argument);
  }
  return { rules: new Set(rules.map(({ name }) => name)), eventArguments };
}

interface CaseScope {
  readonly engines: ReadonlyMap<string, () => CaseEngine>;
  readonly disabled: ReadonlySet<string>;
  readonly coverage: Coverage;
}

function runCase(file: CaseFile, one: RuleCase, scope: CaseScope): CaseResult {
  const start = performance.now();
  const named = new Set([one.expectation, ...one.steps.map((step) => step.expectation)].flatMap(namesIn));
  const counts = ({ name }: FiredRule) => !scope.disabled.has(name) || named.has(name);
  const show = createShow(scope.engines, counts);
  const fired: FiredRule[] = [];
  const failures: string[] = [];
  let number = 0;
  for (const [index, step] of one.steps.entries()) {
    const inStep: FiredRule[] = [];
    for (let turn = 0; turn < step.repeat; turn++) inStep.push(...show(eventOf(step, turn, ++number)));
    const prefix = one.steps.length === 1 ? '' : `event ${index + 1}: `;
    for (const failure of compare(step.expectation, inStep)) failures.push(prefix + failure);
    fired.push(...inStep);
  }
  failures.push(...compare(one.expectation, fired));
  if (failures.length === 0) scope.coverage.count(one, fired);
  const { line } = one.place.file.position(one.place.start);
  return { title: one.title, file: file.path, line, failures, millis: performance.now() - start };
}

/** Each source's rules have a memory of their own; a source without rules has nothing to say. */
function createShow(engines: CaseScope['engines'], counts: (fired: FiredRule) => boolean) {
  const started = new Map<string, CaseEngine>();
  return (event: CaseEvent): FiredRule[] => {
    const engine = started.get(event.source) ?? engines.get(event.source)?.();
    if (engine === undefined) return [];
    started.set(event.source, engine);
    return engine.show(event).filter(counts);
  };
}

function eventOf(step: CaseStep, turn: number, number: number): CaseEvent {
  return new CaseEvent(step.facts, number, step.atNs + BigInt(turn) * step.everyNs);
}

function namesIn({ expect, expectNot, allow, first }: Expectation): string[] {
  return [...(expect ?? []), ...expectNot, ...allow, ...(first === undefined ? [] : [first])];
}

/** Says in what the rules that fired differ from what was expected. */
function compare({ expect, expectNot, allow, first, output }: Expectation, fired: readonly FiredRule[]): string[] {
  const names = new Set(fired.map(({ name }) => name));
  const failures: string[] = [];
  for (const name of expect ?? []) if (!names.has(name)) failures.push(`'${name}' did not fire${instead(names)}`);
  for (const name of expectNot) if (names.has(name)) failures.push(`'${name}' fired`);
  if (expect !== undefined) {
    for (const name of names) {
      const isKnown = expect.includes(name) || allow.includes(name) || expectNot.includes(name);
      if (!isKnown) failures.push(`'${name}' fired and was not expected`);
    }
  }
  if (first !== undefined && fired[0]?.name !== first) {
    failures.push(`'${first}' is not the first: ${fired[0] === undefined ? 'no rule fired' : `'${fired[0].name}' is`}`);
  }
  return [...failures, ...compareOutput(output, expect?.[0] ?? first, fired)];
}

function instead(names: ReadonlySet<string>): string {
  return names.size === 0 ? ': no rule did' : '';
}

function compareOutput(parts: readonly string[], rule: string | undefined, fired: readonly FiredRule[]): string[] {
  const of = fired.filter(({ name }) => rule === undefined || name === rule);
  if (of.length === 0) return [];
  return parts
    .filter((part) => !of.some(({ output }) => output.includes(part)))
    .map((part) => `the output of '${of[0]!.name}' has no '${part}': ${of[0]!.output}`);
}

class Coverage {
  readonly #counts: Map<string, { matching: number; notMatching: number }>;

  constructor(rules: readonly CheckedRule[]) {
    this.#counts = new Map(rules.map(({ name }) => [name, { matching: 0, notMatching: 0 }]));
  }

  /** Counts a case that passed. */
  count(one: RuleCase, fired: readonly FiredRule[]): void {
    const expectations = [one.expectation, ...one.steps.map((step) => step.expectation)];
    const names = new Set(fired.map(({ name }) => name));
    const expected = new Set(expectations.flatMap(({ expect = [], first }) => [...expect, first ?? '']));
    for (const name of expected.intersection(names)) this.#counts.get(name)!.matching++;
    for (const name of new Set(expectations.flatMap(({ expectNot }) => expectNot))) {
      this.#counts.get(name)!.notMatching++;
    }
  }

  list(): RuleCoverage[] {
    return [...this.#counts].map(([rule, counts]) => ({ rule, ...counts }));
  }
}

/** Rules that lack a case, and which. */
export function uncovered(coverage: readonly RuleCoverage[]): { readonly rule: string; readonly lacks: string }[] {
  return coverage.flatMap(({ rule, matching, notMatching }) => {
    const lacks = [
      ...(matching === 0 ? ['a case that expects it'] : []),
      ...(notMatching === 0 ? ["a case with it in 'expect_not'"] : []),
    ];
    return lacks.length === 0 ? [] : [{ rule, lacks: lacks.join(' and ') }];
  });
}
