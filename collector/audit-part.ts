import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditCollector, AuditSink } from './engine/audit-collector.ts';
import type { ReceiversInUse } from './receivers-in-use.ts';
import type { Logger } from './telemetry/logger.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** A file system that does not answer must not keep the agent from stopping: what is not written down is read again. */
const STOP_MILLIS = 1000;

/** What the receiver of audit events is to be: made, and not begun. */
export interface PreparedAudit {
  readonly id: string;
  readonly plan: string;
  readonly collector: AuditCollector;
}

/** The receiver of Kubernetes audit events, as far as there is one: it can be replaced by one with other settings. */
export class AuditPart {
  readonly #metrics: Metrics;
  readonly #logger: Logger;
  #running: PreparedAudit | undefined;

  constructor(metrics: Metrics, logger: Logger) {
    this.#metrics = metrics;
    this.#logger = logger;
  }

  get running(): PreparedAudit | undefined {
    return this.#running;
  }

  /**
   * Makes what a configuration wants. Its code is loaded only where it is used.
   * @returns the one that runs, if it is to stay as it is; undefined if there is to be none
   * @throws ShikraError RULES_INVALID, or CONFIG_INVALID for a file that cannot be read
   */
  async prepare(receivers: ReceiversInUse): Promise<PreparedAudit | undefined> {
    if (receivers.audit === undefined) return undefined;
    const { id } = receivers.audit;
    const options = receivers.auditOptions(receivers.audit, (message) => this.#logger.warn({ component: id }, message));
    const plan = JSON.stringify([id, options]);
    if (this.#running?.plan === plan) return this.#running;
    const { AuditCollector } = await import('./engine/audit-collector.ts');
    return { id, plan, collector: await AuditCollector.load(options, receivers.auditRules()) };
  }

  /** Stops what runs, unless it is this. */
  async stopOther(wanted: PreparedAudit | undefined): Promise<void> {
    const running = this.#running;
    if (running === undefined || running === wanted) return;
    this.#running = undefined;
    await Promise.race([running.collector.stop(), sleep(STOP_MILLIS, undefined, { ref: false })]);
    this.#metrics.recordAuditStats(running.collector.stats);
  }

  /** @throws ShikraError ADDRESS_IN_USE or CONFIG_INVALID */
  async begin(wanted: PreparedAudit, sink: AuditSink): Promise<void> {
    this.#running = wanted;
    this.#metrics.recordAuditStats(wanted.collector.stats);
    try {
      await wanted.collector.begin(sink);
    } catch (error) {
      await this.stopOther(undefined);
      throw error;
    }
  }

  recordStats(): void {
    if (this.#running !== undefined) this.#metrics.recordAuditStats(this.#running.collector.stats);
  }
}
