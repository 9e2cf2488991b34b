import { z } from 'zod';
import type { Detection } from '../../collector/detection/detection.ts';
import { stringifyExact } from '../../collector/detection/json.ts';
import { authKeys, readAuth } from '../helper/auth.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import type { HttpResponse } from '../helper/http-client.ts';
import { httpExporter, jsonOf, reasonOf, responseOutcome } from '../helper/http-exporter.ts';
import type { ExportOutcome } from '../helper/outcome.ts';
import { readSecret, secretKeys } from '../helper/secret.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { readTls, tlsConfigSchema } from '../helper/tls.ts';
import type { StoredDetection } from '../store/stored-detection.ts';

export const elasticsearchConfigSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe('Elasticsearch or OpenSearch, such as https://elasticsearch:9200.'),
  index: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._{}yMd-]*$/, 'expected the name of an index, in lower case')
    .default('shikra-{yyyy.MM.dd}')
    .describe(
      'The index or data stream. In braces the date of the event, in UTC: `{yyyy.MM.dd}`, `{yyyy.MM}`, `{yyyy}`.',
    ),
  pipeline: z.string().min(1).optional().describe('An ingest pipeline that each document goes through.'),
  ...secretKeys('api_key', 'An API key, as Elasticsearch encodes it'),
  ...authKeys,
  tls: tlsConfigSchema.describe('For https.'),
  ...batchedDeliveryKeys(512, 5000),
});

export type ElasticsearchConfig = z.infer<typeof elasticsearchConfigSchema>;

export const component = {
  configSchema: elasticsearchConfigSchema,
  signals: ['logs'],
  create: createElasticsearchExporter,
} as const;

/** Detections as documents, by the bulk API. A document's id is the detection's uuid: sent twice, it is there once. */
export function createElasticsearchExporter(config: ElasticsearchConfig, context: ExporterContext): DeliveringExporter {
  const auth = readAuth(config, context.id);
  const key = readSecret(config, 'api_key', context.id);
  const query = config.pipeline === undefined ? '' : `?pipeline=${encodeURIComponent(config.pipeline)}`;
  return httpExporter({
    delivery: deliverySettings(config),
    secrets: [key, ...auth.secrets],
    tls: readTls(config.tls, context),
    request: (batch) => ({
      url: `${config.url.replace(/\/+$/, '')}/_bulk${query}`,
      headers: {
        'content-type': 'application/x-ndjson',
        ...auth.headers(),
        ...(key !== undefined && { authorization: `ApiKey ${key.get()}` }),
      },
      body: batch.map((item) => linesOf(item, config.index)).join(''),
      gzip: true,
    }),
    outcome: bulkOutcome,
  });
}

function linesOf({ detection }: StoredDetection, index: string): string {
  const action = { create: { _index: indexOf(detection, index), _id: detection.uuid } };
  return `${JSON.stringify(action)}\n${stringifyExact(documentOf(detection))}\n`;
}

function indexOf({ time }: Detection, index: string): string {
  return index.replace(/\{([^}]*)\}/g, (_, format: string) =>
    format.replace('yyyy', time.slice(0, 4)).replace('MM', time.slice(5, 7)).replace('dd', time.slice(8, 10)),
  );
}

/** Falco's alert, as Falcosidekick writes it, so that its dashboards keep working. */
function documentOf(detection: Detection): object {
  const { uuid, time, rule, priority, source, tags, hostname, output, output_fields } = detection;
  return { '@timestamp': time, uuid, time, rule, priority, source, tags, hostname, output, output_fields };
}

interface BulkItem {
  readonly status?: number;
  readonly error?: { readonly type?: string; readonly reason?: string };
}

/**
 * An answer of 200 has an outcome for each document. If one may go through later, the batch comes again: those that are there answer 409, which is as
 * good as taken. What is refused for good (a field of another type) is parked by itself.
 */
function bulkOutcome(response: HttpResponse, batch: readonly StoredDetection[]): ExportOutcome {
  if (response.status !== 200) return responseOutcome(response);
  const { items } = (jsonOf(response) ?? {}) as { items?: readonly Record<string, BulkItem>[] };
  if (items?.length !== batch.length)
    return { status: 'retryable', reason: reasonOf(response, 'expected an outcome for each document') };
  const results = items.map((item) => Object.values(item)[0] ?? {});
  const busy = results.find(({ status = 0 }) => status === 429 || status >= 500);
  if (busy !== undefined)
    return { status: 'retryable', reason: reasonOf({ ...response, status: busy.status ?? 0 }, errorOf(busy)) };
  const refused = results.flatMap((item, index) =>
    isTaken(item) ? [] : [{ index, reason: reasonOf({ ...response, status: item.status ?? 0 }, errorOf(item)) }],
  );
  return { status: 'success', ...(refused.length > 0 && { refused }) };
}

function isTaken({ status = 0 }: BulkItem): boolean {
  return (status >= 200 && status < 300) || status === 409;
}

function errorOf({ error }: BulkItem): string {
  return `${error?.type ?? 'no reason'}: ${error?.reason ?? ''}`;
}
