import assert from 'node:assert/strict';
import { it } from 'node:test';
import { httpOutcome, parseRetryAfter } from '../../exporters/helper/index.ts';
import { readTls } from '../../exporters/helper/tls.ts';
import { resolveEndpoint } from '../../exporters/otlp/endpoint.ts';
import { otlpConfigSchema } from '../../exporters/otlp/index.ts';
import { memoryLogger } from '../fixtures/pipeline.ts';

const CASES: readonly (readonly [
  title: string,
  config: object,
  environment: Record<string, string>,
  protocol: string,
  url: string | undefined,
])[] = [
  ['nothing at all', {}, {}, 'http/protobuf', undefined],
  ['an endpoint', { endpoint: 'http://collector:4318/' }, {}, 'http/protobuf', 'http://collector:4318/v1/logs'],
  [
    'an endpoint with a path',
    { endpoint: 'http://loki:3100/otlp' },
    {},
    'http/protobuf',
    'http://loki:3100/otlp/v1/logs',
  ],
  ["gRPC's port", { endpoint: 'http://collector:4317' }, {}, 'grpc', 'http://collector:4317'],
  [
    'a protocol against the port',
    { endpoint: 'http://collector:4317', protocol: 'http/protobuf' },
    {},
    'http/protobuf',
    'http://collector:4317/v1/logs',
  ],
  [
    'an address for logs, taken as it is',
    { endpoint: 'http://a:4318', logs_endpoint: 'http://b/in' },
    {},
    'http/protobuf',
    'http://b/in',
  ],
  ["gRPC's port in the environment", {}, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4317' }, 'grpc', undefined],
  ['a protocol in the environment', {}, { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'grpc', undefined],
  [
    'a protocol for logs before that for all',
    {},
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'http/protobuf' },
    'http/protobuf',
    undefined,
  ],
  ['an empty variable as one not set', {}, { OTEL_EXPORTER_OTLP_PROTOCOL: '' }, 'http/protobuf', undefined],
];

for (const [title, config, environment, protocol, url] of CASES) {
  it(`understands ${title}`, () => {
    const endpoint = resolveEndpoint(otlpConfigSchema.parse(config), 'logs', environment);
    assert.equal(endpoint.protocol, protocol);
    assert.equal(endpoint.url, url);
  });
}

it('reads the answers of HTTP as OTLP does', () => {
  assert.deepEqual(httpOutcome(204, ''), { status: 'success' });
  assert.deepEqual(httpOutcome(429, 'slow', '3'), { status: 'retryable', reason: 'slow', afterMillis: 3000 });
  for (const status of [408, 502, 503, 504]) assert.equal(httpOutcome(status, '').status, 'retryable');
  for (const status of [400, 413, 422, 500])
    assert.deepEqual(httpOutcome(status, 'no'), { status: 'permanent', reason: 'no', splittable: true });
  for (const status of [401, 403, 404])
    assert.deepEqual(httpOutcome(status, 'no'), { status: 'permanent', reason: 'no', splittable: false });
  assert.equal(parseRetryAfter('Thu, 01 Jan 1970 00:00:10 GMT', 4000), 6000);
  assert.equal(parseRetryAfter('soon'), undefined);
});

it('names the key of a certificate that cannot be read', () => {
  const config = otlpConfigSchema.parse({ endpoint: 'https://collector:4318', tls: { ca_file: '/nowhere/ca.pem' } });
  const { tls } = resolveEndpoint(config, 'logs', {});
  assert.throws(() => readTls(tls!, { id: 'otlp/eu', logger: memoryLogger().logger }), {
    code: 'CONFIG_INVALID',
    message:
      'the configuration has mistakes: exporters.otlp/eu.tls.ca_file: expected a file that can be read, got /nowhere/ca.pem (ENOENT)',
  });
});

it('takes the certificates that the environment names, for https alone', () => {
  const environment = {
    OTEL_EXPORTER_OTLP_CERTIFICATE: '/all/ca.pem',
    OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE: '/logs/client.pem',
    OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY: '/logs/client.key',
  };
  const filesFor = (config: object, more: Record<string, string> = {}) =>
    resolveEndpoint(otlpConfigSchema.parse(config), 'logs', { ...environment, ...more }).tls;
  const files = { ca_file: '/all/ca.pem', cert_file: '/logs/client.pem', key_file: '/logs/client.key' };
  assert.deepEqual(filesFor({ endpoint: 'https://collector:4317' }), files);
  assert.deepEqual(filesFor({}, { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318' }), files);
  const own = { endpoint: 'https://collector:4318', tls: { ca_file: '/own/ca.pem' } };
  assert.deepEqual(filesFor(own), { ...files, ca_file: '/own/ca.pem' });
  assert.equal(filesFor({ endpoint: 'http://collector:4318' }), undefined);
  assert.equal(filesFor({}), undefined);
});
