import type { Metric, Registry } from 'prom-client';

/**
 * A histogram whose counts are made elsewhere (in the collector thread) and only shown here. prom-client's own can only `observe`
 * single values, which would lose the exact sum.
 */
export class CumulativeHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #bounds: readonly number[];
  #counts: number[];
  #sum = 0;

  constructor(name: string, help: string, bounds: readonly number[], registry: Registry) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
    registry.registerMetric(this as unknown as Metric<string>);
  }

  /** Adds to each bucket (not cumulated, the last is beyond all bounds) and to the sum. */
  add(counts: readonly number[], sum: number): void {
    for (let index = 0; index < this.#counts.length; index++) this.#counts[index]! += counts[index] ?? 0;
    this.#sum += sum;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#sum = 0;
  }

  /** prom-client's contract for a metric. */
  get(): object {
    let total = 0;
    const buckets = this.#counts.map((count, index) => {
      total += count;
      return { metricName: `${this.name}_bucket`, labels: { le: this.#bounds[index] ?? '+Inf' }, value: total };
    });
    const values = [
      ...buckets,
      { metricName: `${this.name}_sum`, labels: {}, value: this.#sum },
      { metricName: `${this.name}_count`, labels: {}, value: total },
    ];
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }
}
