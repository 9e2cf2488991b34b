import { setImmediate as nextTurn } from 'node:timers/promises';
import { ProblemLog } from './engine/problem-log.ts';
import type { Pipeline } from './pipeline/index.ts';
import type { FalcoHttpOptions } from './sources/falco-http/index.ts';
import type { OtlpReceiverOptions } from './sources/otlp/index.ts';
import type { DetectionReceiver, ReceiverSink } from './sources/receiver.ts';
import type { Logger } from './telemetry/logger.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** A receiver of finished detections as the configuration has it: everything that it is made of. */
export type PlannedReceiver = { readonly id: string } & (
  | { readonly type: 'falco_http'; readonly options: FalcoHttpOptions }
  | { readonly type: 'otlp'; readonly options: OtlpReceiverOptions }
);

interface Running {
  readonly receiver: DetectionReceiver;
  readonly problems: ProblemLog;
  /** What it was made of. */
  readonly plan: string;
}

export interface NetworkReceiversDeps {
  readonly pipeline: Pipeline;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Holds the receivers of finished detections that run, and brings them to what a configuration wants. */
export class NetworkReceivers {
  readonly #deps: NetworkReceiversDeps;
  readonly #running = new Map<string, Running>();

  constructor(deps: NetworkReceiversDeps) {
    this.#deps = deps;
  }

  /** Stops those that are not wanted any more, or not as they are. What they had begun with is stored and answered first. */
  async stopOthers(wanted: readonly PlannedReceiver[]): Promise<void> {
    const plans = new Map(wanted.map((planned) => [planned.id, planOf(planned)]));
    const others = [...this.#running].filter(([id, { plan }]) => plans.get(id) !== plan);
    await Promise.all(others.map(([id, running]) => this.#stop(id, running)));
  }

  /** Starts those that do not run yet. @throws ShikraError CONFIG_INVALID or ADDRESS_IN_USE */
  async start(wanted: readonly PlannedReceiver[]): Promise<void> {
    for (const planned of wanted) if (!this.#running.has(planned.id)) await this.#start(planned);
  }

  stop(): Promise<void> {
    return this.stopOthers([]);
  }

  async #start(planned: PlannedReceiver): Promise<void> {
    const { id } = planned;
    const logger = this.#deps.logger.child({ component: id });
    const problems = new ProblemLog((message) => logger.warn(message));
    const receiver = await create(planned);
    await receiver.begin(this.#sink(id, logger, problems));
    this.#running.set(id, { receiver, problems, plan: planOf(planned) });
  }

  async #stop(id: string, { receiver, problems }: Running): Promise<void> {
    this.#running.delete(id);
    await receiver.stop();
    problems.close();
  }

  #sink(id: string, logger: Logger, problems: ProblemLog): ReceiverSink {
    const { pipeline, metrics } = this.#deps;
    metrics.declareReceiver(id);
    return {
      emit: (detection, record) => pipeline.emit(detection, id, record),
      async stored() {
        await nextTurn(); // at its end the store writes what all requests of this turn brought
        return !pipeline.store.failing && pipeline.store.flush();
      },
      count: (outcome, count = 1) => metrics.receiverRecords.inc({ receiver: id, outcome }, count),
      tell: (sender, message) => problems.tell([sender], message),
      logger,
    };
  }
}

/** Its code is loaded only where it is used. */
async function create({ type, options }: PlannedReceiver): Promise<DetectionReceiver> {
  if (type === 'otlp') {
    const { OtlpReceiver } = await import('./sources/otlp/index.ts');
    return new OtlpReceiver(options);
  }
  const { FalcoHttpReceiver } = await import('./sources/falco-http/index.ts');
  return new FalcoHttpReceiver(options);
}

function planOf({ type, options }: PlannedReceiver): string {
  return JSON.stringify([type, options]);
}
