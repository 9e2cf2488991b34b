/** The engines as the main thread has them, with sockets at which nothing sensible is said. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import pino from 'pino';
import { ContainerEngines } from '../../collector/containers/engines.ts';
import type { ContainerNews } from '../../collector/containers/news.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import { SlowEngine } from './slow-engine.ts';

const ID = 'a'.repeat(64);
const NONE = { docker: [], podman: [], containerd: [], cri: [] };

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-engines-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function arrange(t: TestContext, sockets: Partial<typeof NONE> | object) {
  const news: ContainerNews[] = [];
  const log: string[] = [];
  let wake = () => {};
  const metrics = createMetrics({ defaultMetrics: false });
  const write = (line: string) => {
    log.push(line);
    wake();
  };
  const engines = new ContainerEngines({
    sockets: { ...NONE, ...sockets },
    metrics,
    logger: pino({ level: 'info' }, { write }) as never,
    onNews: (each) => {
      news.push(each);
      wake();
    },
  });
  t.after(() => engines.close());
  const until = async (holds: () => boolean) => {
    while (!holds())
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  return { engines, metrics, news, log, until };
}

const NONSENSE: Readonly<Record<string, (connection: Socket) => void>> = {
  'closes at once': (connection) => connection.destroy(),
  'talks nonsense': (connection) => connection.end('\x00\x01 nonsense\r\n\r\n'),
  'refuses everything': (connection) => connection.end('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n'),
  'answers with what is no JSON': (connection) => connection.end('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n{"x"'),
  'answers with other JSON': (connection) => connection.end('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull'),
};

async function listen(t: TestContext, path: string, act: (connection: Socket) => void): Promise<Server> {
  const server = createServer((connection) => {
    connection.on('error', () => {});
    connection.once('data', () => act(connection));
  });
  server.listen(path);
  await once(server, 'listening');
  t.after(() => server.close());
  return server;
}

for (const engine of ['docker', 'containerd', 'cri'] as const) {
  for (const [what, act] of Object.entries(NONSENSE)) {
    test(`bears something in the place of ${engine} that ${what}, and says so once`, async (t) => {
      const socket = join(folderFor(t), 'engine.sock');
      let connections = 0;
      await listen(t, socket, (connection) => {
        connections++;
        act(connection);
      });
      const { engines, log, news, until } = arrange(t, { [engine]: [socket] });
      engines.start();
      engines.ask([{ id: ID }]);
      await until(() => log.length === 1);
      assert.match(log[0]!, /a container engine does not answer/);
      while (connections < 3) await new Promise((resolve) => setTimeout(resolve, 10)); // it goes on trying
      assert.equal(log.length, 1);
      assert.deepEqual(
        news.filter(({ type }) => type === 'known'),
        [],
      );
    });
  }
}

test('tells what one engine knows, though another does not answer', async (t) => {
  const folder = folderFor(t);
  await listen(t, join(folder, 'hanging.sock'), () => {});
  const slow = new SlowEngine();
  await slow.start();
  t.after(() => slow.close());
  const { engines, news, until } = arrange(t, { docker: [join(folder, 'hanging.sock'), slow.socket] });
  engines.ask([{ id: ID }]); // before the start: it is asked then
  engines.start();
  while (!slow.wasAskedAbout(ID)) await new Promise((resolve) => setTimeout(resolve, 5));
  slow.answer();
  await until(() => news.some(({ type }) => type === 'known'));
  const known = news.find((each) => each.type === 'known');
  assert.equal(known?.type === 'known' && known.metadata.imageRepository, 'registry.test/slow');
});

test('says that there is no engine, that there is one, and that it is gone', async (t) => {
  const folder = folderFor(t);
  const socket = join(folder, 'docker.sock');
  const { engines, metrics, news, until } = arrange(t, { docker: [socket] });
  engines.start();
  assert.deepEqual(news, [{ type: 'engines', present: false }]);
  engines.ask([{ id: ID }]);
  await until(() => news.length === 2);
  assert.deepEqual(news[1], { type: 'unknown', request: { id: ID } });
  const server = await listen(t, socket, (connection) => connection.destroy());
  await until(() => news.length === 3);
  assert.deepEqual(news[2], { type: 'engines', present: true });
  // A counter that is not there before it counts hides its first step from rate().
  const lookups = (await metrics.registry.metrics())
    .split('\n')
    .filter((line) => /^shikra_container_lookups/.test(line));
  assert.deepEqual(
    lookups,
    ['found', 'not_found', 'failed'].map(
      (outcome) => `shikra_container_lookups_total{engine="docker",outcome="${outcome}"} 0`,
    ),
  );
  server.close();
  await until(() => news.length === 4);
  assert.deepEqual(news[3], { type: 'engines', present: false });
  assert.match(await metrics.registry.metrics(), /shikra_container_engines\{engine="docker"\} 0/);
});

test('may be closed twice, and says nothing afterwards', async (t) => {
  const slow = new SlowEngine();
  await slow.start();
  t.after(() => slow.close());
  const { engines, news } = arrange(t, { docker: [slow.socket] });
  engines.start();
  engines.ask([{ id: ID }]);
  while (!slow.wasAskedAbout(ID)) await new Promise((resolve) => setTimeout(resolve, 5));
  engines.close();
  engines.close();
  slow.answer();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(news, [{ type: 'engines', present: true }]);
});
