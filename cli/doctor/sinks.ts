import { connect } from 'node:net';
import type { Component, Signal } from '../../collector/config/component.ts';
import type { Config } from '../../collector/config/config.ts';
import type { Environment } from '../../collector/config/environment.ts';
import { logsPipelines, metricsExporters } from '../../collector/config/service.ts';
import type { OtlpConfig } from '../../exporters/otlp/config.ts';
import { resolveEndpoint } from '../../exporters/otlp/endpoint.ts';
import { type Check, notOk, ok } from './check.ts';

const CONNECT_TIMEOUT_MILLIS = 2_000;

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Whether something listens where each exporter sends to. */
export async function checkSinks(config: Config, environment: Environment = process.env): Promise<Check[]> {
  const { pipelines } = config.service;
  const logs = logsPipelines(pipelines).flatMap(([, { exporters }]) => exporters);
  const metrics = metricsExporters(pipelines);
  const ids = [...new Set([...logs, ...metrics])];
  const checks = ids.map((id) => {
    const signals: Signal[] = [
      ...(logs.includes(id) ? ['logs' as const] : []),
      ...(metrics.includes(id) ? ['metrics' as const] : []),
    ];
    const addresses = addressesOf(config.exporters[id] as Component, signals, environment);
    return addresses.map((address) => checkAddress(id, address));
  });
  return Promise.all(checks.flat());
}

async function checkAddress(id: string, { host, port }: Address): Promise<Check> {
  const name = `sink ${id}`;
  const failure = await connectionFailure(host, port);
  if (failure === undefined) return ok(name, `${host}:${port} accepts connections`);
  return notOk(
    name,
    `${host}:${port}: ${failure}`,
    `start it, or correct exporters.${id}; until then the store keeps the detections`,
  );
}

/** The addresses that an exporter sends these signals to; none for those that write or listen here. */
export function addressesOf(
  { type, config }: Component,
  signals: readonly Signal[],
  environment: Environment,
): Address[] {
  const urls =
    type === 'otlp' ? signals.map((signal) => otlpUrl(config as OtlpConfig, signal, environment)) : urlsIn(config);
  const addresses = urls.flatMap(addressOfUrl);
  const isNew = ({ host, port }: Address, index: number) =>
    addresses.findIndex((other) => other.host === host && other.port === port) === index;
  return addresses.filter(isNew);
}

/** Keys under which exporters name where they send to. */
const URL_KEYS = ['url', 'urls', 'webhook_url', 'api_url'];

/** Addresses that stand in the configuration itself. One that a file holds, or a datagram's, cannot be knocked at. */
function urlsIn(config: unknown): string[] {
  const own = (config ?? {}) as Readonly<Record<string, unknown>>;
  // Slack's API is there by default, also for those who use a webhook.
  const isWebhook = (own.webhook_url ?? own.webhook_url_file) !== undefined;
  const keys = isWebhook ? ['webhook_url'] : URL_KEYS;
  return keys.flatMap((key) => own[key] ?? []).filter((value): value is string => /^https?:/.test(String(value)));
}

/** What the exporter leaves open, the OpenTelemetry specification settles. */
function otlpUrl(config: OtlpConfig, signal: Signal, environment: Environment): string {
  const { protocol, url } = resolveEndpoint(config, signal, environment);
  const variables = [`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`, 'OTEL_EXPORTER_OTLP_ENDPOINT'];
  const named = variables.map((name) => environment[name]).find((value) => value);
  return url ?? named ?? (protocol === 'grpc' ? 'http://localhost:4317' : 'http://localhost:4318');
}

/** gRPC endpoints may come without a scheme. */
function addressOfUrl(text: string): Address[] {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url === null) return [];
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  return [{ host: url.hostname.replace(/^\[|\]$/g, ''), port }];
}

function connectionFailure(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (failure?: string) => {
      socket.destroy();
      resolve(failure);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MILLIS, () => settle(`no answer in ${CONNECT_TIMEOUT_MILLIS / 1000} s`));
    socket.once('connect', () => settle());
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  });
}
