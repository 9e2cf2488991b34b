import { z } from 'zod';
import { duration } from '../../collector/pipeline/units.ts';
import { batchConfigSchema, retryConfigSchema } from '../helper/settings.ts';

export const PROTOCOLS = ['grpc', 'http/protobuf'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export const otlpConfigSchema = z.strictObject({
  endpoint: z
    .url()
    .optional()
    .describe(
      'The receiver, e.g. http://localhost:4318. Over HTTP, v1/logs and v1/metrics are added. Default: OTEL_EXPORTER_OTLP_ENDPOINT, else localhost.',
    ),
  logs_endpoint: z
    .url()
    .optional()
    .describe('Another address for detections, taken as it is. Default: OTEL_EXPORTER_OTLP_LOGS_ENDPOINT.'),
  metrics_endpoint: z
    .url()
    .optional()
    .describe('Another address for metrics, taken as it is. Default: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT.'),
  protocol: z
    .enum(PROTOCOLS)
    .optional()
    .describe(
      'Default: OTEL_EXPORTER_OTLP_PROTOCOL; else grpc if the endpoint names port 4317, http/protobuf otherwise.',
    ),
  headers: z
    .record(z.string(), z.string())
    .default({})
    .describe('Sent with every request, e.g. for authentication. Added to OTEL_EXPORTER_OTLP_HEADERS.'),
  compression: z.enum(['gzip', 'none']).optional().describe('Default: OTEL_EXPORTER_OTLP_COMPRESSION, else none.'),
  timeout: duration().prefault('10s').describe('A request that takes longer counts as failed and is sent again.'),
  tls: z
    .strictObject({
      ca_file: z
        .string()
        .optional()
        .describe(
          'Certificates that the receiver is checked against, as PEM. Default: OTEL_EXPORTER_OTLP_CERTIFICATE, else the usual ones.',
        ),
      cert_file: z.string().optional().describe('The certificate that the agent shows, as PEM.'),
      key_file: z.string().optional().describe('Its key, as PEM.'),
    })
    .prefault({})
    .describe('For https endpoints.'),
  metrics_interval: duration()
    .prefault('60s')
    .describe('How often metrics are sent, if the exporter stands in the metrics pipeline.'),
  batch: batchConfigSchema.describe('How detections are put together.'),
  retry: retryConfigSchema.describe(
    'When a failed request is sent again. There is no last try: the store keeps the detections.',
  ),
});

export type OtlpConfig = z.infer<typeof otlpConfigSchema>;
