import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { HttpClient } from '../../exporters/helper/http-client.ts';
import { certificates } from '../fixtures/certificates.ts';
import { detection } from '../fixtures/detections.ts';
import { HttpReceiver } from '../fixtures/http-receiver.ts';
import { startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

const QUICK = { retry: { initial_interval: '2ms', max_interval: '10ms' } };

it('shows a certificate of its own over TLS, trusts the named authority, and loses nothing without either', async (test) => {
  const folder = temporaryFolder(test);
  certificates(folder);
  const file = (name: string) => join(folder, name);
  const read = (name: string) => readFileSync(file(name));
  const peers: string[] = [];
  const server = createServer(
    {
      key: read('server.key'),
      cert: read('server.crt'),
      ca: read('ca.crt'),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      peers.push((request.socket as TLSSocket).getPeerCertificate().subject.CN as string);
      request.resume();
      response.end();
    },
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const store = join(temporaryFolder(test), 's.db');
  const attempt = async (tls: object) => {
    const pipeline = await startPipeline({ store, exporters: { webhook: { url, tls, ...QUICK } } });
    if (peers.length === 0) pipeline.emit(detection(1));
    await new Promise((resolve) => setImmediate(resolve));
    const done = await pipeline.forceFlush();
    await pipeline.shutdown(0);
    return done;
  };
  assert.equal(await attempt({}), false, 'an authority that nobody named');
  assert.equal(await attempt({ ca_file: file('ca.crt') }), false, 'no certificate of its own');
  assert.equal(peers.length, 0);
  const tls = { ca_file: file('ca.crt'), cert_file: file('client.crt'), key_file: file('client.key') };
  while (!(await attempt(tls)));
  assert.ok(peers.length > 0 && peers.every((peer) => peer === 'client'));
});

it('goes through the proxy that the environment names', async (test) => {
  const proxy = await new HttpReceiver({ accept: () => ({ status: 200, body: 'by proxy' }) }).listen(test);
  const client = new HttpClient(undefined, { HTTP_PROXY: proxy.url, NO_PROXY: 'internal.example' });
  test.after(() => client.close());
  const response = await client.send({ url: 'http://far.example/hook', body: '{}' }, AbortSignal.timeout(5000));
  assert.equal(response.body, 'by proxy');
  assert.equal(proxy.taken[0]!.request.path, 'http://far.example/hook');
});

for (const [type, config, hosts] of [
  ['pagerduty', { routing_key: 'R1' }, { us: 'events.pagerduty.com', eu: 'events.eu.pagerduty.com' }],
  ['opsgenie', { api_key: 'K1' }, { us: 'api.opsgenie.com', eu: 'api.eu.opsgenie.com' }],
] as const)
  for (const [region, host] of Object.entries(hosts))
    it(`sends to ${host} for ${type} in the region ${region}`, async (test) => {
      // Falcosidekick reads the region and always goes to the first: what is asked of a proxy tells where this goes.
      const asked: string[] = [];
      const proxy = createHttpServer().listen(0, '127.0.0.1');
      proxy.on('connect', ({ url }, socket) => {
        asked.push(url ?? '');
        socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      });
      await once(proxy, 'listening');
      test.after(() => proxy.close());
      const before = { ...process.env };
      test.after(() => {
        process.env = before;
      });
      process.env.HTTPS_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      delete process.env.https_proxy;
      delete process.env.NO_PROXY;
      delete process.env.no_proxy;
      const exporters = { [type]: { ...config, region, ...QUICK } };
      const pipeline = await startPipeline({ store: join(temporaryFolder(test), 's.db'), exporters });
      test.after(() => pipeline.shutdown(0));
      pipeline.emit(detection(1));
      assert.equal(await pipeline.forceFlush(), false);
      assert.equal(asked[0], `${host}:443`);
    });
