import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { detection, detections } from '../fixtures/detections.ts';
import { freePort } from '../fixtures/free-ports.ts';
import { OtlpReceiver, type OtlpReceiver as Receiver, serveGrpc, serveHttp } from '../fixtures/otlp-receiver.ts';
import { metricValue, startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

const QUICK = { retry: { initial_interval: '10ms', max_interval: '20ms' } };
const count = (n: number, receiver: Receiver) => () => receiver.records.length >= n;

for (const [protocol, serve] of [
  ['grpc', serveGrpc],
  ['http/protobuf', serveHttp],
] as const) {
  describe(`otlp over ${protocol}`, () => {
    it('brings each detection once, with all its attributes', async (test) => {
      const receiver = new OtlpReceiver();
      const server = await serve(receiver);
      const pipeline = await startPipeline({
        store: join(temporaryFolder(test), 'store.db'),
        processors: { drop_rate: {}, enrichment: {}, priority: {} },
        exporters: { otlp: { endpoint: server.url, protocol, headers: { 'x-scope-orgid': 'security' }, ...QUICK } },
      });
      test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
      const sent = detections(1200);
      for (const one of sent) pipeline.emit(one);
      assert.equal(await pipeline.forceFlush(), true);
      assert.deepEqual(
        receiver.uids,
        sent.map((one) => one.uuid),
      );
      const [first] = receiver.records;
      assert.ok(first);
      assert.equal(first.timeUnixNano, 1_795_000_000_123_456_789n);
      assert.equal(first.observedTimeUnixNano, 1_795_000_000_124_456_789n);
      assert.equal(first.eventName, 'shikra.detection');
      assert.equal(first.scope, 'shikra.detector');
      assert.equal(first.severityNumber, 13);
      assert.equal(first.severityText, 'WARN');
      assert.equal(first.body, sent[0]!.output);
      assert.equal(first.resource['service.name'], 'shikra');
      assert.equal(first.attributes['security_rule.name'], 'Read sensitive file untrusted');
      assert.equal(first.attributes['shikra.event.number'], '9007199254740993');
      assert.deepEqual(first.attributes['shikra.process.ancestors'], ['bash', 'sshd']);
      assert.equal(first.attributes['container.id'], undefined);
      assert.equal(receiver.headers[0]?.['x-scope-orgid'], 'security');
      assert.equal(
        await metricValue(pipeline.metrics, 'shikra_exporter_records_total', {
          exporter: 'otlp',
          outcome: 'delivered',
        }),
        1200,
      );
    });

    it('loses nothing while the receiver is away', async (test) => {
      const receiver = new OtlpReceiver();
      const away = await serve(receiver, await freePort());
      await away.close();
      const pipeline = await startPipeline({
        store: join(temporaryFolder(test), 'store.db'),
        exporters: { otlp: { endpoint: away.url, protocol, timeout: '1s', ...QUICK } },
      });
      test.after(() => pipeline.shutdown(0));
      const sent = detections(700);
      for (const one of sent.slice(0, 400)) pipeline.emit(one);
      assert.equal(await pipeline.forceFlush(), false);
      assert.ok((await metricValue(pipeline.metrics, 'shikra_exporter_retries_total', { exporter: 'otlp' }))! > 0);
      const back = await serve(receiver, away.port);
      test.after(() => back.close());
      for (const one of sent.slice(400)) pipeline.emit(one);
      await receiver.until(count(700, receiver), 'all detections after the receiver came back');
      assert.deepEqual(
        [...new Set(receiver.uids)],
        sent.map((one) => one.uuid),
      );
    });

    it('parks the one record that is refused and delivers the others', async (test) => {
      const receiver = new OtlpReceiver();
      const server = await serve(receiver);
      const refusal = protocol === 'grpc' ? { grpc: 3 } : { http: 400 };
      receiver.answer = (records) =>
        records.some((record) => record.attributes['process.pid'] === 4037) ? refusal : undefined;
      const pipeline = await startPipeline({
        store: join(temporaryFolder(test), 'store.db'),
        exporters: { otlp: { endpoint: server.url, protocol, ...QUICK } },
      });
      test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
      const sent = detections(64);
      for (const one of sent) pipeline.emit(one);
      assert.equal(await pipeline.forceFlush(), true);
      assert.deepEqual(
        receiver.uids,
        sent.filter((_, index) => index !== 37).map((one) => one.uuid),
      );
      const [letter] = pipeline.store.deadLetters.list({ exporter: 'otlp' });
      assert.equal(letter?.item.uid, sent[37]!.uuid);
      assert.deepEqual(letter?.item.detection, sent[37]);
      assert.equal(
        await metricValue(pipeline.metrics, 'shikra_exporter_records_total', {
          exporter: 'otlp',
          outcome: 'dead_letter',
        }),
        1,
      );
    });

    it('counts what a partial success rejects and does not send it again', async (test) => {
      const receiver = new OtlpReceiver();
      const server = await serve(receiver);
      receiver.answer = () => ({ rejected: 3 });
      const pipeline = await startPipeline({
        store: join(temporaryFolder(test), 'store.db'),
        exporters: { otlp: { endpoint: server.url, protocol, ...QUICK } },
      });
      test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
      for (const one of detections(10)) pipeline.emit(one);
      assert.equal(await pipeline.forceFlush(), true);
      assert.equal(receiver.requests, 1);
      assert.equal(
        await metricValue(pipeline.metrics, 'shikra_exporter_records_total', { exporter: 'otlp', outcome: 'rejected' }),
        3,
      );
      assert.equal(
        await metricValue(pipeline.metrics, 'shikra_exporter_records_total', {
          exporter: 'otlp',
          outcome: 'delivered',
        }),
        7,
      );
    });

    it('does not try records one by one when the credentials are wrong', async (test) => {
      const receiver = new OtlpReceiver();
      const server = await serve(receiver);
      receiver.answer = () => (protocol === 'grpc' ? { grpc: 16 } : { http: 401 });
      const pipeline = await startPipeline({
        store: join(temporaryFolder(test), 'store.db'),
        exporters: { otlp: { endpoint: server.url, protocol, ...QUICK } },
      });
      test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
      for (const one of detections(10)) pipeline.emit(one);
      assert.equal(await pipeline.forceFlush(), true);
      assert.equal(receiver.requests, 1);
      assert.equal(pipeline.store.deadLetters.list({ exporter: 'otlp' }).length, 10);
    });

    it('sends the same bytes again when the first answer was lost', async (test) => {
      const receiver = new OtlpReceiver();
      const server = await serve(receiver);
      const raw: Buffer[] = [];
      receiver.answer = ([record]) => {
        raw.push(record!.raw);
        return raw.length > 1
          ? undefined
          : protocol === 'grpc'
            ? { grpc: 14 }
            : { http: 503, headers: { 'retry-after': '0' } };
      };
      const pipeline = await startPipeline({
        store: join(temporaryFolder(test), 'store.db'),
        exporters: { otlp: { endpoint: server.url, protocol, ...QUICK } },
      });
      test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
      pipeline.emit(detection());
      await receiver.until(count(1, receiver), 'the second try');
      assert.equal(raw.length, 2);
      assert.deepEqual(raw[0], raw[1]);
    });

    it('sends the metrics of the registry under the same names', async (test) => {
      const receiver = new OtlpReceiver();
      const server = await serve(receiver);
      const pipeline = await startPipeline({
        store: join(temporaryFolder(test), 'store.db'),
        exporters: { otlp: { endpoint: server.url, protocol, ...QUICK } },
        signals: ['logs', 'metrics'],
      });
      test.after(() => server.close());
      pipeline.emit(detection());
      await pipeline.shutdown();
      assert.equal(receiver.records.length, 1);
      for (const name of ['shikra_detections_total', 'shikra_detection_latency_seconds', 'shikra_build_info'])
        assert.ok(receiver.metricNames.has(name), name);
    });
  });
}

it("waits as long as gRPC's RetryInfo asks, and takes RESOURCE_EXHAUSTED without it as final", async (test) => {
  const receiver = new OtlpReceiver();
  const server = await serveGrpc(receiver);
  const name = Buffer.from('type.googleapis.com/google.rpc.RetryInfo');
  const info = Buffer.from([0x0a, 0x04, 0x10, 0x80, 0x80, 0x40]); // retry_delay { nanos: 1048576 }
  const any = Buffer.concat([Buffer.from([0x0a, name.length]), name, Buffer.from([0x12, info.length]), info]);
  const details = Buffer.concat([Buffer.from([0x08, 0x08, 0x1a, any.length]), any]);
  receiver.answer = () => (receiver.requests === 1 ? { grpc: 8, details } : undefined);
  const pipeline = await startPipeline({
    store: join(temporaryFolder(test), 'store.db'),
    exporters: { otlp: { endpoint: server.url, protocol: 'grpc', ...QUICK } },
  });
  test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
  pipeline.emit(detection(1));
  await receiver.until(count(1, receiver), 'the second try');
  receiver.answer = () => ({ grpc: 8 });
  pipeline.emit(detection(2));
  assert.equal(await pipeline.forceFlush(), true);
  assert.equal(pipeline.store.deadLetters.list({ exporter: 'otlp' }).length, 1);
});

for (const [protocol, serve] of [
  ['grpc', serveGrpc],
  ['http/protobuf', serveHttp],
] as const) {
  it(`takes address, headers and compression for ${protocol} from OpenTelemetry's own variables`, async (test) => {
    const receiver = new OtlpReceiver();
    const server = await serve(receiver);
    const before = { ...process.env };
    Object.assign(process.env, {
      OTEL_EXPORTER_OTLP_ENDPOINT: server.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-token=secret',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    });
    test.after(() => {
      process.env = before;
    });
    const pipeline = await startPipeline({
      store: join(temporaryFolder(test), 'store.db'),
      exporters: { otlp: { headers: { 'x-tenant': 'one' } } },
    });
    test.after(() => Promise.all([pipeline.shutdown(0), server.close()]));
    for (const one of detections(20)) pipeline.emit(one);
    assert.equal(await pipeline.forceFlush(), true);
    assert.equal(receiver.records.length, 20);
    assert.equal(receiver.headers[0]?.['x-token'], 'secret');
    assert.equal(receiver.headers[0]?.['x-tenant'], 'one');
    if (protocol === 'http/protobuf') assert.equal(receiver.headers[0]?.['content-encoding'], 'gzip');
  });
}

/** A certificate for these names that only who has it trusts. */
function selfSigned(folder: string, names: string): { key: Buffer; cert: Buffer; certFile: string } {
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const options = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=shikra-test',
    '-addext',
    `subjectAltName=${names}`,
  ];
  execFileSync('openssl', [...options, '-keyout', keyFile, '-out', certFile], { stdio: 'ignore' });
  return { key: readFileSync(keyFile), cert: readFileSync(certFile), certFile };
}

for (const [protocol, serve] of [
  ['grpc', serveGrpc],
  ['http/protobuf', serveHttp],
] as const) {
  it(`trusts over ${protocol} the certificates of tls.ca_file and no others, and loses nothing over it`, async (test) => {
    const folder = temporaryFolder(test);
    const pem = selfSigned(folder, 'DNS:localhost,IP:127.0.0.1');
    const receiver = new OtlpReceiver();
    const server = await serve(receiver, 0, pem);
    test.after(() => server.close());
    const exporters = (tls: object, endpoint = server.url) => ({
      otlp: { endpoint, protocol, tls, ...QUICK },
    });
    const distrustful = await startPipeline({ store: join(folder, 'store.db'), exporters: exporters({}) });
    distrustful.emit(detection(1));
    assert.equal(await distrustful.forceFlush(), false);
    await distrustful.shutdown(0);
    assert.equal(receiver.requests, 0);
    const trusting = await startPipeline({
      store: join(folder, 'store.db'),
      exporters: exporters({ ca_file: pem.certFile }),
    });
    test.after(() => trusting.shutdown(0));
    await receiver.until(count(1, receiver), 'what waited for trust');
    assert.equal(trusting.store.deadLetters.list({ exporter: 'otlp' }).length, 0);
    const byName = await startPipeline({
      store: join(temporaryFolder(test), 'store.db'),
      exporters: exporters({ ca_file: pem.certFile }, server.url.replace('127.0.0.1', 'localhost')),
    });
    test.after(() => byName.shutdown(0));
    byName.emit(detection(2));
    await receiver.until(count(2, receiver), 'what goes to a name');
  });

  /** gRPC asked a server by its address for a certificate of that name, which Node refuses: with https://10.0.0.1:4317 nothing was ever delivered. */
  it(`takes over ${protocol} no certificate that does not name the address that it sends to`, async (test) => {
    const folder = temporaryFolder(test);
    const pem = selfSigned(folder, 'DNS:localhost,IP:127.0.0.2');
    const receiver = new OtlpReceiver();
    const server = await serve(receiver, 0, pem);
    test.after(() => server.close());
    const pipeline = await startPipeline({
      store: join(folder, 'store.db'),
      exporters: { otlp: { endpoint: server.url, protocol, tls: { ca_file: pem.certFile }, ...QUICK } },
    });
    test.after(() => pipeline.shutdown(0));
    pipeline.emit(detection(1));
    assert.equal(await pipeline.forceFlush(), false);
    assert.equal(receiver.requests, 0);
    assert.match(JSON.stringify(pipeline.lines), /IP: 127\.0\.0\.1 is not in the cert's list/);
  });
}
