import type { HrTime } from '@opentelemetry/api';
import { ValueType } from '@opentelemetry/api';
import { hrTime, timeInputToHrTime } from '@opentelemetry/core';
import { emptyResource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import type { Registry } from 'prom-client';

interface PromValue {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

interface PromMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly PromValue[];
}

const STARTED: HrTime = timeInputToHrTime(Math.round(performance.timeOrigin));

/**
 * The registry behind /metrics as a source for OTLP: the same numbers under the same names, counted once. Summaries, which OTLP has no
 * instrument for, are left out.
 */
export class PromClientProducer implements MetricProducer {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  async collect(): Promise<CollectionResult> {
    const endTime = hrTime();
    const found = (await this.#registry.getMetricsAsJSON()) as unknown as PromMetric[];
    const metrics = found.flatMap((metric) => convert(metric, endTime));
    const scope = { name: 'shikra.metrics' };
    return { resourceMetrics: { resource: emptyResource(), scopeMetrics: [{ scope, metrics }] }, errors: [] };
  }
}

function convert(metric: PromMetric, endTime: HrTime): MetricData[] {
  const descriptor = { name: metric.name, description: metric.help, unit: '', valueType: ValueType.DOUBLE };
  const base = { descriptor, aggregationTemporality: AggregationTemporality.CUMULATIVE };
  const point = <T>(labels: PromValue['labels'], value: T) => ({
    startTime: STARTED,
    endTime,
    attributes: { ...labels },
    value,
  });
  switch (String(metric.type)) {
    case 'counter':
      return [
        {
          ...base,
          dataPointType: DataPointType.SUM,
          isMonotonic: true,
          dataPoints: metric.values.map(({ labels, value }) => point(labels, value)),
        },
      ];
    case 'gauge':
      return [
        {
          ...base,
          dataPointType: DataPointType.GAUGE,
          dataPoints: metric.values.map(({ labels, value }) => point(labels, value)),
        },
      ];
    case 'histogram':
      return [
        {
          ...base,
          dataPointType: DataPointType.HISTOGRAM,
          dataPoints: histograms(metric).map(({ labels, value }) => point(labels, value)),
        },
      ];
    default:
      return [];
  }
}

interface HistogramSeries {
  readonly labels: Record<string, string | number>;
  readonly value: { buckets: { boundaries: number[]; counts: number[] }; sum: number; count: number };
}

/** Prometheus' buckets are cumulated and lie in single values; OpenTelemetry's are neither. */
function histograms(metric: PromMetric): HistogramSeries[] {
  const series = new Map<string, HistogramSeries>();
  for (const { labels, value, metricName } of metric.values) {
    const { le, ...rest } = labels;
    const key = JSON.stringify(rest);
    const one = series.get(key) ?? {
      labels: rest,
      value: { buckets: { boundaries: [], counts: [] }, sum: 0, count: 0 },
    };
    series.set(key, one);
    if (metricName === `${metric.name}_sum`) one.value.sum = value;
    else if (metricName === `${metric.name}_count`) one.value.count = value;
    else {
      if (le !== '+Inf') one.value.buckets.boundaries.push(Number(le));
      one.value.buckets.counts.push(value);
    }
  }
  for (const { value } of series.values()) {
    value.buckets.counts = value.buckets.counts.map((count, index, all) => count - (all[index - 1] ?? 0));
  }
  return [...series.values()];
}
