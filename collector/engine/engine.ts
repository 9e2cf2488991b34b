import {
  type CheckedRule,
  type CompiledRule,
  compileRuleset,
  createState,
  type Evaluator,
  type FieldResolver,
  type Measurer,
  type Meter,
  type RuleState,
  type Ruleset,
} from '../../rules/runtime.ts';

/** What the engine must know of an event: its type's number, and the spellings of its path, of which one is in force. */
export interface SpelledEvent {
  readonly type: number;
  readonly spellings: number;
  spelling: number;
}

/** What an event comes to: no rule matches; a rule about this event alone does; a rule over several events is concerned. */
export type Foresight = 'nothing' | 'detect' | 'remember';

export type OnMatch<E> = (rule: CompiledRule<E>, event: E) => void;

export interface EngineOptions<E> {
  readonly rules: readonly CheckedRule[];
  readonly resolver: FieldResolver<E>;
  /** evt.type by number; '' where a number has none. */
  readonly eventTypeNames: readonly string[];
  /** The event types that the source can deliver. */
  readonly collected: readonly string[];
  /**
   * `first`: an event makes at most one detection, of the first rule that matches. `all`: one of each. Rules over several events come on top, as
   * they are about more than this event.
   */
  readonly matching: 'first' | 'all';
  /** When an event happened, in nanoseconds: the clock of rules over several events. Default: now. */
  readonly timeNs?: (event: E) => number;
}

/** Every so many events, on average, one is measured. */
const MEASURE_EVERY = 1024;

/** What a rule has cost so far, estimated from the events that were measured. */
export interface RuleCost {
  readonly evaluations: number;
  readonly seconds: number;
}

/**
 * Shows events to the rules. A rule is evaluated once for each distinct spelling of the event's path and fires if one evaluation does:
 * a symbolic link or a bind mount hides nothing, and an exception excuses only the spelling that it names.
 */
export class Engine<E extends SpelledEvent> {
  readonly ruleset: Ruleset<E>;
  /** Detections by the rule's index. */
  readonly matches: Float64Array;
  /** By the number of the event type. */
  #evaluators: readonly (Evaluator<E> | undefined)[];
  #measurers: readonly (Measurer<E> | undefined)[] = [];
  readonly #meter: Meter;
  readonly #untilMeasured = createIntervals();
  #leftUntilMeasured = MEASURE_EVERY;
  readonly #states: (RuleState | undefined)[];
  readonly #timeNs: (event: E) => number;
  readonly #all: boolean;
  readonly #hasMemory: boolean;

  readonly #eventTypeNames: readonly string[];

