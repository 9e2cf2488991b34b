import type { Detection } from '../detection/detection.ts';
import { INTERNAL_RULES, internalDetection } from '../detection/internal.ts';
import type { CanaryReport, CanaryResult } from '../telemetry/collector-stats.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** Questions to the collector's thread, one a second, of which none was answered: then it does nothing any more. Counted, not timed: a machine that sleeps asks none. */
const UNANSWERED_THAT_TELL = 10;
const COLLECTOR = 'collector';

const WHAT = 'What the agent does itself to be told of it';
const TOLD = {
  missed: {
    rule: INTERNAL_RULES.canaryMissing,
    priority: 'Critical',
    text: (names: string) =>
      `${WHAT} is not told any more, by ${names}: part of what happens on this machine may not be seen`,
  },
  dropped: {
    rule: INTERNAL_RULES.canaryMissing,
    priority: 'Critical',
    text: (names: string) =>
      `${WHAT} is lost with other events for many rounds now, of ${names}: the rings are full, and what else happens on this machine is lost too`,
  },
  back: {
    rule: INTERNAL_RULES.canaryBack,
    priority: 'Notice',
    text: (names: string) => `${WHAT} is told again, by ${names}`,
  },
} as const;

const GIVEN_UP = (name: string): CanaryResult => ({ name, outcome: 'seen', missing: false });

export interface CanaryWatchOptions {
  readonly metrics: Pick<Metrics, 'canaries' | 'canaryMissing' | 'recordPrograms'>;
  readonly logger: Logger;
  readonly emit: (detection: Detection) => void;
}

/** What the main thread makes of the canaries: metrics, readiness, and a detection when one is missing and when it is back. */
export class CanaryWatch {
  readonly #options: CanaryWatchOptions;
  readonly #missing = new Set<string>();
  #unanswered = 0;

  constructor(options: CanaryWatchOptions) {
    this.#options = options;
  }

  /** The collector was asked for its counts. */
  asked(): void {
    if (++this.#unanswered === UNANSWERED_THAT_TELL)
      this.#settle([{ name: COLLECTOR, outcome: 'missed', missing: true }]);
  }

  /** It answered. */
  answered(): void {
    if (this.#unanswered >= UNANSWERED_THAT_TELL) this.#settle([{ name: COLLECTOR, outcome: 'seen', missing: false }]);
    this.#unanswered = 0;
  }

  /** A round has ended. */
  hear({ canaries, programs, notes }: CanaryReport): void {
    for (const note of notes) this.#options.logger.warn({ component: 'canaries' }, note);
    this.#options.metrics.recordPrograms(programs);
    const isExpected = new Set(canaries.map(({ name }) => name));
    // After the first round none is; later, those that the rules have given up since.
    const given = canaries.length === 0 ? [] : [...this.#missing].filter((name) => !isExpected.has(name));
    this.#settle([...canaries, ...given.filter((name) => name !== COLLECTOR).map(GIVEN_UP)]);
  }

  /** For `/readyz`. */
  readiness(): { ready: boolean; parts: Record<string, string> } {
    const missing = [...this.#missing].sort();
    return {
      ready: missing.length === 0,
      parts: { canaries: missing.length === 0 ? 'ok' : `missing: ${missing.join(', ')}` },
    };
  }

  #settle(canaries: CanaryReport['canaries']): void {
    const { metrics } = this.#options;
    for (const { name, outcome, missing } of canaries) {
      metrics.canaries.inc({ canary: name, outcome });
      metrics.canaryMissing.set({ canary: name }, missing ? 1 : 0);
    }
    const gone = canaries.filter(({ name, missing }) => missing && !this.#missing.has(name));
    const back = canaries.filter(({ name, missing }) => !missing && this.#missing.has(name)).map(({ name }) => name);
    for (const { name } of gone) this.#missing.add(name);
    for (const name of back) this.#missing.delete(name);
    this.#tell(
      'missed',
      gone.filter(({ outcome }) => outcome !== 'dropped').map(({ name }) => name),
    );
    this.#tell(
      'dropped',
      gone.filter(({ outcome }) => outcome === 'dropped').map(({ name }) => name),
    );
    this.#tell('back', back);
  }

  #tell(what: keyof typeof TOLD, names: readonly string[]): void {
    if (names.length === 0) return;
    const { rule, priority, text } = TOLD[what];
    const output = text(names.join(', '));
    this.#options.logger[priority === 'Notice' ? 'info' : 'error']({ component: 'canaries', canaries: names }, output);
    this.#options.emit(internalDetection(rule, priority, output, { 'shikra.canaries': names }));
  }
}
