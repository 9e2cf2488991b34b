import { INTERNAL_RULES, internalDetection } from './detection/internal.ts';
import type { RulesRequest } from './engine/load-rules.ts';
import type { ReloadOutcome } from './engine/messages.ts';
import { RulesReloader } from './engine/reloader.ts';
import type { CollectorThread } from './engine/thread.ts';
import type { Pipeline } from './pipeline/index.ts';
import type { Logger } from './telemetry/logger.ts';
import type { Metrics, RuleLabels } from './telemetry/metrics.ts';

/** Of a rejected reload: the log has them all. */
const MOST_ERRORS_SHOWN = 5;

export interface RuleReloadsDeps {
  readonly pipeline: Pipeline;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Whose rules are swapped, and what they are asked for with. */
interface Ruled {
  readonly reloader: RulesReloader;
  readonly request: () => RulesRequest;
  /** Those in force. */
  rules: readonly RuleLabels[];
  /** The last reload failed. */
  isRejected: boolean;
}

/** The rules of all receivers that have some: which are in force, and how each reload ended. */
export class RuleReloads {
  readonly #deps: RuleReloadsDeps;
  readonly #ruled = new Map<string, Ruled>();
  #requested = '';
  #closed = false;

  constructor(deps: RuleReloadsDeps) {
    this.#deps = deps;
  }

  /** Rules in force, all receivers together. */
  get count(): number {
    return [...this.#ruled.values()].reduce((sum, { rules }) => sum + rules.length, 0);
  }

  /** @param request asked anew for each reload */
  add(
    id: string,
    target: Pick<CollectorThread, 'adopt'>,
    request: () => RulesRequest,
    rules: readonly RuleLabels[],
  ): void {
    const reloader = new RulesReloader(target, request, (outcome) => this.#reloaded(id, outcome));
    this.#ruled.set(id, { reloader, request, rules, isRejected: false });
    this.#declare();
    this.#requested = this.#requests();
  }

  remove(id: string): void {
    this.#ruled.delete(id);
    this.#declare();
  }

  /** Settles when it is decided for each. */
  async reload(): Promise<void> {
    if (this.#closed) return;
    this.#requested = this.#requests();
    await Promise.all([...this.#ruled.values()].map(({ reloader }) => reloader.reload()));
  }

  /** The same, if other rules are asked for than the last time. */
  async reloadIfOthers(): Promise<void> {
    if (this.#requests() !== this.#requested) await this.reload();
  }

  close(): void {
    this.#closed = true;
  }

  #requests(): string {
    return JSON.stringify([...this.#ruled].map(([id, { request }]) => [id, request()]));
  }

  #declare(): void {
    this.#deps.metrics.declareRules([...this.#ruled.values()].flatMap(({ rules }) => rules));
  }

  #reloaded(id: string, outcome: ReloadOutcome): void {
    const ruled = this.#ruled.get(id);
    if (this.#closed || ruled === undefined) return;
    const { metrics } = this.#deps;
    metrics.rulesReload.inc({ outcome: outcome.ok ? 'success' : 'failure' });
    ruled.isRejected = !outcome.ok;
    const isAnyRejected = [...this.#ruled.values()].some(({ isRejected }) => isRejected);
    metrics.rulesLastReload.set(isAnyRejected ? 0 : 1);
    if (outcome.ok) this.#adopted(id, ruled, outcome);
    else this.#rejected(id, outcome.errors);
  }

  #adopted(
    id: string,
    ruled: Ruled,
    { rules, warnings, longestPauseMillis }: Extract<ReloadOutcome, { ok: true }>,
  ): void {
    const { logger } = this.#deps;
    ruled.rules = rules;
    this.#declare();
    for (const warning of warnings) logger.warn({ component: 'rules' }, warning);
    const pause = Math.round(longestPauseMillis * 10) / 10;
    logger.info({ receiver: id, rules: rules.length, longest_pause_ms: pause }, 'the rules were reloaded');
  }

  #rejected(id: string, errors: readonly string[]): void {
    const { logger, pipeline } = this.#deps;
    for (const error of errors) logger.error({ component: 'rules' }, error);
    const count = errors.length === 1 ? 'a mistake' : `${errors.length} mistakes`;
    const which = this.#ruled.size > 1 ? `The rules of ${id}` : 'The rules';
    const text = `${which} were not reloaded: they have ${count}. The ones from before are in force.`;
    logger.error({ component: 'rules' }, text);
    const shown = errors.slice(0, MOST_ERRORS_SHOWN).join('\n');
    pipeline.emit(
      internalDetection(INTERNAL_RULES.rulesRejected, 'Error', `${text}\n${shown}`, {
        'shikra.rules.errors': errors.length,
        'shikra.receiver': id,
      }),
    );
  }
}