  /** Knows what it wants from now on; is compiled by the first event, or before by {@link compile}. */
  constructor(options: EngineOptions<E>) {
    const { rules, resolver, collected, matching, timeNs = () => Date.now() * 1e6 } = options;
    this.ruleset = compileRuleset(rules, resolver, collected, { withMemory: true });
    const { entries, singleCount } = this.ruleset;
    this.matches = new Float64Array(this.ruleset.rules.length);
    this.#meter = {
      evaluations: new Float64Array(entries.length),
      seconds: new Float64Array(entries.length),
      weight: 0,
    };
    this.#states = this.ruleset.rules.map(({ memory }) => memory && createState(memory));
    this.#timeNs = timeNs;
    this.#all = matching === 'all';
    this.#hasMemory = singleCount < this.ruleset.rules.length;
    this.#eventTypeNames = options.eventTypeNames;
    this.#evaluators = options.eventTypeNames.map(() => (event, from) => {
      for (const _ of this.compile());
      return this.#evaluators[event.type]?.(event, from) ?? -1;
    });
  }

  /** Compiles in steps of a few milliseconds, for a thread that has other things to do in between. */
  *compile(): Generator<undefined, this> {
    const evaluators: (Evaluator<E> | undefined)[] = [];
    const measurers: (Measurer<E> | undefined)[] = [];
    for (const name of this.#eventTypeNames) {
      if (name !== '') yield* this.ruleset.prepare(name);
      evaluators.push(name === '' ? undefined : this.ruleset.evaluator(name));
      measurers.push(name === '' ? undefined : this.ruleset.measurer(name));
      yield;
    }
    this.#evaluators = evaluators;
    this.#measurers = measurers;
    return this;
  }

  /** Compiled, and asked what it wants: what only that needed is forgotten. */
  settle(): void {
    this.ruleset.settle();
  }

  /** Goes on where the engine that it replaces was: rules over several events that mean the same keep what they remember. */
  inherit(before: Engine<E>): this {
    const states = new Map(before.#states.map((state) => [state?.signature, state]));
    for (const [rule, state] of this.#states.entries())
      if (state !== undefined) this.#states[rule] = states.get(state.signature) ?? state;
    return this;
  }

  /** Whether some rule can match events of the type. */
  wants(eventType: string): boolean {
    return this.ruleset.wants(eventType);
  }

  /** The first time in steps of about a millisecond: all that runs is compiled then. */
  *rehearseInSteps(event: E): Generator<undefined, void> {
    event.spelling = 0;
    const rehearse = this.ruleset.rehearser(this.#eventTypeNames[event.type]!);
    if (rehearse !== undefined) yield* rehearse(event);
  }

  /** The same work as {@link evaluate} without its effects, for events that did not happen. */
  rehearse(event: E): void {
    const evaluator = this.#evaluators[event.type];
    if (evaluator !== undefined) this.#firstMatch(evaluator, event, 0);
  }

  /** True if there are rules over several events. */
  get hasMemory(): boolean {
    return this.#hasMemory;
  }

  /** What {@link evaluate} would do about an event, without doing it. Asks for every field that it would ask for. */
  foresee(event: E): Foresight {
    const evaluator = this.#evaluators[event.type];
    let foresight: Foresight = 'nothing';
    if (evaluator === undefined) return foresight;
    const { singleCount } = this.ruleset;
    let index = this.#firstMatch(evaluator, event, 0);
    while (index >= 0) {
      if (index >= singleCount) foresight = 'remember';
      else if (foresight === 'nothing') foresight = 'detect';
      if (!this.#all && !this.#hasMemory) break;
      index = this.#firstMatch(evaluator, event, this.#all ? index + 1 : Math.max(index + 1, singleCount));
    }
    return foresight;
  }

  /** Evaluates the rules on one event; allocates nothing unless one matches. */
  evaluate(event: E, onMatch: OnMatch<E>): void {
    const evaluator = this.#evaluators[event.type];
    if (evaluator === undefined) return;
    if (--this.#leftUntilMeasured === 0) {
      this.#measure(event, onMatch);
      return;
    }
    const index = this.#firstMatch(evaluator, event, 0);
    if (index >= 0) this.#goOn(evaluator, event, index, onMatch);
  }

  /** What each rule has cost: steps of sequences count for their rule. */
  costs(): RuleCost[] {
    const costs = this.ruleset.rules.map(() => ({ evaluations: 0, seconds: 0 }));
    for (const [index, { rule }] of this.ruleset.entries.entries()) {
      costs[rule]!.evaluations += this.#meter.evaluations[index]!;
      costs[rule]!.seconds += this.#meter.seconds[index]!;
    }
    return costs;
  }

  /** Of the rules over several events, by the rule's index: the keys that they remember, and how many they had to forget too early. */
  memory(): { readonly rule: number; readonly keys: number; readonly evicted: number }[] {
    return this.#states.flatMap((state, rule) =>
      state === undefined ? [] : [{ rule, keys: state.size, evicted: state.evicted }],
    );
  }

  /** From the first entry that matches on. */
  #goOn(evaluator: Evaluator<E>, event: E, first: number, onMatch: OnMatch<E>): void {
    const { rules, singleCount } = this.ruleset;
    let index = first;
    while (index >= 0) {
      let from = index + 1;
      if (index >= singleCount) {
        this.#remember(event, index, onMatch);
      } else {
        this.ruleset.count = 1;
        this.matches[index] = this.matches[index]! + 1;
        onMatch(rules[index]!, event);
        if (!this.#all) {
          if (!this.#hasMemory) return;
          from = singleCount;
        }
      }
      index = this.#firstMatch(evaluator, event, from);
    }
  }

  /** A condition of a rule over several events holds. */
  #remember(event: E, entry: number, onMatch: OnMatch<E>): void {
    const { rule, step } = this.ruleset.entries[entry]!;
    const compiled = this.ruleset.rules[rule]!;
    const count = this.#states[rule]!.match(compiled.memory!.keyOf(event), this.#timeNs(event), step);
    if (count === 0) return;
    this.ruleset.count = count;
    this.matches[rule] = this.matches[rule]! + 1;
    onMatch(compiled, event);
  }

  /** One event that stands for all since the last one that was measured. */
  #measure(event: E, onMatch: OnMatch<E>): void {
    this.#leftUntilMeasured = this.#untilMeasured();
    this.#meter.weight = MEASURE_EVERY;
    const measurer = this.#measurers[event.type]!;
    const measured: Evaluator<E> = (each, from) => measurer(each, from, this.#meter);
    const index = this.#firstMatch(measured, event, 0);
    if (index >= 0) this.#goOn(measured, event, index, onMatch);
  }

  /** The first entry from an index on that matches any spelling; leaves that spelling in force. */
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

/** Varying numbers of events, so that a program that does the same thousand calls again and again is not always measured at the same one. */
function createIntervals(): () => number {
  let state = 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return MEASURE_EVERY / 2 + ((state >>> 0) % MEASURE_EVERY);
  };
}
