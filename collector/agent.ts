import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { components } from './components.ts';
import type { Config } from './config/config.ts';
import { ContainerEngines } from './containers/engines.ts';
import { INTERNAL_RULES, internalDetection } from './detection/internal.ts';
import type { AuditCollector } from './engine/audit-collector.ts';
import type { RulesRequest } from './engine/load-rules.ts';
import { type ReloadOutcome, RulesReloader } from './engine/reloader.ts';
import { RulesWatch } from './engine/rules-watch.ts';
import { CollectorThread } from './engine/thread.ts';
import { type ExitCode, ShikraError } from './errors.ts';
import { NetworkReceivers } from './network-receivers.ts';
import { createPipeline, createResource, type Pipeline, pipelineConfig } from './pipeline/index.ts';
import { ReceiversInUse } from './receivers-in-use.ts';
import { checkRequirements } from './sources/kernel/requirements.ts';
import { createLogger, type Logger, routeDiagnostics } from './telemetry/logger.ts';
import { createMetrics, type Metrics, type RuleLabels } from './telemetry/metrics.ts';

const STATS_INTERVAL_MILLIS = 1000;
/** What the collector has for its rings at a stop; an answer this much later still counts. */
const DRAIN_MILLIS = 1000;
const DRAIN_GRACE_MILLIS = 500;
/** In a flood the answer stands behind thousands of detections that this thread takes one after the other. */
const DRAIN_MOST_MILLIS = 2500;
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
 * Runs the agent: the kernel's collector in its thread, all else in this one.
 * @throws ShikraError if the rules, the probe, the store or an exporter cannot start; nothing is left attached then
 */
export async function startAgent(config: Config, options: AgentOptions): Promise<Agent> {
  const receivers = new ReceiversInUse(config);
  if (receivers.kernel !== undefined) checkRequirements(); // before a store is made or a port is taken
  const logger = createLogger({ level: config.service.telemetry.logs.level });
  routeDiagnostics(logger);
  const metrics = createMetrics({ version: options.version });
  const thread = receivers.kernel === undefined ? undefined : (options.thread ?? new CollectorThread());
  if (thread === undefined) await options.thread?.terminate();
  const resource = createResource({ version: options.version });
  const watch = new RulesWatch(receivers.watchedPaths());
  let pipeline: Pipeline | undefined;
  let audit: AuditCollector | undefined;
  try {
    await watch.start(); // before the rules are read: a change meanwhile is one
    // It loads rules and probe while the pipeline is made; what it says meanwhile waits for the first listener.
    if (receivers.kernel !== undefined) thread?.begin(receivers.collectorOptions(receivers.kernel));
    const loading = loadAudit(receivers);
    loading.catch(() => {}); // awaited below, if nothing fails before
    const parts = {
      config: pipelineConfig(config),
      factories: components,
      resource,
      version: options.version,
      metrics,
      logger,
    };
    pipeline = await createPipeline({ ...parts, alsoReady: () => readiness(receivers, thread, audit) });
    audit = await loading;
    const agent = new RunningAgent({ thread, audit, pipeline, metrics, logger, receivers, watch });
    await agent.start();
    options.onReady?.();
    return agent;
  } catch (error) {
    watch.close();
    await audit?.stop();
    await thread?.terminate();
    await pipeline?.shutdown(0);
    throw error;
  }
}

/** Its code is loaded only where it is used. */
async function loadAudit(receivers: ReceiversInUse): Promise<AuditCollector | undefined> {
  if (receivers.audit === undefined) return undefined;
  const { AuditCollector } = await import('./engine/audit-collector.ts');
  return AuditCollector.load(receivers.auditOptions(receivers.audit), receivers.auditRules());
}

function readiness(receivers: ReceiversInUse, thread: CollectorThread | undefined, audit: AuditCollector | undefined) {
  const isAuditReady = receivers.audit === undefined || audit !== undefined;
  const { ready, parts } = thread?.readiness() ?? { ready: isAuditReady, parts: {} };
  return { ready, parts: { ...parts, ...(audit && { k8s_audit: audit.status }) } };
}

