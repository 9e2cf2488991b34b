/** So many messages in this time; the rest is counted. */
const MOST = 10;
const WINDOW_MILLIS = 60_000;

/** Keeps a flood of bad input from being a flood of messages. Each is counted elsewhere. */
export class ProblemLog {
  readonly #write: (message: string) => void;
  #told = 0;
  #untold = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(write: (message: string) => void) {
    this.#write = write;
  }

  /** @param places from the outermost inwards; empty ones are left out */
  tell(places: readonly string[], message: string): void {
    this.#timer ??= setTimeout(() => this.close(), WINDOW_MILLIS).unref();
    if (this.#told === MOST) {
      this.#untold++;
      return;
    }
    this.#told++;
    this.#write([places.filter((place) => place !== '').join(' '), message].filter((part) => part !== '').join(': '));
  }

  /** Ends the time: tells how many were not told. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#untold > 0) this.#write(`${this.#untold} more problems of this kind were not told; all are counted`);
    this.#told = 0;
    this.#untold = 0;
  }
}
