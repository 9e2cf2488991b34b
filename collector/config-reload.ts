import type { Config } from './config/config.ts';
import type { LoadedConfig } from './config/load.ts';
import { formatProblem } from './config/problem.ts';
import { takeable } from './config/restart.ts';
import { INTERNAL_RULES, internalDetection } from './detection/internal.ts';
import { Repeatable } from './engine/repeatable.ts';
import { ShikraError } from './errors.ts';
import type { Pipeline } from './pipeline/index.ts';
import type { Logger } from './telemetry/logger.ts';
import type { Metrics } from './telemetry/metrics.ts';

export interface ConfigReloadDeps {
  /** Reads the file anew. @throws ShikraError */
  readonly read: () => LoadedConfig;
  readonly current: Config;
  /** Brings the agent to a configuration; if it cannot, parts of it may already be there. */
  readonly adopt: (config: Config) => Promise<void>;
  readonly pipeline: Pipeline;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Brings the agent to what the file says now. A configuration that cannot be taken leaves the one before in force; each outcome is logged, counted and, if bad, detected. */
export class ConfigReload {
  readonly #deps: ConfigReloadDeps;
  readonly #reloads = new Repeatable(() => this.#reloadOnce());
  #current: Config;

  constructor(deps: ConfigReloadDeps) {
    this.#deps = deps;
    this.#current = deps.current;
  }

  /** Settles when what the file said at the call is in force, or refused. Never rejects. */
  reload(): Promise<void> {
    return this.#reloads.run();
  }

  /** Settles when no reload is at work. */
  idle(): Promise<void> {
    return this.#reloads.idle();
  }

  async #reloadOnce(): Promise<void> {
    const { read, logger } = this.#deps;
    try {
      const { config: next, warnings } = read();
      const { config, held } = takeable(this.#current, next);
      const isNew = JSON.stringify(config) !== JSON.stringify(this.#current);
      if (isNew) await this.#adopt(config);
      for (const warning of warnings) logger.warn({ component: 'config' }, formatProblem(warning));
      if (held.length > 0) this.#restartNeeded(held);
      else this.#succeeded(isNew);
    } catch (error) {
      this.#refused(error as Error);
    }
  }

  async #adopt(config: Config): Promise<void> {
    const { adopt, logger } = this.#deps;
    try {
      await adopt(config);
      this.#current = config;
    } catch (error) {
      await adopt(this.#current).catch((failure: unknown) =>
        logger.error(
          { err: failure },
          'the configuration from before could not be put in force again: restart the agent',
        ),
      );
      throw error;
    }
  }

  #succeeded(isNew: boolean): void {
    const { metrics, logger } = this.#deps;
    metrics.configReload.inc({ outcome: 'success' });
    metrics.configLastReload.set(1);
    logger.info(
      { component: 'config' },
      isNew ? 'the configuration was reloaded' : 'the configuration is in force as it is',
    );
  }

  #restartNeeded(held: readonly string[]): void {
    const text = `The configuration was reloaded, but for what needs a restart of the agent: ${held.join(', ')}. There the values from before are in force.`;
    this.#bad('restart_needed', INTERNAL_RULES.restartNeeded, text, { 'shikra.config.held': held });
  }

  #refused(error: Error): void {
    const remedy = error instanceof ShikraError ? `; ${error.remedy}` : '';
    const text = `The configuration was not reloaded: ${error.message}${remedy}. The one from before is in force.`;
    this.#bad('failure', INTERNAL_RULES.configRejected, text, {});
  }

  #bad(
    outcome: 'failure' | 'restart_needed',
    rule: string,
    text: string,
    fields: Record<string, readonly string[]>,
  ): void {
    const { metrics, logger, pipeline } = this.#deps;
    metrics.configReload.inc({ outcome });
    metrics.configLastReload.set(0);
    logger.error({ component: 'config' }, text);
    pipeline.emit(internalDetection(rule, 'Error', text, fields));
  }
}
