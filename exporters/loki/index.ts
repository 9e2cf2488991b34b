import { z } from 'zod';
import { toFalcoJson } from '../../collector/detection/falco-json.ts';
import type { Priority } from '../../collector/detection/priority.ts';
import { authKeys, readAuth } from '../helper/auth.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import { httpExporter } from '../helper/http-exporter.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { subjectOf } from '../helper/subject.ts';
import { readTls, tlsConfigSchema } from '../helper/tls.ts';
import type { StoredDetection } from '../store/stored-detection.ts';

/** What may become a label: each has few values. A pod, a process or a file never may; they are structured metadata. */
const LABELS = ['level', 'priority', 'source', 'host', 'namespace', 'rule'] as const;
type Label = (typeof LABELS)[number];

/** With more a stream is hardly ever longer than a line, and Loki slows down. */
const MOST_LABELS = 6;

export const lokiConfigSchema = z
  .strictObject({
    url: z.url({ protocol: /^https?$/ }).describe('Loki, such as http://loki:3100; /loki/api/v1/push is added.'),
    tenant: z.string().min(1).optional().describe('Sent as X-Scope-OrgID, where Loki has several tenants.'),
    labels: z
      .array(z.enum(LABELS))
      .default(['level', 'priority', 'source', 'host', 'namespace'])
      .describe('What of a detection is a label; everything is structured metadata.'),
    static_labels: z
      .record(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'expected the name of a label'), z.string())
      .default({ service_name: 'shikra' })
      .describe('Labels that every line has. Without `service_name` Loki makes one up.'),
    format: z.enum(['text', 'json']).default('text').describe("The line: the rule's output, or Falco's JSON."),
    ...authKeys,
    tls: tlsConfigSchema.describe('For https.'),
    ...batchedDeliveryKeys(512, 5000),
  })
  .superRefine(({ labels, static_labels }, context) => {
    const count = new Set([...labels, ...Object.keys(static_labels)]).size;
    if (count > MOST_LABELS)
      context.addIssue({ code: 'custom', message: `has ${count} labels, Loki bears ${MOST_LABELS}: leave some out` });
  });

export type LokiConfig = z.infer<typeof lokiConfigSchema>;

export const component = { configSchema: lokiConfigSchema, signals: ['logs'], create: createLokiExporter } as const;

/** Detections as lines of Loki's push API, with all that is known of them as structured metadata. */
export function createLokiExporter(config: LokiConfig, context: ExporterContext): DeliveringExporter {
  const auth = readAuth(config, context.id);
  return httpExporter({
    delivery: deliverySettings(config),
    secrets: auth.secrets,
    tls: readTls(config.tls, context),
    request: (batch) => ({
      url: `${config.url.replace(/\/+$/, '')}/loki/api/v1/push`,
      headers: {
        'content-type': 'application/json',
        ...(config.tenant !== undefined && { 'x-scope-orgid': config.tenant }),
        ...auth.headers(),
      },
      body: JSON.stringify({ streams: streamsOf(batch, config) }),
      gzip: true,
    }),
  });
}

type Line = [nanos: string, line: string, metadata: Record<string, string>];

interface Stream {
  readonly stream: Record<string, string>;
  readonly values: Line[];
}

function streamsOf(batch: readonly StoredDetection[], config: LokiConfig): Stream[] {
  const streams = new Map<string, Stream>();
  for (const item of batch) {
    const labels = labelsOf(item, config);
    const key = JSON.stringify(labels);
    const stream = streams.get(key) ?? { stream: labels, values: [] };
    streams.set(key, stream);
    stream.values.push(lineOf(item, config));
  }
  return [...streams.values()];
}

/** The words that Grafana has colours for. */
const LEVELS: Readonly<Record<Priority, string>> = {
  Emergency: 'critical',
  Alert: 'critical',
  Critical: 'critical',
  Error: 'error',
  Warning: 'warn',
  Notice: 'info',
  Informational: 'info',
  Debug: 'debug',
};

function labelsOf({ detection }: StoredDetection, config: LokiConfig): Record<string, string> {
  const { rule, source, host, namespace } = subjectOf(detection);
  const values: Readonly<Record<Label, string | undefined>> = {
    level: LEVELS[detection.priority],
    priority: detection.priority.toLowerCase(),
    source,
    host,
    namespace,
    rule,
  };
  // Loki refuses an empty value.
  const chosen = config.labels.flatMap((name) => (values[name] ? [[name, values[name]]] : []));
  return { ...config.static_labels, ...Object.fromEntries(chosen) };
}

function lineOf({ detection, record }: StoredDetection, config: LokiConfig): Line {
  const [seconds, nanos] = record.hrTime;
  const line = config.format === 'json' ? toFalcoJson(detection) : detection.output;
  const attributes = { ...record.resource.attributes, ...record.attributes };
  return [`${seconds}${String(nanos).padStart(9, '0')}`, line, metadataOf(attributes, config.static_labels)];
}

/** Attributes, named as Loki names them when they come over OTLP, so that one query does for both ways. What is a label is not said again. */
function metadataOf(
  attributes: Readonly<Record<string, unknown>>,
  labels: Readonly<Record<string, string>>,
): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [attribute, value] of Object.entries(attributes)) {
    const name = metadataName(attribute);
    if (!Object.hasOwn(labels, name)) metadata[name] = typeof value === 'string' ? value : JSON.stringify(value);
  }
  return metadata;
}

const metadataNames = new Map<string, string>();

function metadataName(attribute: string): string {
  const known = metadataNames.get(attribute);
  if (known !== undefined) return known;
  const name = attribute.replace(/[^a-zA-Z0-9_]/g, '_');
  if (metadataNames.size < 10_000) metadataNames.set(attribute, name);
  return name;
}
