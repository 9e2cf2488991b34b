import type { ExportResult } from '@opentelemetry/core';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { DeliveringExporter, Exporter, ExporterContext } from '../helper/exporter.ts';
import type { ExportOutcome } from '../helper/outcome.ts';
import { deliverySettings } from '../helper/settings.ts';
import { type OtlpConfig, otlpConfigSchema } from './config.ts';
import { type Environment, resolveEndpoint } from './endpoint.ts';
import type { MetricsSender } from './metrics-sender.ts';
import { createLogsExporter, onPartialSuccess } from './official.ts';
import { outcomeOf } from './outcome.ts';

export { type OtlpConfig, otlpConfigSchema } from './config.ts';

export const component = {
  configSchema: otlpConfigSchema,
  signals: ['logs', 'metrics'],
  create: (config: OtlpConfig, context: ExporterContext) => createOtlpExporter(config, context),
} as const;

/**
 * Detections as OTLP logs and the agent's metrics as OTLP metrics, each if the exporter stands in that pipeline. Sending is the official
 * exporters' work; what they lack (durability, retries over gRPC, partial success) is the helper's.
 */
export function createOtlpExporter(
  config: OtlpConfig,
  context: ExporterContext,
  environment: Environment = process.env,
): Exporter {
  const metrics = context.signals.includes('metrics') ? lazyMetrics(config, context, environment) : undefined;
  if (context.signals.includes('logs')) return new LogsSender(config, context, environment, metrics);
  return { kind: 'serving', start: async () => metrics?.start(), shutdown: async () => metrics?.shutdown() };
}

type MetricsPart = Pick<MetricsSender, 'start' | 'shutdown'>;

/** The metrics SDK is loaded only by an agent that sends metrics. */
function lazyMetrics(config: OtlpConfig, context: ExporterContext, environment: Environment): MetricsPart {
  let sender: MetricsSender | undefined;
  return {
    async start() {
      const { MetricsSender } = await import('./metrics-sender.ts');
      sender ??= new MetricsSender(config, context, resolveEndpoint(config, 'metrics', environment));
      await sender.start();
    },
    shutdown: async () => sender?.shutdown(),
  };
}

class LogsSender implements DeliveringExporter {
  readonly kind = 'delivering';
  readonly delivery;
  readonly #config: OtlpConfig;
  readonly #context: ExporterContext;
  readonly #environment: Environment;
  readonly #metrics: MetricsPart | undefined;
  #exporter: LogRecordExporter | undefined;
  #protocol: 'grpc' | 'http/protobuf' = 'http/protobuf';
  #rejected: { count: number; reason: string } | undefined;

  constructor(
    config: OtlpConfig,
    context: ExporterContext,
    environment: Environment,
    metrics: MetricsPart | undefined,
  ) {
    this.#config = config;
    this.#context = context;
    this.#environment = environment;
    this.#metrics = metrics;
    // The official exporter keeps its own time limit; the helper's is only there should it not answer at all.
    this.delivery = { ...deliverySettings(config), timeoutMillis: config.timeout + 1000 };
  }

  async start(): Promise<void> {
    if (this.#exporter !== undefined) return;
    const endpoint = resolveEndpoint(this.#config, 'logs', this.#environment);
    this.#protocol = endpoint.protocol;
    this.#exporter = await createLogsExporter(endpoint, this.#context);
    onPartialSuccess(this.#exporter, (count, reason) => {
      this.#rejected = { count, reason };
    });
    await this.#metrics?.start();
  }

  async export(batch: Parameters<DeliveringExporter['export']>[0]): Promise<ExportOutcome> {
    const exporter = this.#exporter;
    if (exporter === undefined) return { status: 'retryable', reason: 'the exporter is not started' };
    this.#rejected = undefined;
    const records = batch.map((item) => item.record);
    const result = await new Promise<ExportResult>((resolve) => exporter.export(records, resolve));
    const outcome = outcomeOf(result, this.#protocol);
    return outcome.status === 'success' && this.#rejected !== undefined
      ? { ...outcome, rejected: this.#rejected }
      : outcome;
  }

  async shutdown(): Promise<void> {
    await this.#metrics?.shutdown();
    await this.#exporter?.shutdown();
    this.#exporter = undefined;
  }
}
