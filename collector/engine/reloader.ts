import { readRulesAside } from './load-aside.ts';
import type { RulesRequest } from './load-rules.ts';
import type { ReloadOutcome } from './messages.ts';
import { Repeatable } from './repeatable.ts';
import type { CollectorThread } from './thread.ts';

/** Loads rules aside and has the collector swap them in. One at a time; asked for meanwhile, it loads once more afterwards. */
export class RulesReloader {
  readonly #thread: Pick<CollectorThread, 'adopt'>;
  readonly #request: () => RulesRequest;
  readonly #reloads: Repeatable;

  /** @param request asked anew each time: folders come and go */
  constructor(
    thread: Pick<CollectorThread, 'adopt'>,
    request: () => RulesRequest,
    onOutcome: (outcome: ReloadOutcome) => void,
  ) {
    this.#thread = thread;
    this.#request = request;
    this.#reloads = new Repeatable(async () => onOutcome(await this.#reloadOnce()));
  }

  /** Settles when what was there at the call is in force, or refused. */
  reload(): Promise<void> {
    return this.#reloads.run();
  }

  async #reloadOnce(): Promise<ReloadOutcome> {
    const reading = await readRulesAside(this.#request());
    return this.#thread.adopt(await reading.bytes);
  }
}
