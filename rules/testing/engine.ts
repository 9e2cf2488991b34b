import { type CheckedRule, compileRuleset, EVENT_TYPES } from '../index.ts';
import type { CompiledRule, FieldResolver, Ruleset } from '../language/evaluate.ts';
import type { CaseEvent } from './case-event.ts';

/** A rule that fired for an event. */
export interface FiredRule {
  readonly name: string;
  readonly output: string;
}

/** Rules with a memory of the events that they were shown. */
export interface CaseEngine {
  /** Shows the next event. @returns the rules that fire for it, in the order of their definition */
  show(event: CaseEvent): FiredRule[];
}

/** Compiles rules of one source; each call of what it returns gives an engine that has seen nothing. */
export type CaseEngineFactory = (rules: readonly CheckedRule[], resolver: FieldResolver<CaseEvent>) => () => CaseEngine;

/** Rules that look at one event alone. */
export const createStatelessEngine: CaseEngineFactory = (rules, resolver) => {
  const ruleset = compileRuleset(rules, resolver, [...EVENT_TYPES]);
  return () => ({
    show: (event) => matchesOf(ruleset, event).map(({ name, render }) => ({ name, output: render(event).output })),
  });
};

/** The rules that match some spelling of the event's path; each with that spelling in force when it renders. */
export function matchesOf(
  { rules, evaluator }: Ruleset<CaseEvent>,
  event: CaseEvent,
): Pick<CompiledRule<CaseEvent>, 'name' | 'render' | 'index'>[] {
  const evaluate = evaluator(event.type);
  if (evaluate === undefined) return [];
  const spellings = new Map<number, number>();
  for (let spelling = 0; spelling < event.spellings; spelling++) {
    event.spelling = spelling;
    for (let index = evaluate(event, 0); index >= 0; index = evaluate(event, index + 1)) {
      if (!spellings.has(index)) spellings.set(index, spelling);
    }
  }
  return [...spellings.keys()]
    .sort((a, b) => a - b)
    .map((index) => ({
      name: rules[index]!.name,
      index,
      render: (shown) => {
        shown.spelling = spellings.get(index)!;
        return rules[index]!.render(shown);
      },
    }));
}
