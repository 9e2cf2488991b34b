import assert from 'node:assert/strict';
import { z } from 'zod';
import type { Answer, ReceivedRequest } from '../fixtures/http-receiver.ts';

/** A kind of receiver: how an exporter is pointed at it, and what its published interface demands of a request. */
export interface Sink {
  readonly type: string;
  readonly name: string;
  config(url: string): object;
  check(request: ReceivedRequest): void;
  accept?(request: ReceivedRequest): Answer;
  /** Its requests are not in the order of detections inside: it sorts them itself. */
  readonly isGrouped?: boolean;
  /** How it says "not now", of all or of a part, in an answer with status 200; undefined if it does not. */
  readonly later?: (request: ReceivedRequest) => Answer;
  /** How it says that a request is too large; undefined if each request is one detection. */
  readonly tooLarge?: Answer;
}

const text = (most: number) => z.string().min(1).max(most);

// https://api.slack.com/reference/block-kit/blocks: 50 blocks; section 3000; context 10 elements; chat.postMessage text 40,000.
const slackMessage = z.strictObject({
  text: text(4000),
  attachments: z
    .array(
      z.strictObject({
        color: z.string().regex(/^#[0-9a-f]{6}$/),
        fallback: text(4000),
        blocks: z.array(
          z.discriminatedUnion('type', [
            z.strictObject({
              type: z.literal('section'),
              text: z.strictObject({ type: z.literal('mrkdwn'), text: text(3000) }),
            }),
            z.strictObject({
              type: z.literal('context'),
              elements: z
                .array(z.strictObject({ type: z.literal('plain_text'), emoji: z.boolean(), text: text(2000) }))
                .min(1)
                .max(10),
            }),
          ]),
        ),
      }),
    )
    .min(1)
    .max(20),
  channel: text(100).optional(),
  thread_ts: text(30).optional(),
  unfurl_links: z.boolean().optional(),
});

function checkSlack({ body }: ReceivedRequest): void {
  const message = slackMessage.parse(JSON.parse(body));
  assert.ok(message.attachments.flatMap(({ blocks }) => blocks).length <= 50, 'at most 50 blocks');
  const formatted = message.attachments.flatMap(({ fallback, blocks }) => [
    fallback,
    ...blocks.flatMap((block) => (block.type === 'section' ? [block.text.text] : [])),
  ]);
  for (const each of [message.text, ...formatted])
    assert.doesNotMatch(each, /[<>]/, 'no mention and no link out of a file name');
}

// https://docs.discord.com/developers/resources/message#embed-object-embed-limits
const discordMessage = z.strictObject({
  allowed_mentions: z.strictObject({ parse: z.array(z.string()).length(0) }),
  embeds: z
    .array(
      z.strictObject({
        title: text(256),
        description: text(4096),
        color: z.int().min(0).max(0xffffff),
        timestamp: z.iso.datetime(),
        footer: z.strictObject({ text: text(2048) }),
        fields: z.array(z.strictObject({ name: text(256), value: text(1024), inline: z.boolean() })).max(25),
      }),
    )
    .min(1)
    .max(10),
});

function checkDiscord({ body }: ReceivedRequest): void {
  const { embeds } = discordMessage.parse(JSON.parse(body));
  const texts = embeds.flatMap(({ title, description, footer, fields }) => [
    title,
    description,
    footer.text,
    ...fields.flatMap(({ name, value }) => [name, value]),
  ]);
  assert.ok(texts.join('').length <= 6000, 'at most 6000 characters in all embeds');
}

// https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using: 28 KB.
const textBlock = z.looseObject({ type: z.literal('TextBlock'), text: text(28_000) });
const teamsMessage = z.strictObject({
  type: z.literal('message'),
  attachments: z.tuple([
    z.strictObject({
      contentType: z.literal('application/vnd.microsoft.card.adaptive'),
      contentUrl: z.null(),
      content: z.looseObject({
        type: z.literal('AdaptiveCard'),
        version: z.enum(['1.4', '1.5']),
        body: z
          .array(
            z.looseObject({
              type: z.literal('Container'),
              items: z.tuple([
                textBlock.extend({ color: z.enum(['attention', 'warning', 'accent', 'good', 'default']) }),
                textBlock,
                z.strictObject({
                  type: z.literal('FactSet'),
                  facts: z.array(z.strictObject({ title: text(300), value: text(1000) })),
                }),
              ]),
            }),
          )
          .min(1),
      }),
    }),
  ]),
});

function checkTeams({ body }: ReceivedRequest): void {
  assert.ok(Buffer.byteLength(body) <= 28 * 1024, `at most 28 KB, got ${Buffer.byteLength(body)}`);
  teamsMessage.parse(JSON.parse(body));
}

// https://developer.pagerduty.com/docs/events-api-v2/trigger-events: 512 KB; summary 1024; dedup_key 255.
const pagerdutyEvent = z.strictObject({
  routing_key: z.literal('R0123456789'),
  event_action: z.literal('trigger'),
  dedup_key: text(255),
  client: z.string(),
  payload: z.strictObject({
    summary: text(1024),
    source: text(1024),
    severity: z.enum(['critical', 'error', 'warning', 'info']),
    timestamp: z.iso.datetime(),
    component: z.string().optional(),
    group: z.string().optional(),
    class: z.string(),
    custom_details: z.record(z.string(), z.unknown()),
  }),
});

// https://docs.opsgenie.com/docs/alert-api#create-alert
const opsgenieAlert = z.strictObject({
  message: text(130),
  alias: text(512),
  description: z.string().max(15_000),
  priority: z.enum(['P1', 'P2', 'P3', 'P4', 'P5']),
  entity: z.string().max(512),
  source: text(100),
  tags: z.array(text(50)).max(20),
  details: z
    .record(z.string(), z.string())
    .refine((details) => Object.entries(details).flat().join('').length <= 8000, 'at most 8000 characters'),
});

// https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs; limits_config's defaults: 15 labels, 128 entries and 64 KB of metadata.
const lokiPush = z.strictObject({
  streams: z
    .array(
      z.strictObject({
        stream: z
          .record(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/), z.string().min(1).max(2048))
          .refine((labels) => Object.keys(labels).length <= 6, 'at most 6 labels'),
        values: z
          .array(
            z.tuple([
              z.string().regex(/^\d{19}$/),
              z.string().max(256 * 1024),
              z
                .record(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/), z.string())
                .refine((metadata) => Object.keys(metadata).length <= 128, 'at most 128 entries')
                .refine((metadata) => JSON.stringify(metadata).length <= 64 * 1024, 'at most 64 KB'),
            ]),
          )
          .min(1),
      }),
    )
    .min(1),
});

