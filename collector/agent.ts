import { closeSync, existsSync, openSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import { bundledRulesPath } from '../rules/files.ts';
import type { RuleSelection } from '../rules/index.ts';
import { components } from './components.ts';
import { type Config, kernelReceiver } from './config/config.ts';
import { BUNDLED_RULES, type KernelReceiverConfig } from './config/receivers.ts';
import { INTERNAL_RULES, internalDetection } from './detection/internal.ts';
import type { RulesRequest } from './engine/load-rules.ts';
import type { CollectorOptions } from './engine/messages.ts';
import { type ReloadOutcome, RulesReloader } from './engine/reloader.ts';
import { RulesWatch } from './engine/rules-watch.ts';
import { CollectorThread } from './engine/thread.ts';
import { type ExitCode, ShikraError } from './errors.ts';
import { createPipeline, createResource, type Pipeline, pipelineConfig } from './pipeline/index.ts';
import { checkRequirements } from './sources/kernel/requirements.ts';
import { createLogger, type Logger, routeDiagnostics } from './telemetry/logger.ts';
import { createMetrics, type Metrics } from './telemetry/metrics.ts';

const STATS_INTERVAL_MILLIS = 1000;
/** What the collector has for its rings at a stop; an answer this much later still counts. */
const DRAIN_MILLIS = 1000;
const DRAIN_GRACE_MILLIS = 500;
/** A stop's time for draining and delivering. Five seconds are promised: the rest is for a reader of stdout that does not read. */
const STOP_MILLIS = 3000;

/** Of a rejected reload: the log has them all. */
const MOST_ERRORS_SHOWN = 5;

export interface AgentOptions {
  readonly version: string;
  /** A thread made earlier, which has loaded its code meanwhile. It is this agent's from now on. */
  readonly thread?: CollectorThread;
  /** Called once: the probe is attached, and every exporter runs. */
  readonly onReady?: () => void;
}

export interface Agent {
  /** Loads the rules anew; if they have mistakes, the ones in force stay. Settles when it is decided. */
  reload(): Promise<void>;
  /** Detaches, drains, delivers what it can within its time. Calling it twice is fine. */
  stop(): Promise<void>;
  /** Settles when the agent has ended, by {@link stop} (0) or because it had to (1). */
  readonly closed: Promise<0 | ExitCode>;
}

/**
 * Runs the agent: the collector in its thread, the pipeline in this one.
 * @throws ShikraError if the rules, the probe, the store or an exporter cannot start; nothing is left attached then
 */
export async function startAgent(config: Config, options: AgentOptions): Promise<Agent> {
  checkRequirements(); // before a store is made or a port is taken
  const logger = createLogger({ level: config.service.telemetry.logs.level });
  routeDiagnostics(logger);
  const metrics = createMetrics({ version: options.version });
  const thread = options.thread ?? new CollectorThread();
  const resource = createResource({ version: options.version });
  const watch = new RulesWatch(watchedPaths(config));
  let pipeline: Pipeline;
  try {
    await watch.start(); // before the rules are read: a change meanwhile is one
    // It loads rules and probe while the pipeline is made; what it says meanwhile waits for the first listener.
    thread.begin(collectorOptions(config));
    const parts = {
      config: pipelineConfig(config),
      factories: components,
      resource,
      version: options.version,
      metrics,
      logger,
    };
    pipeline = await createPipeline({ ...parts, alsoReady: () => thread.readiness() });
  } catch (error) {
    watch.close();
    await thread.terminate();
    throw error;
  }
  const agent = new RunningAgent({ thread, pipeline, metrics, logger, config, watch });
  try {
    await agent.start();
  } catch (error) {
    watch.close();
    await thread.terminate();
    await pipeline.shutdown(0);
    throw error;
  }
  options.onReady?.();
  return agent;
}

interface AgentParts {
  readonly thread: CollectorThread;
  readonly pipeline: Pipeline;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly config: Config;
  readonly watch: RulesWatch;
}

class RunningAgent implements Agent {
  readonly closed: Promise<0 | ExitCode>;
  readonly #thread: CollectorThread;
  readonly #pipeline: Pipeline;
  readonly #metrics: Metrics;
  readonly #logger: Logger;
  readonly #close: (code: 0 | ExitCode) => void;
  readonly #reloader: RulesReloader;
  readonly #watch: RulesWatch;
  readonly #onHangUp = (): void => this.#hungUp();
  #statsTimer: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;

  constructor({ thread, pipeline, metrics, logger, config, watch }: AgentParts) {
    this.#thread = thread;
    this.#pipeline = pipeline;
    this.#metrics = metrics;
    this.#logger = logger;
    const { promise, resolve: close } = Promise.withResolvers<0 | ExitCode>();
    this.closed = promise;
    this.#close = close;
    this.#reloader = new RulesReloader(
      thread,
      () => rulesRequest(config),
      (outcome) => this.#reloaded(outcome),
    );
    this.#watch = watch;
  }

  async start(): Promise<void> {
    const ready = await this.#thread.start({
      onDetections: (message) => {
        for (const detection of message.detections) this.#pipeline.emit(detection);
        // The store writes at the end of this turn: what comes next must not meet it with this still in memory.
        setImmediate(() => this.#thread.send({ type: 'taken', count: message.detections.length }));
      },
      onStats: (message) => this.#pipeline.loss(message.stats),
      onDeath: (error) => void this.#die(error),
    });
    this.#metrics.declareRules(ready.rules);
    this.#metrics.declareEventTypes(ready.eventTypes);
    for (const warning of ready.warnings) this.#logger.warn({ component: 'rules' }, warning);
    this.#statsTimer = setInterval(() => this.#thread.send({ type: 'stats' }), STATS_INTERVAL_MILLIS);
    this.#watch.listen({
      onChange: () => void this.reload(),
      onTrouble: (message) => this.#logger.warn({ component: 'rules' }, `${message}; send SIGHUP to reload them`),
    });
    process.on('SIGHUP', this.#onHangUp);
    // Last: who reads this may send signals.
    this.#logger.info({ rules: ready.rules.length }, 'watching system calls');
  }

  async reload(): Promise<void> {
    if (this.#stopping === undefined) await this.#reloader.reload();
  }

  #reloaded(outcome: ReloadOutcome): void {
    if (this.#stopping !== undefined) return;
    this.#metrics.rulesReload.inc({ outcome: outcome.ok ? 'success' : 'failure' });
    if (outcome.ok) {
      const { rules, warnings, longestPauseMillis } = outcome;
      this.#metrics.declareRules(rules);
      for (const warning of warnings) this.#logger.warn({ component: 'rules' }, warning);
      const pause = Math.round(longestPauseMillis * 10) / 10;
      this.#logger.info({ rules: rules.length, longest_pause_ms: pause }, 'the rules were reloaded');
      return;
    }
    for (const error of outcome.errors) this.#logger.error({ component: 'rules' }, error);
    const count = outcome.errors.length === 1 ? 'a mistake' : `${outcome.errors.length} mistakes`;
    const text = `The rules were not reloaded: they have ${count}. The ones from before are in force.`;
    this.#logger.error({ component: 'rules' }, text);
    const shown = outcome.errors.slice(0, MOST_ERRORS_SHOWN).join('\n');
    this.#pipeline.emit(
      internalDetection(INTERNAL_RULES.rulesRejected, 'Error', `${text}\n${shown}`, {
        'shikra.rules.errors': outcome.errors.length,
      }),
    );
  }

  /** SIGHUP asks for a reload; but the kernel sends it too when the terminal is gone, and then nobody is there to stop the agent. */
  #hungUp(): void {
    if (process.stdout.isTTY && !hasTerminal()) process.kill(process.pid, 'SIGTERM');
    else void this.reload();
  }

  #unwatch(): void {
    this.#watch.close();
    process.off('SIGHUP', this.#onHangUp);
    clearInterval(this.#statsTimer);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const started = performance.now();
    this.#unwatch();
    const leftBytes = await this.#thread.stop(DRAIN_MILLIS, DRAIN_GRACE_MILLIS);
    if (leftBytes === undefined)
      this.#logger.error('the collector did not answer: events that were in its rings are lost');
    else if (leftBytes > 0)
      this.#logger.error({ bytes: leftBytes }, 'there was no time for all events: the last ones are lost');
    await this.#deliver(STOP_MILLIS - (performance.now() - started));
    this.#close(leftBytes === undefined ? 1 : 0);
  }

  /** Without its collector the agent sees nothing: it says so and ends. The thread's end has detached the probe. */
  async #die(error: Error): Promise<void> {
    if (this.#stopping !== undefined) return;
    const death = new ShikraError('COLLECTOR_DIED', error.message, { cause: error });
    this.#logger.fatal({ err: error, remedy: death.remedy }, death.message);
    this.#unwatch();
    this.#stopping = this.#deliver(STOP_MILLIS);
    await this.#stopping;
    this.#close(1);
  }

  /** An exporter may take as long again to shut down as it had for delivering. */
  #deliver(limitMillis: number): Promise<void> {
    return this.#pipeline.shutdown(limitMillis / 2);
  }
}

