import assert from 'node:assert/strict';
import { it } from 'node:test';
import { httpOutcome, parseRetryAfter } from '../../exporters/helper/index.ts';
import { resolveEndpoint } from '../../exporters/otlp/endpoint.ts';
import { otlpConfigSchema } from '../../exporters/otlp/index.ts';

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
  const config = otlpConfigSchema.parse({ tls: { ca_file: '/nowhere/ca.pem' } });
  assert.throws(() => resolveEndpoint(config, 'logs', {}, 'otlp/eu'), {
    code: 'CONFIG_INVALID',
    message:
      "the configuration has mistakes: exporters.otlp/eu.tls.ca_file: expected a file that can be read, got ENOENT: no such file or directory, open '/nowhere/ca.pem'",
  });
});
