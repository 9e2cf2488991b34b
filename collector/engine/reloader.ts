import { MessageChannel, Worker } from 'node:worker_threads';
import type { RulesRequest } from './load-rules.ts';
import type { CollectorThread } from './thread.ts';

/** How a reload ended. */
export type ReloadOutcome =
  | {
      readonly ok: true;
      readonly rules: readonly { readonly name: string; readonly priority: string; readonly source: string }[];
      readonly warnings: readonly string[];
      /** The longest that the collector was kept from its rings. */
      readonly longestPauseMillis: number;
    }
  | { readonly ok: false; readonly errors: readonly string[] };

/** Rule files that need more are refused; the agent goes on with the rules that it has. */
const MOST_HEAP_MIB = 768;

/** Loads rules aside and has the collector swap them in. One at a time; asked for meanwhile, it loads once more afterwards. */
export class RulesReloader {
  readonly #thread: Pick<CollectorThread, 'adopt'>;
  readonly #request: () => RulesRequest;
  readonly #onOutcome: (outcome: ReloadOutcome) => void;
  #running: Promise<void> | undefined;
  #again = false;

  /** @param request asked anew each time: folders come and go */
  constructor(
    thread: Pick<CollectorThread, 'adopt'>,
    request: () => RulesRequest,
    onOutcome: (outcome: ReloadOutcome) => void,
  ) {
    this.#thread = thread;
    this.#request = request;
    this.#onOutcome = onOutcome;
  }

  /** Settles when what was there at the call is in force, or refused. */
  reload(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      this.#onOutcome(await this.#reloadOnce());
    }
    this.#running = undefined;
  }

  async #reloadOnce(): Promise<ReloadOutcome> {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(new URL('./reload-worker.ts', import.meta.url), {
      name: 'rules',
      workerData: { request: this.#request(), port: port1 },
      transferList: [port1],
      resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MIB },
    });
    const failed = Promise.withResolvers<ReloadOutcome>();
    worker.once('error', (error) =>
      failed.resolve({ ok: false, errors: [`the rules could not be loaded: ${(error as Error).message}`] }),
    );
    try {
      return await Promise.race([this.#thread.adopt(port2), failed.promise]);
    } finally {
      await worker.terminate();
    }
  }
}
