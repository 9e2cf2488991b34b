import { Agent } from 'node:https';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import type { Endpoint } from './endpoint.ts';

// The official exporters, loaded when they are used: @grpc/grpc-js alone costs some 15 MB of memory.

export async function createLogsExporter(endpoint: Endpoint): Promise<LogRecordExporter> {
  if (endpoint.protocol === 'grpc') {
    const { OTLPLogExporter } = await import('@opentelemetry/exporter-logs-otlp-grpc');
    return new OTLPLogExporter(await grpcOptions(endpoint));
  }
  const { OTLPLogExporter } = await import('@opentelemetry/exporter-logs-otlp-proto');
  return new OTLPLogExporter(httpOptions(endpoint));
}

export async function createMetricsExporter(endpoint: Endpoint): Promise<PushMetricExporter> {
  if (endpoint.protocol === 'grpc') {
    const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-grpc');
    return new OTLPMetricExporter(await grpcOptions(endpoint));
  }
  const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-proto');
  return new OTLPMetricExporter(httpOptions(endpoint));
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

function httpOptions(endpoint: Endpoint) {
  const { tls, headers, url } = endpoint;
  const isTls = tls !== undefined && !url?.startsWith('http://');
  return {
    ...shared(endpoint),
    headers,
    ...(isTls && { httpAgentOptions: () => new Agent({ keepAlive: true, ...tls }) }),
  };
}

async function grpcOptions(endpoint: Endpoint) {
  const { credentials, Metadata } = await import('@grpc/grpc-js');
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(endpoint.headers)) metadata.set(name, value);
  const { tls } = endpoint;
  const secured = tls && { credentials: credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null) };
  return { ...shared(endpoint), metadata, ...secured };
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