// https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (postableAlerts)
const labelSet = z.record(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/), z.string().min(1));
const alerts = z
  .array(
    z.strictObject({
      labels: labelSet.refine((labels) => labels.alertname !== undefined && Object.keys(labels).length <= 8),
      annotations: labelSet,
      startsAt: z.iso.datetime(),
      endsAt: z.iso.datetime(),
      generatorURL: z.url().optional(),
    }),
  )
  .min(1);

// types.FalcoPayload of Falcosidekick: what it answers 400 to, and what it cannot bear.
const falcoAlert = z.strictObject({
  hostname: z.string(),
  output: z.string(),
  output_fields: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))
    .refine((fields) => Object.keys(fields).length > 0, 'not empty'),
  priority: z.enum(['Emergency', 'Alert', 'Critical', 'Error', 'Warning', 'Notice', 'Informational', 'Debug']),
  rule: z.string().min(1),
  source: z.string(),
  tags: z.array(z.string()),
  time: z.iso.datetime(),
  uuid: z.uuid(),
});

const cloudEvent = z.strictObject({
  specversion: z.literal('1.0'),
  id: z.uuid(),
  source: z.string().min(1),
  type: z.string().min(1),
  subject: z.string().min(1),
  time: z.iso.datetime(),
  datacontenttype: z.literal('application/json'),
  data: z.object({ rule: z.string(), priority: z.string() }),
});

const parses = (schema: z.ZodType) => (request: ReceivedRequest) => void schema.parse(JSON.parse(request.body));

function bulkLines(body: string): [action: { create: { _index: string; _id: string } }, document: object][] {
  assert.ok(body.endsWith('\n'), 'the last line ends');
  const lines = body.trimEnd().split('\n');
  assert.equal(lines.length % 2, 0);
  return Array.from({ length: lines.length / 2 }, (_, index) => [
    JSON.parse(lines[2 * index]!),
    JSON.parse(lines[2 * index + 1]!),
  ]);
}

export const bulkAnswer = (request: ReceivedRequest, statusOf: (index: number) => number = () => 201): Answer => ({
  status: 200,
  body: JSON.stringify({
    items: bulkLines(request.body).map((_, index) => {
      const status = statusOf(index);
      const error = { type: 'document_parsing_exception', reason: 'failed to parse field [proc.pid]' };
      return { create: { status, ...(status >= 300 && { error }) } };
    }),
  }),
});

function checkBulk({ body, headers, path }: ReceivedRequest): void {
  assert.equal(path, '/_bulk');
  assert.equal(headers['content-type'], 'application/x-ndjson');
  for (const [action, document] of bulkLines(body)) {
    assert.match(action.create._index, /^shikra-\d{4}\.\d\d\.\d\d$/);
    assert.match(action.create._id, /^[0-9a-f-]{36}$/);
    assert.ok('@timestamp' in document);
  }
}

