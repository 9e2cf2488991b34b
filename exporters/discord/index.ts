import { z } from 'zod';
import type { Detection } from '../../collector/detection/detection.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import type { HttpResponse } from '../helper/http-client.ts';
import { httpExporter, jsonOf, reasonOf, responseOutcome } from '../helper/http-exporter.ts';
import type { ExportOutcome } from '../helper/outcome.ts';
import { PRIORITY_COLORS } from '../helper/priority-colors.ts';
import { needsSecret, requireSecret, secretKeys } from '../helper/secret.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { shownFields, subjectOf } from '../helper/subject.ts';
import { cut } from '../helper/text.ts';
import type { StoredDetection } from '../store/stored-detection.ts';

export const discordConfigSchema = z
  .strictObject({
    ...secretKeys('webhook_url', "The address of a channel's webhook", z.url({ protocol: /^https?$/ })),
    ...batchedDeliveryKeys(5, 10),
  })
  .superRefine(needsSecret('webhook_url'));

export type DiscordConfig = z.infer<typeof discordConfigSchema>;

export const component = {
  configSchema: discordConfigSchema,
  signals: ['logs'],
  create: createDiscordExporter,
} as const;

/** Detections as embeds of one message. */
export function createDiscordExporter(config: DiscordConfig, { id }: ExporterContext): DeliveringExporter {
  const url = requireSecret(config, 'webhook_url', id);
  return httpExporter({
    delivery: deliverySettings(config),
    secrets: [url],
    request: (batch) => ({
      url: url.get(),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(messageOf(batch)),
    }),
    outcome: discordOutcome,
  });
}

// Discord's limits: 10 embeds, 6000 characters in all of them; of one, 256 in the title, 4096 in the description, 25 fields of 256 and 1024.
const ROOM = 5800;
const LONGEST_TITLE = 256;
const LONGEST_FIELD = 200;
const MOST_FIELDS = 25;

/** Nobody is mentioned, whatever a file name says. */
function messageOf(batch: readonly StoredDetection[]): object {
  const room = Math.floor(ROOM / batch.length);
  return { allowed_mentions: { parse: [] }, embeds: batch.map(({ detection }) => embedOf(detection, room)) };
}

function embedOf(detection: Detection, room: number): object {
  const title = cut(`${detection.priority}: ${detection.rule}`, Math.min(LONGEST_TITLE, Math.floor(room / 4)));
  const code = cut(detection.output.replaceAll('```', "'''"), Math.floor(room / 2));
  const description = `\`\`\`\n${code}\n\`\`\``;
  const footer = { text: `uid: ${detection.uuid}` };
  let left = room - title.length - description.length - footer.text.length;
  const fields: object[] = [];
  for (const [name, value] of fieldsOf(detection)) {
    const field = { name: cut(name, LONGEST_FIELD), value: cut(value, LONGEST_FIELD), inline: true };
    left -= field.name.length + field.value.length;
    if (left < 0 || fields.length === MOST_FIELDS) break;
    fields.push(field);
  }
  const color = Number.parseInt(PRIORITY_COLORS[detection.priority].slice(1), 16);
  return { title, description, color, timestamp: detection.time, footer, fields };
}

function fieldsOf(detection: Detection): [string, string][] {
  const { host, namespace, workload } = subjectOf(detection);
  const named: [string, string | undefined][] = [
    ['host', host],
    ['namespace', namespace],
    ['workload', workload],
    ['tags', detection.tags.join(', ')],
    ...shownFields(detection),
  ];
  return named.flatMap(([name, value]) => (value ? [[name, value] as [string, string]] : []));
}

/** How long to wait stands in the body too, with more precision than in the header. */
function discordOutcome(response: HttpResponse): ExportOutcome {
  if (response.status !== 429) return responseOutcome(response);
  const { retry_after: seconds } = (jsonOf(response) ?? {}) as { retry_after?: unknown };
  if (typeof seconds !== 'number') return responseOutcome(response);
  return { status: 'retryable', reason: reasonOf(response, 'rate limited'), afterMillis: Math.ceil(seconds * 1000) };
}
