import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import type { ExporterContext } from '../helper/exporter.ts';
import type { OtlpConfig } from './config.ts';
import type { Endpoint } from './endpoint.ts';
import { createMetricsExporter } from './official.ts';
import { PromClientProducer } from './prom-producer.ts';

/** Sends the registry behind /metrics over OTLP, from time to time and once more at the end. */
export class MetricsSender {
  readonly #config: OtlpConfig;
  readonly #context: ExporterContext;
  readonly #endpoint: Endpoint;
  #provider: MeterProvider | undefined;

  constructor(config: OtlpConfig, context: ExporterContext, endpoint: Endpoint) {
    this.#config = config;
    this.#context = context;
    this.#endpoint = endpoint;
  }

  async start(): Promise<void> {
    if (this.#provider !== undefined) return;
    const { metrics, resource } = this.#context;
    const interval = this.#config.metrics_interval;
    const reader = new PeriodicExportingMetricReader({
      exporter: await createMetricsExporter(this.#endpoint, this.#context),
      exportIntervalMillis: interval,
      exportTimeoutMillis: Math.min(interval, this.#config.timeout),
      metricProducers: [new PromClientProducer(metrics.registry)],
    });
    this.#provider = new MeterProvider({ resource, readers: [reader] });
  }

  async shutdown(): Promise<void> {
    const provider = this.#provider;
    this.#provider = undefined;
    // Sends the last numbers; a receiver that is away must not hold up the end.
    await provider
      ?.shutdown()
      .catch((error: unknown) => this.#context.logger.warn({ err: error }, 'the last metrics were not sent'));
  }
}
