import { z } from 'zod';
import type { Detection } from '../../collector/detection/detection.ts';
import { stringifyExact } from '../../collector/detection/json.ts';
import type { Priority } from '../../collector/detection/priority.ts';
import { duration } from '../../collector/pipeline/units.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import type { HttpRequest, HttpResponse } from '../helper/http-client.ts';
import { httpExporter, responseOutcome } from '../helper/http-exporter.ts';
import { OpenIncidents } from '../helper/open-incidents.ts';
import { needsSecret, requireSecret, secretKeys } from '../helper/secret.ts';
import { deliveryKeys, deliverySettings } from '../helper/settings.ts';
import { fingerprint, shownFields, subjectOf } from '../helper/subject.ts';
import { cut } from '../helper/text.ts';

const REGIONS = { us: 'https://events.pagerduty.com', eu: 'https://events.eu.pagerduty.com' } as const;

export const pagerdutyConfigSchema = z
  .strictObject({
    ...secretKeys('routing_key', "The integration key of the service's Events API v2"),
    region: z.enum(['us', 'eu']).default('us').describe("Where PagerDuty keeps the account's data."),
    url: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Another address in the place of `region`: a gateway of your own.'),
    resolve_after: duration()
      .prefault('0s')
      .describe('So long after the last detection an incident is resolved; 0s leaves that to people.'),
    ...deliveryKeys,
  })
  .superRefine(needsSecret('routing_key'));

export type PagerdutyConfig = z.infer<typeof pagerdutyConfigSchema>;

export const component = {
  configSchema: pagerdutyConfigSchema,
  signals: ['logs'],
  create: createPagerdutyExporter,
} as const;

const SEVERITY: Readonly<Record<Priority, string>> = {
  Emergency: 'critical',
  Alert: 'critical',
  Critical: 'critical',
  Error: 'error',
  Warning: 'warning',
  Notice: 'info',
  Informational: 'info',
  Debug: 'info',
};

// Limits of the Events API v2: a summary of 1024 characters, an event of 512 KB.
const LONGEST_SUMMARY = 1024;
const LONGEST_DETAIL = 4096;

/** Detections as incidents: one for each subject, which repeats join. */
export function createPagerdutyExporter(config: PagerdutyConfig, context: ExporterContext): DeliveringExporter {
  const key = requireSecret(config, 'routing_key', context.id);
  const url = `${(config.url ?? REGIONS[config.region]).replace(/\/+$/, '')}/v2/enqueue`;
  let send: ((request: HttpRequest) => Promise<HttpResponse>) | undefined;
  const event = (action: 'trigger' | 'resolve', dedupKey: string, more: object): HttpRequest => ({
    url,
    headers: { 'content-type': 'application/json' },
    body: stringifyExact({ routing_key: key.get(), event_action: action, dedup_key: dedupKey, ...more }),
  });
  const incidents = new OpenIncidents({
    quietMillis: config.resolve_after,
    context,
    resolve: async (dedupKey) => responseOutcome(await send!(event('resolve', dedupKey, {}))),
  });

  return httpExporter({
    delivery: deliverySettings(config),
    secrets: [key],
    request: ([item]) => event('trigger', fingerprint(item!.detection), triggerOf(item!.detection)),
    delivered: ([item]) => incidents.seen(fingerprint(item!.detection)),
    start(own) {
      send = own;
      incidents.start();
    },
    stop: () => incidents.stop(),
  });
}

function triggerOf(detection: Detection): object {
  const { source, host, namespace, workload } = subjectOf(detection);
  const fields = shownFields(detection).map(([name, value]) => [name, cut(value, LONGEST_DETAIL)]);
  return {
    client: 'Shikra',
    payload: {
      summary: cut(`${detection.priority}: ${detection.rule}: ${detection.output}`, LONGEST_SUMMARY),
      source: host === '' ? 'shikra' : host,
      severity: SEVERITY[detection.priority],
      timestamp: detection.time,
      ...(workload !== undefined && { component: workload }),
      ...(namespace !== undefined && { group: namespace }),
      class: detection.rule,
      custom_details: {
        rule: detection.rule,
        priority: detection.priority,
        source,
        tags: detection.tags,
        uuid: detection.uuid,
        output: cut(detection.output, LONGEST_DETAIL),
        description: cut(detection.description, LONGEST_DETAIL),
        fields: Object.fromEntries(fields.slice(0, 64)),
      },
    },
  };
}
