import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import type { ExporterContext } from '../helper/exporter.ts';
import { readTls, TlsAgent } from '../helper/tls.ts';
import type { Endpoint } from './endpoint.ts';

// The official exporters, loaded when they are used: @grpc/grpc-js alone costs some 15 MB of memory.

/** @throws ShikraError CONFIG_INVALID if a file of `tls` cannot be read */
export async function createLogsExporter(endpoint: Endpoint, context: ExporterContext): Promise<LogRecordExporter> {
  if (endpoint.protocol === 'grpc') {
    const { OTLPLogExporter } = await import('@opentelemetry/exporter-logs-otlp-grpc');
    return new OTLPLogExporter(await grpcOptions(endpoint, context));
  }
  const { OTLPLogExporter } = await import('@opentelemetry/exporter-logs-otlp-proto');
  return new OTLPLogExporter(httpOptions(endpoint, context));
}

/** The same for metrics. */
export async function createMetricsExporter(endpoint: Endpoint, context: ExporterContext): Promise<PushMetricExporter> {
  if (endpoint.protocol === 'grpc') {
    const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-grpc');
    return new OTLPMetricExporter(await grpcOptions(endpoint, context));
  }
  const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-proto');
  return new OTLPMetricExporter(httpOptions(endpoint, context));
}

type Compression = NonNullable<
  NonNullable<
    ConstructorParameters<typeof import('@opentelemetry/exporter-logs-otlp-proto').OTLPLogExporter>[0]
  >['compression']
>;

function shared(endpoint: Endpoint) {
  return {
    timeoutMillis: endpoint.timeoutMillis,
    ...(endpoint.url !== undefined && { url: endpoint.url }),
    ...(endpoint.compression !== undefined && { compression: endpoint.compression as Compression }),
  };
}

function httpOptions(endpoint: Endpoint, context: ExporterContext) {
  const { headers } = endpoint;
  const tls = endpoint.tls && readTls(endpoint.tls, context);
  return {
    ...shared(endpoint),
    headers,
    ...(tls !== undefined && { httpAgentOptions: () => new TlsAgent(tls, { keepAlive: true }) }),
  };
}

async function grpcOptions(endpoint: Endpoint, context: ExporterContext) {
  const { Metadata } = await import('@grpc/grpc-js');
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(endpoint.headers)) metadata.set(name, value);
  if (endpoint.tls === undefined) return { ...shared(endpoint), metadata };
  const { TlsChannelCredentials } = await import('./channel-credentials.ts');
  return { ...shared(endpoint), metadata, credentials: new TlsChannelCredentials(readTls(endpoint.tls, context)) };
}

interface PartialSuccess {
  readonly rejectedLogRecords?: number | string | bigint;
  readonly errorMessage?: string;
}

/**
 * Tells of a partial success, which the official exporters only log. There is no public way to learn of it, so the handler that logs it is replaced;
 * a test with a receiver that rejects records guards this against a new version.
 */
export function onPartialSuccess(exporter: LogRecordExporter, tell: (count: number, reason: string) => void): void {
  const { _delegate: delegate } = exporter as unknown as { _delegate?: { _responseHandler?: object } };
  if (delegate === undefined) return;
  delegate._responseHandler = {
    handleResponse(response: { partialSuccess?: PartialSuccess | null } | undefined) {
      const count = Number(response?.partialSuccess?.rejectedLogRecords ?? 0);
      const reason = response?.partialSuccess?.errorMessage ?? '';
      if (count > 0 || reason !== '') tell(count, reason);
    },
  };
}
