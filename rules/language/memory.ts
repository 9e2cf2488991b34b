/**
 * What rules over several events remember. Times are those of the events, in nanoseconds, so that a replay decides as the live stream did; a time before
 * the one last seen (another CPU's ring was a moment late) counts as the last.
 */
export type RuleMemory<E> = ThresholdMemory<E> | SequenceMemory<E>;

interface Memory<E> {
  /** The values by which events belong together. */
  keyOf(event: E): string;
  /** Equal for rules of two loads that mean the same: what was remembered goes on. */
  readonly signature: string;
}

export interface ThresholdMemory<E> extends Memory<E> {
  readonly kind: 'threshold';
  readonly count: number;
  readonly windowNs: number;
}

export interface SequenceMemory<E> extends Memory<E> {
  readonly kind: 'sequence';
  /** The last included. */
  readonly steps: number;
  readonly withinNs: number;
}

/** Keys that one rule remembers at once; the one that matched longest ago goes first. */
export const MOST_KEYS = 10_000;
/** Times that one rule remembers at once: a threshold of a thousand leaves room for a thousand keys. */
const MOST_TIMES = 1_000_000;
/** Keys looked at for having expired at each match: more than can come with it. */
const EXPIRY_STEPS = 2;

/** The state of one rule over several events. */
export interface RuleState {
  readonly signature: string;
  /** Keys pushed out before their time. */
  readonly evicted: number;
  /** Keys remembered now. */
  readonly size: number;
  /**
   * Takes in a match.
   * @param step which step of a sequence; undefined for the last one, and for thresholds
   * @returns how many matches make a detection now: 0, none
   */
  match(key: string, timeNs: number, step: number | undefined): number;
}

export function createState(memory: RuleMemory<never>): RuleState {
  return memory.kind === 'threshold' ? new Threshold(memory) : new Sequence(memory);
}

interface Entry {
  lastNs: number;
}

/** Entries by key, the one touched longest ago first; bounded, and counting what that costs. */
abstract class Entries<T extends Entry> implements RuleState {
  readonly signature: string;
  evicted = 0;
  readonly #entries = new Map<string, T>();
  readonly #mostKeys: number;
  #nowNs = 0;

  constructor(signature: string, timesPerKey: number) {
    this.signature = signature;
    this.#mostKeys = Math.max(1, Math.min(MOST_KEYS, Math.floor(MOST_TIMES / timesPerKey)));
  }

  get size(): number {
    return this.#entries.size;
  }

  match(key: string, timeNs: number, step: number | undefined): number {
    this.#nowNs = Math.max(this.#nowNs, timeNs);
    const nowNs = this.#nowNs;
    this.#expire(nowNs);
    const known = this.#entries.get(key);
    if (known === undefined && !this.starts(step)) return 0;
    const entry = known ?? this.create();
    this.#entries.delete(key);
    if (this.#entries.size >= this.#mostKeys) {
      this.#entries.delete(this.#entries.keys().next().value!);
      this.evicted++;
    }
    this.#entries.set(key, entry);
    const count = this.take(entry, nowNs, step);
    entry.lastNs = nowNs;
    return count;
  }

  #expire(nowNs: number): void {
    let looks = EXPIRY_STEPS;
    for (const [key, entry] of this.#entries) {
      if (looks-- === 0 || !this.isOver(entry, nowNs)) return;
      this.#entries.delete(key);
    }
  }

  /** False for a match that nothing follows from unless others came before it. */
  protected abstract starts(step: number | undefined): boolean;
  protected abstract create(): T;
  protected abstract take(entry: T, nowNs: number, step: number | undefined): number;
  /** Nothing that comes from now on is decided by it. */
  protected abstract isOver(entry: T, nowNs: number): boolean;
}

interface Counted extends Entry {
  /** The times of the last matches, in a circle. */
  readonly times: Float64Array;
  next: number;
  /** Matches since the last detection. */
  seen: number;
  quietUntilNs: number;
}

/** Fires at the n-th match within the window, then not again for the length of a window. */
class Threshold extends Entries<Counted> {
  readonly #count: number;
  readonly #windowNs: number;

  constructor({ signature, count, windowNs }: ThresholdMemory<never>) {
    super(signature, count);
    this.#count = count;
    this.#windowNs = windowNs;
  }

  protected starts(): boolean {
    return true;
  }

  protected create(): Counted {
    const times = new Float64Array(this.#count).fill(Number.NEGATIVE_INFINITY);
    return { times, next: 0, seen: 0, lastNs: 0, quietUntilNs: Number.NEGATIVE_INFINITY };
  }

  protected take(entry: Counted, nowNs: number): number {
    if (nowNs - entry.lastNs > this.#windowNs) entry.seen = 0;
    entry.seen++;
    entry.times[entry.next] = nowNs;
    entry.next = (entry.next + 1) % this.#count;
    // the place that is written next holds the match before the last n - 1
    if (nowNs - entry.times[entry.next]! > this.#windowNs || nowNs < entry.quietUntilNs) return 0;
    entry.quietUntilNs = nowNs + this.#windowNs;
    const { seen } = entry;
    entry.seen = 0;
    return seen;
  }

  protected isOver({ lastNs, quietUntilNs }: Counted, nowNs: number): boolean {
    return nowNs - lastNs > this.#windowNs && nowNs >= quietUntilNs;
  }
}

interface Progress extends Entry {
  /** For each step but the last: when the latest sequence that has come so far began. */
  readonly began: Float64Array;
}

/**
 * Fires when the last step comes within the time from the first. Of two sequences that have come equally far, the one that began later
 * is the better one: it lasts longer, so it is the only one remembered.
 */
class Sequence extends Entries<Progress> {
  readonly #steps: number;
  readonly #withinNs: number;

  constructor({ signature, steps, withinNs }: SequenceMemory<never>) {
    super(signature, steps);
    this.#steps = steps;
    this.#withinNs = withinNs;
  }

  protected starts(step: number | undefined): boolean {
    return step === 0;
  }

  protected create(): Progress {
    return { began: new Float64Array(this.#steps - 1).fill(Number.NEGATIVE_INFINITY), lastNs: 0 };
  }

  protected take({ began }: Progress, nowNs: number, step: number | undefined): number {
    if (step === 0) {
      began[0] = nowNs;
      return 0;
    }
    const last = this.#steps - 1;
    const start = began[(step ?? last) - 1]!;
    if (nowNs - start > this.#withinNs) return 0;
    if (step !== undefined) {
      began[step] = start;
      return 0;
    }
    began.fill(Number.NEGATIVE_INFINITY);
    return 1;
  }

  protected isOver({ lastNs }: Progress, nowNs: number): boolean {
    return nowNs - lastNs > this.#withinNs;
  }
}
