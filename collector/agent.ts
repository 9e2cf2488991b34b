import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoreLock } from '../exporters/store/lock.ts';
import { AuditPart, type PreparedAudit } from './audit-part.ts';
import { components } from './components.ts';
import type { Config } from './config/config.ts';
import type { LoadedConfig } from './config/load.ts';
import { ConfigReload } from './config-reload.ts';
import { ContainerEngines } from './containers/engines.ts';
import { CanaryWatch } from './engine/canary-watch.ts';
import { logDomainNames } from './engine/domain-name-log.ts';
import { FileWatch } from './engine/file-watch.ts';
import type { CollectorThread } from './engine/thread.ts';
import { type ExitCode, ShikraError } from './errors.ts';
import { type FirstSteps, takeFirstSteps } from './first-steps.ts';
import { NetworkReceivers, type PlannedReceiver } from './network-receivers.ts';
import { createPipeline, createResource, type Pipeline, pipelineConfig } from './pipeline/index.ts';
import { ReceiversInUse } from './receivers-in-use.ts';
import { RuleReloads } from './rule-reloads.ts';
import { createLogger, type Logger, routeDiagnostics } from './telemetry/logger.ts';
import { createMetrics, type Metrics } from './telemetry/metrics.ts';

const STATS_INTERVAL_MILLIS = 1000;
/** What the collector has for its rings at a stop; an answer this much later still counts. */
const DRAIN_MILLIS = 1000;
const DRAIN_GRACE_MILLIS = 500;
/** In a flood the answer stands behind thousands of detections that this thread takes one after the other. */
const DRAIN_MOST_MILLIS = 2500;
/** A stop's time for draining and delivering. Five seconds are promised: the rest is for a reader of stdout that does not read. */
const STOP_MILLIS = 3000;

export interface AgentOptions {
  readonly version: string;
  /** Taken earlier, for this configuration. What they opened is this agent's from now on. */
  readonly firstSteps?: FirstSteps;
  /** Reads the configuration anew, where it came from a file: the file is then watched. @throws ShikraError */
  readonly readConfig?: () => LoadedConfig;
  /** Called once: the probe is attached, and every exporter runs. */
  readonly onReady?: () => void;
}

export interface Agent {
  /** Reads configuration and rules anew; if they have mistakes, what is in force stays. Settles when it is decided. */
  reload(): Promise<void>;
  /** Detaches, drains, delivers what it can within its time. Calling it twice is fine. */
  stop(): Promise<void>;
  /** Settles when the agent has ended, by {@link stop} (0) or because it had to (1). */
  readonly closed: Promise<0 | ExitCode>;
}

/**
 * Runs the agent: the kernel's collector in its thread, all else in this one.
 * @throws ShikraError if the rules, the probe, the store or an exporter cannot start; nothing is left attached then
 */
export async function startAgent(config: Config, options: AgentOptions): Promise<Agent> {
  const { receivers, thread, watch, lock } = options.firstSteps ?? (await takeFirstSteps(config));
  const logger = createLogger({ level: config.service.telemetry.logs.level });
  routeDiagnostics(logger);
  const metrics = createMetrics({ version: options.version });
  const resource = createResource({ version: options.version });
  const audit = new AuditPart(metrics, logger);
  let pipeline: Pipeline | undefined;
  let agent: RunningAgent | undefined;
  const canaries = new CanaryWatch({ metrics, logger, emit: (detection) => void pipeline?.emit(detection) });
  try {
    const preparing = audit.prepare(receivers);
    preparing.catch(() => {}); // awaited below, if nothing fails before
    const parts = {
      config: pipelineConfig(config),
      factories: components,
      resource,
      version: options.version,
      metrics,
      logger,
    };
    pipeline = await createPipeline({
      ...parts,
      alsoReady: () => readiness(thread, audit, canaries, agent !== undefined),
    });
    if (lock.trouble !== undefined) logger.warn({ component: 'store' }, lock.trouble);
    const prepared = await preparing;
    const made = { config, options, thread, audit, pipeline, metrics, logger, receivers, watch, lock, canaries };
    const running = new RunningAgent(made);
    await running.start(prepared);
    agent = running;
    options.onReady?.();
    return agent;
  } catch (error) {
    watch.close();
    await audit.stopOther(undefined);
    await thread?.terminate();
    await pipeline?.shutdown(0);
    lock.release();
    throw error;
  }
}

function readiness(thread: CollectorThread | undefined, audit: AuditPart, canaries: CanaryWatch, isRunning: boolean) {
  const kernel = thread && { collector: thread.readiness(), canaries: canaries.readiness() };
  const { running } = audit;
  return {
    ready: kernel === undefined ? isRunning : kernel.collector.ready && kernel.canaries.ready,
    parts: {
      ...kernel?.collector.parts,
      ...kernel?.canaries.parts,
      ...(running && { k8s_audit: running.collector.status }),
    },
  };
}

