import { z } from 'zod';
import type { Detection } from '../../collector/detection/detection.ts';
import type { Priority } from '../../collector/detection/priority.ts';
import { duration } from '../../collector/pipeline/units.ts';
import { authKeys, readAuth } from '../helper/auth.ts';
import { type Clock, SYSTEM_CLOCK } from '../helper/clock.ts';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import type { HttpRequest, HttpResponse } from '../helper/http-client.ts';
import { httpExporter, messageOf, responseOutcome } from '../helper/http-exporter.ts';
import type { ExportOutcome } from '../helper/outcome.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { firstOf, shownFields, subjectOf } from '../helper/subject.ts';
import { cut } from '../helper/text.ts';
import { readTls, tlsConfigSchema } from '../helper/tls.ts';
import type { StoredDetection } from '../store/stored-detection.ts';
import { type Alert, OpenAlerts } from './open-alerts.ts';

const url = z.url({ protocol: /^https?$/ });
const label = z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'expected the name of a label');

export const alertmanagerConfigSchema = z.strictObject({
  urls: z
    .array(url)
    .min(1)
    .describe('Every Alertmanager of the cluster, such as http://alertmanager-0:9093; each gets each alert.'),
  resolve_after: duration().prefault('15m').describe('An alert is over so long after its last detection.'),
  resend_interval: duration()
    .prefault('1m')
    .describe('Open alerts are sent again so often, for an Alertmanager that starts anew; 0s: each is sent once.'),
  labels: z
    .record(label, z.string())
    .default({})
    .describe('Added to every alert, e.g. the cluster. One that Shikra makes itself wins.'),
  generator_url: z.url().optional().describe('Where the link of an alert leads.'),
  ...authKeys,
  tls: tlsConfigSchema.describe('For https.'),
  ...batchedDeliveryKeys(64, 1000),
});

export type AlertmanagerConfig = z.infer<typeof alertmanagerConfigSchema>;

export const component = {
  configSchema: alertmanagerConfigSchema,
  signals: ['logs'],
  create: createAlertmanagerExporter,
} as const;

/** The three severities that alert routes know. */
const SEVERITY: Readonly<Record<Priority, string>> = {
  Emergency: 'critical',
  Alert: 'critical',
  Critical: 'critical',
  Error: 'warning',
  Warning: 'warning',
  Notice: 'info',
  Informational: 'info',
  Debug: 'info',
};

const LONGEST_ANNOTATION = 4096;

/** Detections as alerts of Alertmanager's API v2. */
export function createAlertmanagerExporter(
  config: AlertmanagerConfig,
  context: ExporterContext,
  clock: Clock = SYSTEM_CLOCK,
): DeliveringExporter {
  const auth = readAuth(config, context.id);
  const targets = config.urls.map((each) => `${each.replace(/\/+$/, '')}/api/v2/alerts`);
  const away = new Set<string>();
  const sent = new WeakMap<readonly StoredDetection[], readonly Alert[]>();
  let sendOwn: ((request: HttpRequest) => Promise<HttpResponse>) | undefined;
  const open = new OpenAlerts({
    peers: targets,
    intervalMillis: config.resend_interval,
    batchCount: config.batch.max_records,
    context,
    clock,
    async send(peer, alerts) {
      try {
        return responseOutcome(await sendOwn!(requestOf(peer, alerts)));
      } catch (error) {
        return { status: 'retryable', reason: messageOf(error) };
      }
    },
  });
  return httpExporter({
    delivery: deliverySettings(config),
    secrets: auth.secrets,
    tls: readTls(config.tls, context),
    request(batch) {
      const alerts = alertsOf(batch, config, clock.now());
      sent.set(batch, alerts);
      const body = JSON.stringify(alerts);
      return targets.map((target) => requestOf(target, body));
    },
    delivered: (batch) => open.note(sent.get(batch) ?? []),
    answered: (request, outcome) => notePeer(request, outcome),
    start(own) {
      sendOwn = own;
      open.start();
    },
    stop: () => open.stop(),
  });

  function requestOf(target: string, body: string): HttpRequest {
    return { url: target, headers: { 'content-type': 'application/json', ...auth.headers() }, body };
  }

  /** The others go on; an operator should know that the cluster is not whole. */
  function notePeer({ url: target }: HttpRequest, outcome: ExportOutcome): void {
    if (outcome.status === 'success') {
      if (away.delete(target)) context.logger.info({ exporter: context.id, peer: target }, 'the Alertmanager is back');
    } else if (!away.has(target)) {
      away.add(target);
      const { reason } = outcome;
      context.logger.warn({ exporter: context.id, peer: target, reason }, 'an Alertmanager does not take alerts');
    }
  }
}

/**
 * One alert for each subject. Alertmanager joins it with the one that it has: the earlier start stays, the end moves. An alert that is late must not
 * arrive as one that is over already, so the end is counted from now.
 */
function alertsOf(batch: readonly StoredDetection[], config: AlertmanagerConfig, now: number): Alert[] {
  const alerts = new Map<string, Alert>();
  for (const { detection } of batch) {
    const labels = labelsOf(detection, config);
    const key = JSON.stringify(labels);
    alerts.set(key, {
      labels,
      annotations: annotationsOf(detection),
      startsAt: alerts.get(key)?.startsAt ?? detection.time,
      endsAt: new Date(Math.max(now, Date.parse(detection.time)) + config.resolve_after).toISOString(),
      ...(config.generator_url !== undefined && { generatorURL: config.generator_url }),
    });
  }
  return [...alerts.values()];
}

/** The same for every repeat, so that repeats are one alert. */
function labelsOf(detection: Detection, config: AlertmanagerConfig): Record<string, string> {
  const { rule, source, host, namespace, workload } = subjectOf(detection);
  return {
    ...config.labels,
    alertname: rule,
    severity: SEVERITY[detection.priority],
    priority: detection.priority.toLowerCase(),
    source,
    ...(host !== '' && { host }),
    ...(namespace !== undefined && { namespace }),
    ...(workload !== undefined && { workload }),
  };
}

function annotationsOf(detection: Detection): Record<string, string> {
  const pod = firstOf(detection, ['k8s.pod.name', 'ka.target.pod.name']);
  const fields = shownFields(detection).map(([name, value]) => `${name}=${value}`);
  const texts: Record<string, string> = {
    summary: detection.rule,
    description: detection.output,
    uid: detection.uuid,
    time: detection.time,
    ...(detection.description !== '' && { rule_description: detection.description }),
    ...(pod !== undefined && { pod }),
    ...(detection.tags.length > 0 && { tags: detection.tags.join(', ') }),
    ...(fields.length > 0 && { fields: fields.join('\n') }),
  };
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, cut(text, LONGEST_ANNOTATION)]));
}
