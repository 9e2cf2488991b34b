import {
  type CheckedRule,
  type CompiledRule,
  compileRuleset,
  createState,
  EVENT_TYPES,
  type FieldResolver,
  type RuleState,
  type Ruleset,
} from '../index.ts';
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

/** The rules as the agent runs them: those over several events remember. */
export const createMemoryEngine: CaseEngineFactory = (rules, resolver) => {
  const ruleset = compileRuleset(rules, resolver, [...EVENT_TYPES], { withMemory: true });
  return () => new MemoryEngine(ruleset);
};

class MemoryEngine implements CaseEngine {
  readonly #ruleset: Ruleset<CaseEvent>;
  readonly #states = new Map<number, RuleState>();

  constructor(ruleset: Ruleset<CaseEvent>) {
    this.#ruleset = ruleset;
  }

  show(event: CaseEvent): FiredRule[] {
    const { entries, rules } = this.#ruleset;
    const fired: { readonly index: number; readonly output: string }[] = [];
    for (const [entry, spelling] of this.#matches(event)) {
      const { rule: index, step } = entries[entry]!;
      const rule = rules[index]!;
      event.spelling = spelling;
      const count = this.#count(rule, step, event);
      if (count === 0) continue;
      this.#ruleset.count = count;
      fired.push({ index, output: rule.render(event).output });
      this.#ruleset.count = 1;
    }
    return fired.sort((a, b) => a.index - b.index).map(({ index, output }) => ({ name: rules[index]!.name, output }));
  }

  /** The entries that match some spelling of the event's path, in order, each with the first such spelling. */
  #matches(event: CaseEvent): [entry: number, spelling: number][] {
    const evaluate = this.#ruleset.evaluator(event.type);
    const found = new Map<number, number>();
    if (evaluate === undefined) return [];
    for (let spelling = 0; spelling < event.spellings; spelling++) {
      event.spelling = spelling;
      for (let entry = evaluate(event, 0); entry >= 0; entry = evaluate(event, entry + 1)) {
        if (!found.has(entry)) found.set(entry, spelling);
      }
    }
    return [...found].sort(([a], [b]) => a - b);
  }

  /** How many matches make a detection now; 0 for none. */
  #count({ memory, index }: CompiledRule<CaseEvent>, step: number | undefined, event: CaseEvent): number {
    if (memory === undefined) return 1;
    const state = this.#states.get(index) ?? createState(memory);
    this.#states.set(index, state);
    return state.match(memory.keyOf(event), Number(event.timeNs), step);
  }
}
