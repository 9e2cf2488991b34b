import { connect } from 'node:net';
import type { Component } from '../../collector/config/component.ts';
import type { Config } from '../../collector/config/config.ts';
import type { Environment } from '../../collector/config/environment.ts';
import { type Check, notOk, ok } from './check.ts';

const CONNECT_TIMEOUT_MILLIS = 2_000;

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Whether something listens where each exporter sends to. */
export async function checkSinks(config: Config, environment: Environment = process.env): Promise<Check[]> {
  const { logs, metrics } = config.service.pipelines;
  const ids = new Set([...logs.exporters, ...metrics.exporters]);
  const targets = [...ids].flatMap((id) => {
    const addresses = addressesOf(config.exporters[id] as Component, environment);
    return addresses.map((address) => ({ id, address }));
  });
  return Promise.all(targets.map(({ id, address }) => checkAddress(id, address)));
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

/** The addresses that an exporter sends to; none for those that write or listen here. */
export function addressesOf({ type, config }: Component, environment: Environment): Address[] {
  const urls = type === 'otlp' ? otlpEndpoints(config, environment) : endpointIn(config);
  const addresses = urls.flatMap(addressOfUrl);
  const isNew = ({ host, port }: Address, index: number) =>
    addresses.findIndex((other) => other.host === host && other.port === port) === index;
  return addresses.filter(isNew);
}

/** A listening endpoint is `host:port`; one that is sent to is a URL. */
function endpointIn(config: unknown): string[] {
  const { endpoint } = (config ?? {}) as { endpoint?: unknown };
  return typeof endpoint === 'string' && /^https?:/.test(endpoint) ? [endpoint] : [];
}

/** As the OpenTelemetry specification resolves them; what the file says comes first. */
function otlpEndpoints(config: unknown, environment: Environment): string[] {
  const { endpoint, protocol } = (config ?? {}) as { endpoint?: string; protocol?: string };
  if (endpoint !== undefined) return [endpoint];
  const { OTEL_EXPORTER_OTLP_ENDPOINT: common, OTEL_EXPORTER_OTLP_PROTOCOL: commonProtocol } = environment;
  const standard = (protocol ?? commonProtocol ?? 'grpc').startsWith('http')
    ? 'http://localhost:4318'
    : 'http://localhost:4317';
  return ['LOGS', 'METRICS'].map(
    (signal) => environment[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`] || common || standard,
  );
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
