interface Thread {
  readonly ts: string;
  readonly until: number;
}

const MOST_THREADS = 1000;

/** Which message a repeat answers to. In memory: after a restart the next detection begins a new thread. */
export class Threads {
  readonly #windowMillis: number;
  /** The oldest first. */
  readonly #threads = new Map<string, Thread>();

  constructor(windowMillis: number) {
    this.#windowMillis = windowMillis;
  }

  find(key: string): string | undefined {
    const thread = this.#threads.get(key);
    return thread !== undefined && Date.now() < thread.until ? thread.ts : undefined;
  }

  forget(key: string): void {
    this.#threads.delete(key);
  }

  /** A message was posted: the first of a thread, or an answer in one. */
  note(key: string, ts: string | undefined): void {
    if (ts === undefined || this.find(key) !== undefined) return;
    this.#threads.delete(key);
    this.#threads.set(key, { ts, until: Date.now() + this.#windowMillis });
    if (this.#threads.size > MOST_THREADS) this.#threads.delete(this.#threads.keys().next().value!);
  }
}
