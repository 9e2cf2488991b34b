import type { Detection } from '../detection/detection.ts';
import { INTERNAL_RULES, internalDetection } from '../detection/internal.ts';
import type { CanaryReport, CanaryResult } from '../telemetry/collector-stats.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** Questions to the collector's thread, one a second, of which none was answered: then it does nothing any more. Counted, not timed: a machine that sleeps asks none. */
const UNANSWERED_THAT_TELL = 10;
const COLLECTOR = 'collector';

const GIVEN_UP = (name: string): CanaryResult => ({ name, seen: true, missing: false });

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
    if (++this.#unanswered === UNANSWERED_THAT_TELL) this.#settle([{ name: COLLECTOR, seen: false, missing: true }]);
  }

  /** It answered. */
  answered(): void {
    if (this.#unanswered >= UNANSWERED_THAT_TELL) this.#settle([{ name: COLLECTOR, seen: true, missing: false }]);
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
    for (const { name, seen, missing } of canaries) {
      metrics.canaries.inc({ canary: name, outcome: seen ? 'seen' : 'missed' });
      metrics.canaryMissing.set({ canary: name }, missing ? 1 : 0);
    }
    const gone = canaries.filter(({ name, missing }) => missing && !this.#missing.has(name)).map(({ name }) => name);
    const back = canaries.filter(({ name, missing }) => !missing && this.#missing.has(name)).map(({ name }) => name);
    for (const name of gone) this.#missing.add(name);
    for (const name of back) this.#missing.delete(name);
    if (gone.length > 0) this.#tell(INTERNAL_RULES.canaryMissing, gone);
    if (back.length > 0) this.#tell(INTERNAL_RULES.canaryBack, back);
  }

  #tell(rule: string, names: readonly string[]): void {
    const isMissing = rule === INTERNAL_RULES.canaryMissing;
    const list = names.join(', ');
    const text = isMissing
      ? `What the agent does itself to be told of it is not told any more, by ${list}: part of what happens on this machine may not be seen`
      : `What the agent does itself to be told of it is told again, by ${list}`;
    this.#options.logger[isMissing ? 'error' : 'info']({ component: 'canaries', canaries: names }, text);
    this.#options.emit(internalDetection(rule, isMissing ? 'Critical' : 'Notice', text, { 'shikra.canaries': names }));
  }
}