interface AgentParts {
  readonly config: Config;
  readonly options: AgentOptions;
  readonly thread: CollectorThread | undefined;
  readonly audit: AuditPart;
  readonly pipeline: Pipeline;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly receivers: ReceiversInUse;
  readonly watch: FileWatch;
  readonly lock: StoreLock;
  readonly canaries: CanaryWatch;
}

class RunningAgent implements Agent {
  readonly closed: Promise<0 | ExitCode>;
  readonly #thread: CollectorThread | undefined;
  readonly #audit: AuditPart;
  readonly #network: NetworkReceivers;
  readonly #pipeline: Pipeline;
  readonly #metrics: Metrics;
  readonly #logger: Logger;
  readonly #rules: RuleReloads;
  readonly #config: ConfigReload | undefined;
  readonly #configWatch: FileWatch | undefined;
  readonly #lock: StoreLock;
  readonly #canaries: CanaryWatch;
  readonly #close: (code: 0 | ExitCode) => void;
  #receivers: ReceiversInUse;
  #engines: ContainerEngines | undefined;
  #watch: FileWatch;
  readonly #onHangUp = (): void => this.#hungUp();
  #statsTimer: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;
  /** Detections that the collector's thread is yet to be told of. */
  #taken = 0;

  constructor({
    config,
    options,
    thread,
    audit,
    pipeline,
    metrics,
    logger,
    receivers,
    watch,
    lock,
    canaries,
  }: AgentParts) {
    this.#thread = thread;
    this.#audit = audit;
    this.#pipeline = pipeline;
    this.#network = new NetworkReceivers({ pipeline, metrics, logger });
    this.#rules = new RuleReloads({ pipeline, metrics, logger });
    this.#metrics = metrics;
    this.#logger = logger;
    this.#receivers = receivers;
    const { promise, resolve: close } = Promise.withResolvers<0 | ExitCode>();
    this.closed = promise;
    this.#close = close;
    this.#watch = watch;
    this.#lock = lock;
    this.#canaries = canaries;
    if (options.readConfig === undefined || config.file === undefined) return;
    const adopt = (next: Config) => this.#adopt(next);
    this.#config = new ConfigReload({ read: options.readConfig, current: config, adopt, pipeline, metrics, logger });
    this.#configWatch = new FileWatch([config.file], 'the configuration');
  }

