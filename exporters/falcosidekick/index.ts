import { z } from 'zod';
import { toFalcoJson } from '../../collector/detection/falco-json.ts';
import { authKeys, readAuth } from '../helper/auth.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import { httpExporter } from '../helper/http-exporter.ts';
import { deliveryKeys, deliverySettings } from '../helper/settings.ts';
import { readTls, tlsConfigSchema } from '../helper/tls.ts';

export const falcosidekickConfigSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe('Falcosidekick, such as http://falcosidekick:2801.'),
  ...authKeys,
  tls: tlsConfigSchema.describe('For https, also with a certificate of the agent (`tlsserver.mutualtls`).'),
  ...deliveryKeys,
});

export type FalcosidekickConfig = z.infer<typeof falcosidekickConfigSchema>;

export const component = {
  configSchema: falcosidekickConfigSchema,
  signals: ['logs'],
  create: createFalcosidekickExporter,
} as const;

/**
 * Detections to an existing Falcosidekick, as Falco sends them: one a request. Fields without a value are left out: Falcosidekick does nothing
 * with them, and one of them (`k8s.ns.name`) it expects to be text.
 */
export function createFalcosidekickExporter(config: FalcosidekickConfig, context: ExporterContext): DeliveringExporter {
  const auth = readAuth(config, context.id);
  return httpExporter({
    delivery: deliverySettings(config),
    secrets: auth.secrets,
    tls: readTls(config.tls, context),
    request([item]) {
      const { detection } = item!;
      const present = Object.entries(detection.output_fields).filter(([, value]) => value !== null);
      return {
        url: config.url,
        headers: { 'content-type': 'application/json', ...auth.headers() },
        body: toFalcoJson({ ...detection, output_fields: Object.fromEntries(present) }),
      };
    },
  });
}
