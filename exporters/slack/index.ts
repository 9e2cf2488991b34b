import { z } from 'zod';
import { duration } from '../../collector/pipeline/units.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import type { HttpResponse } from '../helper/http-client.ts';
import { httpExporter, jsonOf, reasonOf, responseOutcome } from '../helper/http-exporter.ts';
import { type ExportOutcome, SUCCESS } from '../helper/outcome.ts';
import { needsSecret, requireSecret, secretKeys } from '../helper/secret.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { fingerprint } from '../helper/subject.ts';
import type { StoredDetection } from '../store/stored-detection.ts';
import { messageOf } from './message.ts';
import { Threads } from './threads.ts';

export const slackConfigSchema = z
  .strictObject({
    ...secretKeys('webhook_url', 'The address of an incoming webhook', z.url({ protocol: /^https?$/ })),
    ...secretKeys('token', "A bot's token (`xoxb-...`) with the scope chat:write; it allows threads"),
    channel: z.string().min(1).optional().describe('With a token: the channel, better by its id (`C0123456789`).'),
    thread_window: duration()
      .prefault('1h')
      .describe('With a token: repeats go to the thread of the first for so long; 0s turns threads off.'),
    api_url: z
      .url({ protocol: /^https?$/ })
      .default('https://slack.com/api')
      .describe('With a token: where the API is.'),
    ...batchedDeliveryKeys(10, 15),
  })
  .superRefine(needsSecret('webhook_url', 'token'))
  .superRefine(({ token, token_file, channel }, context) => {
    if ((token ?? token_file) !== undefined && channel === undefined)
      context.addIssue({ code: 'custom', path: ['channel'], message: 'expected a channel beside the token' });
  });

export type SlackConfig = z.infer<typeof slackConfigSchema>;

export const component = { configSchema: slackConfigSchema, signals: ['logs'], create: createSlackExporter } as const;

/** Detections as messages of Slack's Block Kit, by an incoming webhook or by a bot. */
export function createSlackExporter(config: SlackConfig, context: ExporterContext): DeliveringExporter {
  return (config.token ?? config.token_file) === undefined
    ? webhookExporter(config, context)
    : botExporter(config, context);
}

function webhookExporter(config: SlackConfig, { id }: ExporterContext): DeliveringExporter {
  const url = requireSecret(config, 'webhook_url', id);
  return httpExporter({
    delivery: deliverySettings(config),
    secrets: [url],
    request: (batch) => ({
      url: url.get(),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(messageOf(batch)),
    }),
  });
}

/** One message for each detection, so that each can have its thread. */
function botExporter(config: SlackConfig, { id }: ExporterContext): DeliveringExporter {
  const token = requireSecret(config, 'token', id);
  const threads = new Threads(config.thread_window);
  const keyOf = ([item]: readonly StoredDetection[]) => fingerprint(item!.detection);
  return httpExporter({
    delivery: { ...deliverySettings(config), batchCount: 1 },
    secrets: [token],
    request(batch) {
      const thread = threads.find(keyOf(batch));
      const message = {
        channel: config.channel,
        ...messageOf(batch),
        unfurl_links: false,
        ...(thread !== undefined && { thread_ts: thread }),
      };
      return {
        url: `${config.api_url.replace(/\/+$/, '')}/chat.postMessage`,
        headers: { 'content-type': 'application/json; charset=utf-8', authorization: `Bearer ${token.get()}` },
        body: JSON.stringify(message),
      };
    },
    outcome(response, batch) {
      const { error } = (jsonOf(response) ?? {}) as { error?: string };
      if (error === undefined || !THREAD_GONE.has(error)) return apiOutcome(response);
      // Someone has deleted the first message: this one begins a new thread.
      threads.forget(keyOf(batch));
      return { status: 'retryable', reason: reasonOf(response, error) };
    },
    delivered(batch, response) {
      const { ts } = (jsonOf(response) ?? {}) as { ts?: unknown };
      threads.note(keyOf(batch), typeof ts === 'string' ? ts : undefined);
    },
  });
}

/** Errors of Slack's API that pass by themselves; it tells them in an answer with status 200. */
const MAY_PASS = new Set([
  'ratelimited',
  'rate_limited',
  'message_limit_exceeded',
  'service_unavailable',
  'internal_error',
  'fatal_error',
  'request_timeout',
  'team_added_to_org',
]);

const THREAD_GONE = new Set(['thread_not_found', 'message_not_found', 'cannot_reply_to_message']);

function apiOutcome(response: HttpResponse): ExportOutcome {
  if (response.status !== 200) return responseOutcome(response);
  const { ok, error = 'no JSON' } = (jsonOf(response) ?? {}) as { ok?: boolean; error?: string };
  if (ok === true) return SUCCESS;
  const reason = reasonOf(response, error);
  return MAY_PASS.has(error) ? { status: 'retryable', reason } : { status: 'permanent', reason, splittable: false };
}