interface AgentParts {
  readonly thread: CollectorThread | undefined;
  readonly audit: AuditCollector | undefined;
  readonly pipeline: Pipeline;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly receivers: ReceiversInUse;
  readonly watch: RulesWatch;
}

class RunningAgent implements Agent {
  readonly closed: Promise<0 | ExitCode>;
  readonly #thread: CollectorThread | undefined;
  readonly #audit: AuditCollector | undefined;
  readonly #network: NetworkReceivers;
  readonly #pipeline: Pipeline;
  readonly #metrics: Metrics;
  readonly #logger: Logger;
  readonly #receivers: ReceiversInUse;
  readonly #close: (code: 0 | ExitCode) => void;
  #engines: ContainerEngines | undefined;
  readonly #reloaders: RulesReloader[] = [];
  /** Receivers whose last reload failed. */
  readonly #rejectedBy = new Set<string>();
  /** Those in force, by the id of the receiver. */
  readonly #rules = new Map<string, readonly RuleLabels[]>();
  readonly #watch: RulesWatch;
  readonly #onHangUp = (): void => this.#hungUp();
  #statsTimer: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;

  constructor({ thread, audit, pipeline, metrics, logger, receivers, watch }: AgentParts) {
    this.#thread = thread;
    this.#audit = audit;
    this.#pipeline = pipeline;
    this.#network = new NetworkReceivers({ pipeline, metrics, logger });
    this.#metrics = metrics;
    this.#logger = logger;
    this.#receivers = receivers;
    const { promise, resolve: close } = Promise.withResolvers<0 | ExitCode>();
    this.closed = promise;
    this.#close = close;
    this.#watch = watch;
  }

  async start(): Promise<void> {
    const warnings = new Set([...(await this.#startKernel()), ...(await this.#startAudit())]);
    for (const warning of warnings) this.#logger.warn({ component: 'rules' }, warning);
    await this.#startNetwork();
    this.#statsTimer = setInterval(() => this.#askStats(), STATS_INTERVAL_MILLIS);
    this.#watch.listen({
      onChange: () => void this.reload(),
      onTrouble: (message) => this.#logger.warn({ component: 'rules' }, `${message}; send SIGHUP to reload them`),
    });
    process.on('SIGHUP', this.#onHangUp);
    const rules = [...this.#rules.values()].flat().length;
    // Last: who reads this may send signals.
    this.#logger.info({ rules }, `watching ${this.#receivers.describe()}`);
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
        for (const detection of message.detections) this.#pipeline.emit(detection, kernel.id);
        // The store writes at the end of this turn: what comes next must not meet it with this still in memory.
        setImmediate(() => thread.send({ type: 'taken', count: message.detections.length }));
      },
      onStats: (message) => this.#pipeline.loss(message.stats),
      onContainersWanted: ({ requests }) => this.#engines?.ask(requests),
      onDeath: (error) => void this.#die(error),
    });
    this.#declareRules(kernel.id, ready.rules);
    this.#metrics.declareEventTypes(ready.eventTypes);
    this.#engines.start();
    this.#addReloader(kernel.id, thread, () => this.#receivers.kernelRules());
    return ready.warnings;
  }

  /** @returns warnings of its rules */
  async #startAudit(): Promise<readonly string[]> {
    const [audit, receiver] = [this.#audit, this.#receivers.audit];
    if (audit === undefined || receiver === undefined) return [];
    const { store } = this.#pipeline;
    this.#declareRules(receiver.id, audit.rules);
    this.#metrics.recordAuditStats(audit.stats);
    this.#addReloader(receiver.id, audit, () => this.#receivers.auditRules());
    await audit.begin({
      emit: (detection) => this.#pipeline.emit(detection, receiver.id),
      stored: () => !store.failing && store.flush(),
      onDeath: (error) => void this.#die(error),
      logger: this.#logger.child({ component: receiver.id }),
    });
    return audit.warnings;
  }

