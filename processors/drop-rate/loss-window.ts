/** Counts since start; they only grow. */
export interface LossCounts {
  /** Events that arrived. */
  readonly events: number;
  /** Events that were lost before. */
  readonly dropped: number;
}

/** Losses within the window. */
export interface Loss {
  readonly dropped: number;
  /** Lost events of all that happened: 0 to 1. */
  readonly ratio: number;
}

interface Sample extends LossCounts {
  readonly at: number;
}

/** The difference between now and a window ago of counts that only grow. */
export class LossWindow {
  readonly #windowMillis: number;
  readonly #stepMillis: number;
  /** Oldest first, never empty. Counts start at 0. */
  #samples: [Sample, ...Sample[]] = [{ events: 0, dropped: 0, at: Number.NEGATIVE_INFINITY }];

  constructor(windowMillis: number) {
    this.#windowMillis = windowMillis;
    this.#stepMillis = windowMillis / 20;
  }

  /** Takes the counts at `at` and says what was lost in the window that ends there. */
  update(counts: LossCounts, at: number): Loss {
    let last = this.#samples.at(-1)!;
    if (counts.events < last.events || counts.dropped < last.dropped) {
      // A collector that was started anew counts from 0 again.
      last = { events: 0, dropped: 0, at };
      this.#samples = [last];
    }
    this.#forgetBefore(at - this.#windowMillis);
    const [oldest] = this.#samples;
    if (at - last.at >= this.#stepMillis) this.#samples.push({ ...counts, at });
    const dropped = counts.dropped - oldest.dropped;
    const all = dropped + counts.events - oldest.events;
    return { dropped, ratio: all === 0 ? 0 : dropped / all };
  }

  /** Keeps the last sample before the window's start: it is what the window is compared with. */
  #forgetBefore(start: number): void {
    while ((this.#samples[1]?.at ?? Number.POSITIVE_INFINITY) <= start) this.#samples.shift();
  }
}
