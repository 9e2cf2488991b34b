import {
  type CheckedRule,
  type CompiledRule,
  compileRuleset,
  type Evaluator,
  type FieldResolver,
  type Ruleset,
} from '../../rules/index.ts';

/** What the engine must know of an event: its type's number, and the spellings of its path, of which one is in force. */
export interface SpelledEvent {
  readonly type: number;
  readonly spellings: number;
  spelling: number;
}

export type OnMatch<E> = (rule: CompiledRule<E>, event: E) => void;

export interface EngineOptions<E> {
  readonly rules: readonly CheckedRule[];
  readonly resolver: FieldResolver<E>;
  /** evt.type by number; '' where a number has none. */
  readonly eventTypeNames: readonly string[];
  /** The event types that the source can deliver. */
  readonly collected: readonly string[];
  /** `first`: an event makes at most one detection, of the first rule that matches. `all`: one of each. */
  readonly matching: 'first' | 'all';
}

/**
 * Shows events to the rules. A rule is evaluated once for each distinct spelling of the event's path and fires if one evaluation does:
 * a symbolic link or a bind mount hides nothing, and an exception excuses only the spelling that it names.
 */
export class Engine<E extends SpelledEvent> {
  readonly ruleset: Ruleset<E>;
  /** Matches by the rule's index. */
  readonly matches: Float64Array;
  readonly #evaluators: readonly (Evaluator<E> | undefined)[];
  readonly #all: boolean;

  constructor(options: EngineOptions<E>) {
    this.ruleset = compileRuleset(options.rules, options.resolver, options.collected);
    this.matches = new Float64Array(this.ruleset.rules.length);
    this.#evaluators = options.eventTypeNames.map((name) => (name === '' ? undefined : this.ruleset.evaluator(name)));
    this.#all = options.matching === 'all';
  }

  /** evt.type of the events that some rule can match. */
  wanted(eventTypeNames: readonly string[]): ReadonlySet<string> {
    return new Set(eventTypeNames.filter((_, type) => this.#evaluators[type] !== undefined));
  }

  /** The same work as {@link evaluate} without its effects, for events that did not happen. */
  rehearse(event: E): void {
    const evaluator = this.#evaluators[event.type];
    if (evaluator !== undefined) this.#firstMatch(evaluator, event, 0);
  }

  /** Evaluates the rules on one event; allocates nothing unless one matches. */
  evaluate(event: E, onMatch: OnMatch<E>): void {
    const evaluator = this.#evaluators[event.type];
    if (evaluator === undefined) return;
    let index = this.#firstMatch(evaluator, event, 0);
    while (index >= 0) {
      this.matches[index] = this.matches[index]! + 1;
      onMatch(this.ruleset.rules[index]!, event);
      index = this.#all ? this.#firstMatch(evaluator, event, index + 1) : -1;
    }
  }

  /** The first rule from an index on that matches any spelling; leaves that spelling in force. */
  #firstMatch(evaluator: Evaluator<E>, event: E, from: number): number {
    event.spelling = 0;
    let best = evaluator(event, from);
    let bestSpelling = 0;
    for (let spelling = 1; spelling < event.spellings; spelling++) {
      event.spelling = spelling;
      const index = evaluator(event, from);
      if (index >= 0 && (best < 0 || index < best)) {
        best = index;
        bestSpelling = spelling;
      }
    }
    event.spelling = bestSpelling;
    return best;
  }
}