  async #startNetwork(): Promise<void> {
    try {
      await this.#network.start(this.#receivers.network());
    } catch (error) {
      await this.#network.stop();
      throw error;
    }
  }

  #addReloader(id: string, target: Pick<CollectorThread, 'adopt'>, request: () => RulesRequest): void {
    this.#reloaders.push(new RulesReloader(target, request, (outcome) => this.#reloaded(id, outcome)));
  }

  #declareRules(id: string, rules: readonly RuleLabels[]): void {
    this.#rules.set(id, rules);
    this.#metrics.declareRules([...this.#rules.values()].flat());
  }

  #askStats(): void {
    this.#thread?.send({ type: 'stats' });
    if (this.#audit !== undefined) this.#metrics.recordAuditStats(this.#audit.stats);
  }

  async reload(): Promise<void> {
    if (this.#stopping === undefined) await Promise.all(this.#reloaders.map((reloader) => reloader.reload()));
  }

  #reloaded(id: string, outcome: ReloadOutcome): void {
    if (this.#stopping !== undefined) return;
    this.#metrics.rulesReload.inc({ outcome: outcome.ok ? 'success' : 'failure' });
    if (outcome.ok) this.#rejectedBy.delete(id);
    else this.#rejectedBy.add(id);
    this.#metrics.rulesLastReload.set(this.#rejectedBy.size === 0 ? 1 : 0);
    if (outcome.ok) {
      const { rules, warnings, longestPauseMillis } = outcome;
      this.#declareRules(id, rules);
      for (const warning of warnings) this.#logger.warn({ component: 'rules' }, warning);
      const pause = Math.round(longestPauseMillis * 10) / 10;
      this.#logger.info({ receiver: id, rules: rules.length, longest_pause_ms: pause }, 'the rules were reloaded');
      return;
    }
    for (const error of outcome.errors) this.#logger.error({ component: 'rules' }, error);
    const count = outcome.errors.length === 1 ? 'a mistake' : `${outcome.errors.length} mistakes`;
    const which = this.#reloaders.length > 1 ? `The rules of ${id}` : 'The rules';
    const text = `${which} were not reloaded: they have ${count}. The ones from before are in force.`;
    this.#logger.error({ component: 'rules' }, text);
    const shown = outcome.errors.slice(0, MOST_ERRORS_SHOWN).join('\n');
    this.#pipeline.emit(
      internalDetection(INTERNAL_RULES.rulesRejected, 'Error', `${text}\n${shown}`, {
        'shikra.rules.errors': outcome.errors.length,
        'shikra.receiver': id,
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
    const [leftBytes] = await Promise.all([this.#stopKernel(), this.#stopAudit(), this.#network.stop()]);
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

  async #stopAudit(): Promise<void> {
    if (this.#audit === undefined) return;
    // A file system that does not answer: what is not written down is read again.
    await Promise.race([this.#audit.stop(), sleep(DRAIN_MILLIS, undefined, { ref: false })]);
    this.#metrics.recordAuditStats(this.#audit.stats);
  }

  /** Without a collector the agent sees nothing, or half: it says so and ends. The thread's end detaches the probe. */
  async #die(error: Error): Promise<void> {
    if (this.#stopping !== undefined) return;
    const death = new ShikraError('COLLECTOR_DIED', error.message, { cause: error });
    this.#logger.fatal({ err: error, remedy: death.remedy }, death.message);
    this.#unwatch();
    this.#stopping = Promise.all([this.#stopAudit(), this.#network.stop()]).then(() => this.#deliver(STOP_MILLIS));
    await this.#thread?.terminate();
    await this.#stopping;
    this.#close(1);
  }

  /** An exporter may take as long again to shut down as it had for delivering. */
  #deliver(limitMillis: number): Promise<void> {
    this.#engines?.close();
    return this.#pipeline.shutdown(limitMillis / 2);
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
