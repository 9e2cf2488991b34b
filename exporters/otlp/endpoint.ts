import type { TlsConfig } from '../helper/tls.ts';
import { type OtlpConfig, PROTOCOLS, type Protocol } from './config.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
export type OtlpSignal = 'logs' | 'metrics';

/** How one signal is sent. What is undefined here the official exporter takes from the environment, or from its defaults. */
export interface Endpoint {
  readonly protocol: Protocol;
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'gzip' | 'none' | undefined;
  readonly timeoutMillis: number;
  /** For https: its files, as far as some are named. */
  readonly tls: TlsConfig | undefined;
}

/** The configuration comes before the environment, a setting for one signal before the one for all. */
export function resolveEndpoint(config: OtlpConfig, signal: OtlpSignal, environment: Environment): Endpoint {
  const variable = (name: string) =>
    notEmpty(environment[`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${name}`]) ??
    notEmpty(environment[`OTEL_EXPORTER_OTLP_${name}`]);
  const own = config[`${signal}_endpoint`];
  const protocol =
    config.protocol ??
    protocolNamed(variable('PROTOCOL')) ??
    protocolOfPort(own ?? config.endpoint ?? variable('ENDPOINT'));
  const base =
    config.endpoint !== undefined && protocol === 'http/protobuf'
      ? `${config.endpoint.replace(/\/+$/, '')}/v1/${signal}`
      : config.endpoint;
  const url = own ?? base;
  const isTls = (url ?? variable('ENDPOINT'))?.startsWith('https:') ?? false;
  const tls = {
    ca_file: config.tls.ca_file ?? variable('CERTIFICATE'),
    cert_file: config.tls.cert_file ?? variable('CLIENT_CERTIFICATE'),
    key_file: config.tls.key_file ?? variable('CLIENT_KEY'),
  };
  return {
    protocol,
    url,
    headers: config.headers,
    compression: config.compression,
    timeoutMillis: config.timeout,
    tls: isTls ? tls : undefined,
  };
}

function notEmpty(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text.trim();
}

function protocolNamed(name: string | undefined): Protocol | undefined {
  return PROTOCOLS.find((protocol) => protocol === name);
}

/** The specification's default is http/protobuf; 4317 is gRPC's port and speaks nothing else. */
function protocolOfPort(endpoint: string | undefined): Protocol {
  return endpoint !== undefined && /:4317(\/|$)/.test(endpoint) ? 'grpc' : 'http/protobuf';
}
