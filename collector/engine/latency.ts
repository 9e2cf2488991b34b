import { type CollectorStats, LATENCY_BUCKETS_SECONDS } from '../telemetry/collector-stats.ts';

/** Counts how long detections took from the kernel's time to their leaving this thread. */
export class LatencyHistogram {
  readonly #counts = new Array<number>(LATENCY_BUCKETS_SECONDS.length + 1).fill(0);
  #sumSeconds = 0;

  observe(seconds: number): void {
    const bucket = LATENCY_BUCKETS_SECONDS.findIndex((bound) => seconds <= bound);
    const index = bucket < 0 ? LATENCY_BUCKETS_SECONDS.length : bucket;
    this.#counts[index] = this.#counts[index]! + 1;
    this.#sumSeconds += seconds;
  }

  snapshot(): CollectorStats['latency'] {
    return { counts: [...this.#counts], sumSeconds: this.#sumSeconds };
  }
}