  /** @param audit to begin with */
  async start(audit: PreparedAudit | undefined): Promise<void> {
    await this.#configWatch?.start();
    const warnings = new Set([...(await this.#startKernel()), ...(await this.#beginAudit(audit))]);
    for (const warning of warnings) this.#logger.warn({ component: 'rules' }, warning);
    await this.#startNetwork();
    this.#statsTimer = setInterval(() => this.#askStats(), STATS_INTERVAL_MILLIS);
    this.#listenToRules();
    this.#configWatch?.listen({
      onChange: () => void this.#reloadConfig(),
      onTrouble: (message) => this.#logger.warn({ component: 'config' }, `${message}; send SIGHUP to reload it`),
    });
    process.on('SIGHUP', this.#onHangUp);
    // Last: who reads this may send signals.
    this.#logger.info({ rules: this.#rules.count }, `watching ${this.#receivers.describe()}`);
  }

  /** @returns warnings of its rules */
  async #startKernel(): Promise<readonly string[]> {
    const [thread, kernel] = [this.#thread, this.#receivers.kernel];
    if (thread === undefined || kernel === undefined) return [];
    this.#engines = new ContainerEngines({
      sockets: kernel.config.containers,
      metrics: this.#metrics,
      logger: this.#logger,
      onNews: (news) => thread.send({ type: 'container', news }),
    });
    const ready = await thread.start({
      onDetections: (message) => {
        this.#pipeline.hurry(message.behind);
        for (const written of message.detections) this.#pipeline.emitWritten(written, kernel.id);
        this.#acknowledge(thread, message.detections.length);
      },
      onStats: (message) => {
        this.#canaries.answered();
        this.#pipeline.loss(message.stats);
      },
      onCanaries: ({ report }) => this.#canaries.hear(report),
      onDomainNames: ({ names }) => logDomainNames(this.#logger, names),
      onContainersWanted: ({ requests }) => this.#engines?.ask(requests),
      onDeath: (error) => void this.#die(error),
    });
    this.#metrics.declareEventTypes(ready.eventTypes);
    this.#engines.start();
    this.#rules.add(kernel.id, thread, () => this.#receivers.kernelRules(), ready.rules);
    return ready.warnings;
  }

  /** @returns warnings of its rules */
  async #beginAudit(wanted: PreparedAudit | undefined): Promise<readonly string[]> {
    if (wanted === undefined || wanted === this.#audit.running) return [];
    const { store } = this.#pipeline;
    const { id, collector } = wanted;
    await this.#audit.begin(wanted, {
      emit: (detection) => this.#pipeline.emit(detection, id),
      stored: () => !store.failing && store.flush(),
      onDeath: (error) => void this.#die(error),
      logger: this.#logger.child({ component: id }),
    });
    this.#rules.add(id, collector, () => this.#receivers.auditRules(), collector.rules);
    return collector.warnings;
  }

  async #startNetwork(): Promise<void> {
    try {
      await this.#network.start(this.#networkOf(this.#receivers));
    } catch (error) {
      await this.#network.stop();
      throw error;
    }
  }

  #networkOf(receivers: ReceiversInUse): PlannedReceiver[] {
    return receivers.network((message) => this.#logger.warn({ component: 'receivers' }, message));
  }

  #listenToRules(): void {
    this.#watch.listen({
      onChange: () => void this.#rules.reload(),
      onTrouble: (message) => this.#logger.warn({ component: 'rules' }, `${message}; send SIGHUP to reload them`),
    });
  }

  /** The store writes at the end of this turn: what comes next must not meet it with this still in memory. */
  #acknowledge(thread: CollectorThread, count: number): void {
    if (this.#taken === 0)
      setImmediate(() => {
        thread.send({ type: 'taken', count: this.#taken });
        this.#taken = 0;
      });
    this.#taken += count;
  }

  #askStats(): void {
    if (this.#thread !== undefined) {
      this.#thread.send({ type: 'stats' });
      this.#canaries.asked();
    }
    this.#audit.recordStats();
  }

  async reload(): Promise<void> {
    if (this.#stopping !== undefined) return;
    await this.#config?.reload();
    await this.#rules.reload();
  }

  async #reloadConfig(): Promise<void> {
    if (this.#stopping !== undefined) return;
    await this.#config?.reload();
    await this.#rules.reloadIfOthers();
  }

  /**
   * Brings everything to a configuration. What brings detections and changes is stopped before the ways that it uses are, and begins after them: in between
   * senders are not answered, and send again.
   */
  async #adopt(config: Config): Promise<void> {
    const receivers = new ReceiversInUse(config);
    const network = this.#networkOf(receivers);
    const audit = await this.#audit.prepare(receivers);
    const before = this.#audit.running;
    await Promise.all([this.#network.stopOthers(network), this.#audit.stopOther(audit)]);
    if (before !== undefined && before !== audit) this.#rules.remove(before.id);
    await this.#pipeline.reconfigure(pipelineConfig(config));
    this.#receivers = receivers;
    await this.#watchRules();
    for (const warning of await this.#beginAudit(audit)) this.#logger.warn({ component: 'rules' }, warning);
    await this.#network.start(network);
  }

  async #watchRules(): Promise<void> {
    const watch = new FileWatch(this.#receivers.watchedPaths(), 'rules');
    await watch.start();
    this.#watch.close();
    this.#watch = watch;
    this.#listenToRules();
  }

  /** SIGHUP asks for a reload; but the kernel sends it too when the terminal is gone, and then nobody is there to stop the agent. */
  #hungUp(): void {
    if (process.stdout.isTTY && !hasTerminal()) process.kill(process.pid, 'SIGTERM');
    else void this.reload();
  }

  #unwatch(): void {
    this.#watch.close();
    this.#configWatch?.close();
    this.#rules.close();
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
    const [leftBytes] = await Promise.all([this.#stopKernel(), this.#stopReceivers()]);
    if (leftBytes === undefined)
      this.#logger.error('the collector did not answer: events that were in its rings are lost');
    else if (leftBytes > 0)
      this.#logger.error({ bytes: leftBytes }, 'there was no time for all events: the last ones are lost');
    await this.#deliver(STOP_MILLIS - (performance.now() - started));
    this.#close(leftBytes === undefined ? 1 : 0);
  }

  /** @returns bytes of events that there was no time for; undefined without an answer */
  async #stopKernel(): Promise<number | undefined> {
    return this.#thread === undefined
      ? 0
      : await this.#thread.stop(DRAIN_MILLIS, DRAIN_GRACE_MILLIS, DRAIN_MOST_MILLIS);
  }

  async #stopReceivers(): Promise<void> {
    const idle = this.#config?.idle(); // a reload at work would start again what is stopped here
    await Promise.race([idle, sleep(DRAIN_MILLIS, undefined, { ref: false })]);
    await Promise.all([this.#audit.stopOther(undefined), this.#network.stop()]);
  }

  /** Without a collector the agent sees nothing, or half: it says so and ends. The thread's end detaches the probe. */
  async #die(error: Error): Promise<void> {
    if (this.#stopping !== undefined) return;
    const death = new ShikraError('COLLECTOR_DIED', error.message, { cause: error });
    this.#logger.fatal({ err: error, remedy: death.remedy }, death.message);
    this.#unwatch();
    this.#stopping = this.#stopReceivers().then(() => this.#deliver(STOP_MILLIS));
    await this.#thread?.terminate();
    await this.#stopping;
    this.#close(1);
  }

  /** An exporter may take as long again to shut down as it had for delivering. */
  async #deliver(limitMillis: number): Promise<void> {
    this.#engines?.close();
    await this.#pipeline.shutdown(limitMillis / 2);
    this.#lock.release();
  }
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