function collectorOptions(config: Config): CollectorOptions {
  const receiver = kernelReceiverOf(config);
  return {
    ...rulesRequest(config),
    ruleMatching: receiver.rule_matching,
    ringPreset: receiver.ring_preset,
    cpusPerRing: receiver.cpus_per_ring,
    processTableEntries: receiver.process_table_entries,
    captureEnv: receiver.capture_env,
  };
}

function kernelReceiverOf(config: Config): KernelReceiverConfig {
  const receiver = kernelReceiver(config);
  if (receiver === undefined)
    throw new ShikraError('CONFIG_INVALID', 'service.pipelines.logs.receivers names no kernel receiver');
  return receiver;
}

/** A folder that does not exist is empty; a file that does not exist is a mistake that loading reports. */
function rulesRequest(config: Config): RulesRequest {
  const receiver = kernelReceiverOf(config);
  const rulesFiles = ruleFiles(receiver, config.file);
  return {
    rulesFiles: rulesFiles.filter((path) => existsSync(path) || /^\.ya?ml$/.test(extname(path))),
    ruleSelection: receiver.rules as readonly RuleSelection[],
  };
}

/** The bundled rules change with the program only. */
function watchedPaths(config: Config): string[] {
  const bundled = bundledRulesPath();
  return ruleFiles(kernelReceiverOf(config), config.file).filter((path) => path !== bundled);
}

/** Relative to the configuration file. */
function ruleFiles(receiver: KernelReceiverConfig, configFile: string | undefined): string[] {
  const from = configFile === undefined ? process.cwd() : dirname(resolve(configFile));
  return receiver.rules_files.map((path) => (path === BUNDLED_RULES ? bundledRulesPath() : resolve(from, path)));
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
