import {
  compileRuleset,
  type FieldResolver,
  formatProblem,
  type LoadResult,
  loadRules,
  type Ruleset,
  type Subject,
  Verdicts,
} from '../../rules/index.ts';
import type { TypedExpression } from '../../rules/language/typed.ts';
import type { TestEvent } from './interpret.ts';

export const EVENT_TYPES = ['open', 'openat', 'execve', 'connect', 'close'];

/** Reads test events: every field is collected. */
export const resolver: FieldResolver<TestEvent> = {
  getter({ name, argument }) {
    const key = argument === undefined ? name : `${name}[${argument}]`;
    return (event) => event[key];
  },
};

/** Events that are equal in these fields are about the same subject. */
function subjectOf(fields: readonly string[]): Subject<TestEvent> {
  const known = new Map<string, Verdicts>();
  return {
    covers: ({ name, argument }) => argument === undefined && fields.includes(name),
    verdicts(event) {
      const key = JSON.stringify(fields.map((field) => event[field] ?? null));
      const verdicts = known.get(key) ?? new Verdicts();
      known.set(key, verdicts);
      return verdicts;
    },
  };
}

/** The same, and events share paths and programs, of which answers are kept. One of them has nowhere to keep any. */
export function resolverWithSubjects(): FieldResolver<TestEvent> {
  const homeless: Subject<TestEvent> = { covers: ({ name }) => name === 'fd.sport', verdicts: () => undefined };
  return { ...resolver, subjects: [subjectOf(['fd.name']), subjectOf(['proc.name', 'proc.aname']), homeless] };
}

/** A file with one rule of this condition. */
export function ruleText(condition: string, rest = ''): string {
  return `- rule: R\n  desc: d\n  condition: ${JSON.stringify(condition)}\n  output: o\n  priority: INFO\n  warn_evttypes: false\n${rest}`;
}

export function load(text: string): LoadResult {
  return loadRules([{ path: 'rules.yaml', text }]);
}

/** The problems of a file as text; unused macros and lists left out. */
export function problemsOf(text: string): string[] {
  return load(text)
    .problems.filter(({ code }) => !code.startsWith('LOAD_UNUSED'))
    .map(formatProblem);
}

/** Loads rules that must be right. */
export function rulesetOf(text: string, from: FieldResolver<TestEvent> = resolver): Ruleset<TestEvent> {
  const { rules, problems } = load(text);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new Error(errors.map(formatProblem).join('\n'));
  return compileRuleset(rules, from, EVENT_TYPES);
}

export function typedCondition(condition: string): TypedExpression {
  const { rules, problems } = load(ruleText(condition));
  if (rules[0] === undefined) throw new Error(problems.map(formatProblem).join('\n'));
  return rules[0].condition;
}

/** True if the condition holds for an event of type `open`. */
export function matches(condition: string, event: TestEvent, eventType = 'open'): boolean {
  const evaluator = rulesetOf(ruleText(condition)).evaluator(eventType);
  return evaluator !== undefined && evaluator(event, 0) === 0;
}