export const SINKS: readonly Sink[] = [
  {
    type: 'slack',
    name: 'slack by webhook',
    config: (url) => ({ webhook_url: `${url}/services/T0/B0/secretsecret` }),
    check: checkSlack,
    accept: () => ({ status: 200, body: 'ok' }),
    tooLarge: { status: 413, body: 'invalid_payload' },
  },
  {
    type: 'slack',
    name: 'slack by bot',
    config: (url) => ({ token: 'secretsecret', channel: 'C1', api_url: url }),
    check: checkSlack,
    accept: () => ({ status: 200, body: JSON.stringify({ ok: true, ts: '1700000000.000100' }) }),
    later: () => ({ status: 200, body: JSON.stringify({ ok: false, error: 'ratelimited' }) }),
  },
  {
    type: 'discord',
    name: 'discord',
    config: (url) => ({ webhook_url: `${url}/api/webhooks/1/secretsecret` }),
    check: checkDiscord,
    accept: () => ({ status: 204 }),
    tooLarge: { status: 413 },
  },
  {
    type: 'teams',
    name: 'teams',
    config: (url) => ({ webhook_url: `${url}/workflows/secretsecret`, batch: { max_records: 10 } }),
    check: checkTeams,
    accept: () => ({ status: 202 }),
    tooLarge: { status: 413 },
  },
  {
    type: 'pagerduty',
    name: 'pagerduty',
    config: (url) => ({ routing_key: 'R0123456789', url }),
    check(request) {
      assert.equal(request.path, '/v2/enqueue');
      assert.ok(Buffer.byteLength(request.body) <= 512 * 1024);
      pagerdutyEvent.parse(JSON.parse(request.body));
    },
    accept: () => ({ status: 202, body: '{"status":"success"}' }),
  },
  {
    type: 'opsgenie',
    name: 'opsgenie',
    config: (url) => ({ api_key: 'secretsecret', url }),
    check(request) {
      assert.equal(request.path, '/v2/alerts');
      assert.equal(request.headers.authorization, 'GenieKey secretsecret');
      opsgenieAlert.parse(JSON.parse(request.body));
    },
    accept: () => ({ status: 202, body: '{"result":"Request will be processed"}' }),
  },
  {
    type: 'loki',
    name: 'loki',
    isGrouped: true,
    config: (url) => ({ url, tenant: 'security', username: 'user', password: 'secretsecret' }),
    check(request) {
      assert.equal(request.path, '/loki/api/v1/push');
      assert.equal(request.headers['x-scope-orgid'], 'security');
      assert.equal(request.headers.authorization, `Basic ${Buffer.from('user:secretsecret').toString('base64')}`);
      lokiPush.parse(JSON.parse(request.body));
    },
    accept: () => ({ status: 204 }),
    tooLarge: { status: 413 },
  },
  {
    type: 'alertmanager',
    name: 'alertmanager',
    config: (url) => ({ urls: [`${url}/`], bearer_token: 'secretsecret', labels: { cluster: 'prod' } }),
    check(request) {
      assert.equal(request.path, '/api/v2/alerts');
      assert.equal(request.headers.authorization, 'Bearer secretsecret');
      alerts.parse(JSON.parse(request.body));
    },
    tooLarge: { status: 413 },
  },
  {
    type: 'falcosidekick',
    name: 'falcosidekick',
    config: (url) => ({ url, headers: { 'X-Secret': 'secretsecret' } }),
    check(request) {
      assert.equal(request.headers['x-secret'], 'secretsecret');
      falcoAlert.parse(JSON.parse(request.body));
    },
  },
  {
    type: 'elasticsearch',
    name: 'elasticsearch',
    config: (url) => ({ url, api_key: 'secretsecret' }),
    check: checkBulk,
    accept: bulkAnswer,
    later: (request) => bulkAnswer(request, (index) => (index % 2 === 0 ? 429 : 201)),
    tooLarge: { status: 413 },
  },
  {
    type: 'webhook',
    name: 'webhook with a list of alerts',
    config: (url) => ({ url: `${url}/hook?key=secretsecret`, batch: { max_records: 20 } }),
    check: parses(z.array(falcoAlert.extend({ output_fields: z.record(z.string(), z.unknown()) })).min(1)),
    tooLarge: { status: 413 },
  },
  {
    type: 'webhook',
    name: 'webhook with a CloudEvent',
    config: (url) => ({ url, format: 'cloudevents', signing_secret: 'secretsecret' }),
    check(request) {
      assert.equal(request.headers['content-type'], 'application/cloudevents+json');
      cloudEvent.parse(JSON.parse(request.body));
    },
  },
  {
    type: 'webhook',
    name: 'webhook with CloudEvents',
    config: (url) => ({ url, method: 'PUT', format: 'cloudevents', batch: { max_records: 20 } }),
    check(request) {
      assert.equal(request.method, 'PUT');
      assert.equal(request.headers['content-type'], 'application/cloudevents-batch+json');
      z.array(cloudEvent).parse(JSON.parse(request.body));
    },
    tooLarge: { status: 413 },
  },
  {
    type: 'webhook',
    name: 'webhook with a template',
    config: (url) => ({
      url,
      format: 'template',
      template:
        '{"text": "{{priority}}: {{ rule }}: {{output}} {{proc.cmdline}} {{fd.nothing}}", "uid": "{{uuid}}", "key": "secretsecret"}',
    }),
    check: (request) =>
      assert.match((JSON.parse(request.body) as { text: string }).text, /^\w+: Rule \d{4}: .* <NA>$/s),
  },
];
