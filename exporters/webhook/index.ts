import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { authKeys, readAuth } from '../helper/auth.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import { httpExporter } from '../helper/http-exporter.ts';
import { needsSecret, readSecret, requireSecret, secretKeys } from '../helper/secret.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { readTls, tlsConfigSchema } from '../helper/tls.ts';
import type { StoredDetection } from '../store/stored-detection.ts';
import { type Body, createBody, FORMATS } from './body.ts';
import { unknownNames } from './template.ts';

export const webhookConfigSchema = z
  .strictObject({
    ...secretKeys('url', 'Where requests go', z.url({ protocol: /^https?$/ })),
    method: z.enum(['POST', 'PUT']).default('POST').describe('The method of the requests.'),
    format: z
      .enum(FORMATS)
      .default('json')
      .describe(
        "Falco's alert as JSON, the same inside a CloudEvent (structured mode), or a body of your own (`template`).",
      ),
    template: z
      .string()
      .min(1)
      .optional()
      .describe(
        'The body for `format: template`: `{{rule}}`, `{{output}}`, `{{proc.name}}`, ... are replaced, escaped as JSON text has to be.',
      ),
    content_type: z.string().min(1).optional().describe('Default: what the format demands.'),
    event_source: z
      .string()
      .min(1)
      .optional()
      .describe("The `source` of CloudEvents. Default: `/shikra/` and the host's name."),
    ...secretKeys('signing_secret', 'Requests are signed with it as the Standard Webhooks specification says'),
    ...authKeys,
    tls: tlsConfigSchema.describe('For https; with a certificate of the agent for mutual TLS.'),
    ...batchedDeliveryKeys(1, 1000),
  })
  .superRefine(needsSecret('url'))
  .superRefine(({ format, template, batch }, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', message });
    if ((format === 'template') !== (template !== undefined)) issue('needs `format: template` and `template` together');
    if (format === 'template' && batch.max_records > 1) issue('sends one detection a request with a template');
    for (const name of unknownNames(template ?? '')) issue(`has an unknown name in its template: {{${name}}}`);
  });

export type WebhookConfig = z.infer<typeof webhookConfigSchema>;

export const component = {
  configSchema: webhookConfigSchema,
  signals: ['logs'],
  create: createWebhookExporter,
} as const;

/** Detections to an address of one's own. With more than one in a request, the body is a JSON array. */
export function createWebhookExporter(config: WebhookConfig, context: ExporterContext): DeliveringExporter {
  const { id } = context;
  const url = requireSecret(config, 'url', id);
  const signing = readSecret(config, 'signing_secret', id);
  const auth = readAuth(config, id);
  const body: Body = createBody(config);
  return httpExporter({
    delivery: deliverySettings(config),
    secrets: [url, signing, ...auth.secrets],
    tls: readTls(config.tls, context),
    request(batch) {
      const text = body.text(batch);
      return {
        url: url.get(),
        method: config.method,
        headers: {
          'content-type': config.content_type ?? body.contentType,
          ...auth.headers(),
          ...(signing !== undefined && signature(signing.get(), batch, text)),
        },
        body: text,
      };
    },
  });
}

/** https://www.standardwebhooks.com: `v1,` and the HMAC-SHA256 of id, time and body. The id is the same for a repeated request. */
function signature(secret: string, batch: readonly StoredDetection[], body: string): Record<string, string> {
  const id = batch.length === 1 ? batch[0]!.uid : `${batch[0]!.uid}-${batch.length}`;
  const timestamp = String(Math.floor(Date.now() / 1000));
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret);
  const hmac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${hmac}` };
}
