import { existsSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import { bundledRulesPath } from '../rules/index.ts';
import { components } from './components.ts';
import { type Config, kernelReceiver } from './config/config.ts';
import { BUNDLED_RULES, type KernelReceiverConfig } from './config/receivers.ts';
import type { CollectorOptions } from './engine/messages.ts';
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
const STOP_MILLIS = 3500;

export interface AgentOptions {
  readonly version: string;
  /** A thread made earlier, which has loaded its code meanwhile. It is this agent's from now on. */
  readonly thread?: CollectorThread;
  /** Called once: the probe is attached, and every exporter runs. */
  readonly onReady?: () => void;
}

export interface Agent {
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
  let pipeline: Pipeline;
  try {
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
    await thread.terminate();
    throw error;
  }
  const agent = new RunningAgent(thread, pipeline, metrics, logger);
  try {
    await agent.start();
  } catch (error) {
    await thread.terminate();
    await pipeline.shutdown(0);
    throw error;
  }
  options.onReady?.();
  return agent;
}

class RunningAgent implements Agent {
  readonly closed: Promise<0 | ExitCode>;
  readonly #thread: CollectorThread;
  readonly #pipeline: Pipeline;
  readonly #metrics: Metrics;
  readonly #logger: Logger;
  readonly #close: (code: 0 | ExitCode) => void;
  #statsTimer: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;

  constructor(thread: CollectorThread, pipeline: Pipeline, metrics: Metrics, logger: Logger) {
    this.#thread = thread;
    this.#pipeline = pipeline;
    this.#metrics = metrics;
    this.#logger = logger;
    const { promise, resolve: close } = Promise.withResolvers<0 | ExitCode>();
    this.closed = promise;
    this.#close = close;
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
    this.#logger.info({ rules: ready.rules.length }, 'watching system calls');
    this.#statsTimer = setInterval(() => this.#thread.send({ type: 'stats' }), STATS_INTERVAL_MILLIS);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const started = performance.now();
    clearInterval(this.#statsTimer);
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
    clearInterval(this.#statsTimer);
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
  const receiver = kernelReceiver(config);
  if (receiver === undefined)
    throw new ShikraError('CONFIG_INVALID', 'service.pipelines.logs.receivers names no kernel receiver');
  return {
    rulesFiles: ruleFiles(receiver, config.file),
    ruleMatching: receiver.rule_matching,
    ringPreset: receiver.ring_preset,
    cpusPerRing: receiver.cpus_per_ring,
    processTableEntries: receiver.process_table_entries,
    captureEnv: receiver.capture_env,
  };
}

/** Relative to the configuration file. A folder that does not exist is empty; a file that does not exist is a mistake that loading reports. */
function ruleFiles(receiver: KernelReceiverConfig, configFile: string | undefined): string[] {
  const from = configFile === undefined ? process.cwd() : dirname(resolve(configFile));
  return receiver.rules_files
    .map((path) => (path === BUNDLED_RULES ? bundledRulesPath() : resolve(from, path)))
    .filter((path) => existsSync(path) || /^\.ya?ml$/.test(extname(path)));
}
