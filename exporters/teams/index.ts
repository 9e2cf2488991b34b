import { z } from 'zod';
import type { Detection } from '../../collector/detection/detection.ts';
import type { Priority } from '../../collector/detection/priority.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import { httpExporter } from '../helper/http-exporter.ts';
import { needsSecret, requireSecret, secretKeys } from '../helper/secret.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { shownFields, subjectOf } from '../helper/subject.ts';
import { cutBytes } from '../helper/text.ts';
import type { StoredDetection } from '../store/stored-detection.ts';

export const teamsConfigSchema = z
  .strictObject({
    ...secretKeys(
      'webhook_url',
      'The address of a workflow that begins with "When a Teams webhook request is received"',
      z.url({ protocol: /^https?$/ }),
    ),
    ...batchedDeliveryKeys(5, 10),
  })
  .superRefine(needsSecret('webhook_url'));

export type TeamsConfig = z.infer<typeof teamsConfigSchema>;

export const component = { configSchema: teamsConfigSchema, signals: ['logs'], create: createTeamsExporter } as const;

/** Detections as one Adaptive Card. */
export function createTeamsExporter(config: TeamsConfig, { id }: ExporterContext): DeliveringExporter {
  const url = requireSecret(config, 'webhook_url', id);
  return httpExporter({
    delivery: deliverySettings(config),
    secrets: [url],
    request: (batch) => ({
      url: url.get(),
      headers: { 'content-type': 'application/json' },
      body: bodyOf(batch),
    }),
  });
}

/** Teams takes 28 KB. */
const LONGEST_BODY_BYTES = 27_000;
const ROOM_BYTES = 20_000;
const LONGEST_TITLE_BYTES = 400;
const LONGEST_FACT_BYTES = 200;
const MOST_FACTS = 10;

/** The five colours that an Adaptive Card's text may have. */
const COLORS: Readonly<Record<Priority, string>> = {
  Emergency: 'attention',
  Alert: 'attention',
  Critical: 'attention',
  Error: 'warning',
  Warning: 'warning',
  Notice: 'accent',
  Informational: 'good',
  Debug: 'default',
};

/** What Markdown and JSON make of a text depends on the text: if the card is too large, it is made again with shorter ones. */
function bodyOf(batch: readonly StoredDetection[]): string {
  for (let room = ROOM_BYTES; ; room /= 2) {
    const body = JSON.stringify(messageOf(batch, Math.floor(room / batch.length)));
    if (Buffer.byteLength(body) <= LONGEST_BODY_BYTES || room < 100) return body;
  }
}

function messageOf(batch: readonly StoredDetection[], room: number): object {
  const content = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    msteams: { width: 'Full' },
    body: batch.map(({ detection }) => containerOf(detection, room)),
  };
  return {
    type: 'message',
    attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content }],
  };
}

function containerOf(detection: Detection, room: number): object {
  const title = escapeMarkdown(
    cutBytes(`${detection.priority}: ${detection.rule}`, Math.min(LONGEST_TITLE_BYTES, Math.floor(room / 4))),
  );
  return {
    type: 'Container',
    separator: true,
    items: [
      { type: 'TextBlock', text: title, weight: 'bolder', color: COLORS[detection.priority], wrap: true },
      {
        type: 'TextBlock',
        text: escapeMarkdown(cutBytes(detection.output, Math.floor(room / 4))),
        fontType: 'monospace',
        wrap: true,
      },
      { type: 'FactSet', facts: factsOf(detection, Math.floor(room / 4)) },
    ],
  };
}

function factsOf(detection: Detection, room: number): object[] {
  const { host, namespace, workload } = subjectOf(detection);
  const named: [string, string | undefined][] = [
    ['host', host],
    ['namespace', namespace],
    ['workload', workload],
    ['time', detection.time],
    ['uid', detection.uuid],
    ['tags', detection.tags.join(', ')],
    ...shownFields(detection),
  ];
  const facts: object[] = [];
  let left = room;
  for (const [title, value] of named) {
    if (!value) continue;
    const short = escapeMarkdown(cutBytes(value, LONGEST_FACT_BYTES));
    left -= Buffer.byteLength(title) + Buffer.byteLength(short);
    if (left < 0 || facts.length === MOST_FACTS) break;
    facts.push({ title, value: short });
  }
  return facts;
}

/** Cards read Markdown: a command line must not become a link. */
function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_[\]()<>~#]/g, '\\$&');
}
