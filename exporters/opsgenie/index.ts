import { z } from 'zod';
import type { Detection } from '../../collector/detection/detection.ts';
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

const REGIONS = { us: 'https://api.opsgenie.com', eu: 'https://api.eu.opsgenie.com' } as const;

export const opsgenieConfigSchema = z
  .strictObject({
    ...secretKeys('api_key', 'The key of an API integration'),
    region: z.enum(['us', 'eu']).default('us').describe("Where Opsgenie keeps the account's data."),
    url: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Another address in the place of `region`: a gateway, or Jira Service Management.'),
    close_after: duration()
      .prefault('0s')
      .describe('So long after the last detection an alert is closed; 0s leaves that to people.'),
    ...deliveryKeys,
  })
  .superRefine(needsSecret('api_key'));

export type OpsgenieConfig = z.infer<typeof opsgenieConfigSchema>;

export const component = {
  configSchema: opsgenieConfigSchema,
  signals: ['logs'],
  create: createOpsgenieExporter,
} as const;

const PRIORITY: Readonly<Record<Priority, string>> = {
  Emergency: 'P1',
  Alert: 'P1',
  Critical: 'P2',
  Error: 'P3',
  Warning: 'P4',
  Notice: 'P5',
  Informational: 'P5',
  Debug: 'P5',
};

/** Characters, as the Alert API has them; more is refused or cut without a word. */
const LIMITS = {
  message: 130,
  description: 15_000,
  entity: 512,
  tags: 20,
  tag: 50,
  details: 8000,
  detail: 1000,
} as const;

/** Detections as alerts: one for each subject (`alias`), which repeats join. */
export function createOpsgenieExporter(config: OpsgenieConfig, context: ExporterContext): DeliveringExporter {
  const key = requireSecret(config, 'api_key', context.id);
  const url = `${(config.url ?? REGIONS[config.region]).replace(/\/+$/, '')}/v2/alerts`;
  let send: ((request: HttpRequest) => Promise<HttpResponse>) | undefined;
  const request = (path: string, body: object): HttpRequest => ({
    url: `${url}${path}`,
    headers: { 'content-type': 'application/json', authorization: `GenieKey ${key.get()}` },
    body: JSON.stringify(body),
  });
  const alerts = new OpenIncidents({
    quietMillis: config.close_after,
    context,
    resolve: async (alias) =>
      responseOutcome(await send!(request(`/${alias}/close?identifierType=alias`, { source: 'shikra' }))),
  });

  return httpExporter({
    delivery: deliverySettings(config),
    secrets: [key],
    request: ([item]) => request('', alertOf(item!.detection)),
    delivered: ([item]) => alerts.seen(fingerprint(item!.detection)),
    start(own) {
      send = own;
      alerts.start();
    },
    stop: () => alerts.stop(),
  });
}

function alertOf(detection: Detection): object {
  const { rule, host, namespace, workload } = subjectOf(detection);
  const where = [namespace, workload].filter((part) => part !== undefined).join('/');
  return {
    message: cut(`${rule}${host === '' ? '' : ` on ${host}`}`, LIMITS.message),
    alias: fingerprint(detection),
    description: cut(`${detection.output}\n\n${detection.description}`.trim(), LIMITS.description),
    priority: PRIORITY[detection.priority],
    entity: cut(where === '' ? host : where, LIMITS.entity),
    source: 'shikra',
    tags: detection.tags.slice(0, LIMITS.tags).map((tag) => cut(tag, LIMITS.tag)),
    details: detailsOf(detection),
  };
}

/** As many fields as there is room for. */
function detailsOf(detection: Detection): Record<string, string> {
  const all: [string, string][] = [
    ['priority', detection.priority],
    ['source', detection.source],
    ['time', detection.time],
    ['uuid', detection.uuid],
    ...shownFields(detection),
  ];
  let room: number = LIMITS.details;
  const details: Record<string, string> = {};
  for (const [name, value] of all) {
    const short = cut(value, LIMITS.detail);
    room -= name.length + short.length;
    if (room < 0) break;
    details[name] = short;
  }
  return details;
}
