import { readFileSync } from 'node:fs';
import { ShikraError } from '../../collector/errors.ts';
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
  readonly tls: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer } | undefined;
}

/** The configuration comes before the environment, a setting for one signal before the one for all.
 * @throws ShikraError CONFIG_INVALID if a file of `tls` cannot be read */
export function resolveEndpoint(
  config: OtlpConfig,
  signal: OtlpSignal,
  environment: Environment,
  id = 'otlp',
): Endpoint {
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
  return {
    protocol,
    url: own ?? base,
    headers: config.headers,
    compression: config.compression,
    timeoutMillis: config.timeout,
    tls: readTls(config.tls, id),
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

function readTls({ ca_file, cert_file, key_file }: OtlpConfig['tls'], id: string): Endpoint['tls'] {
  if (ca_file === undefined && cert_file === undefined && key_file === undefined) return undefined;
  return {
    ...(ca_file !== undefined && { ca: readPem(`exporters.${id}.tls.ca_file`, ca_file) }),
    ...(cert_file !== undefined && { cert: readPem(`exporters.${id}.tls.cert_file`, cert_file) }),
    ...(key_file !== undefined && { key: readPem(`exporters.${id}.tls.key_file`, key_file) }),
  };
}

function readPem(key: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ShikraError(
      'CONFIG_INVALID',
      `${key}: expected a file that can be read, got ${(error as Error).message}`,
      { cause: error },
    );
  }
}
