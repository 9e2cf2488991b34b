/** How the agent ends, by a signal or because its collector died: nothing stays attached, and what was detected is kept. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { Command, configure, heldLinks, opensOf, remainingLinks, temporaryFolder } from './agent-command.ts';
import { buildTrigger, trigger } from './trigger.ts';

/** The agent allows itself five seconds; a busy machine may take as long again. Whoever supervises it kills it after ten. */
const STOP_MILLIS = 10_000;

/** Opens a file again and again until the test ends. */
function openLoop(t: TestContext, file: string): void {
  const loop = spawn('sh', ['-c', 'while :; do : < "$0"; done', file], { stdio: 'ignore' });
  t.after(() => loop.kill('SIGKILL'));
}

/** A receiver that accepts connections and never says a word: the slowest way to be down. */
async function silentEndpoint(t: TestContext): Promise<string> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function stopped(agent: Command): Promise<void> {
  const links = heldLinks(agent.pid);
  assert.ok(links.length >= 4, `${links.length} links`);
  const started = performance.now();
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended(), 0, agent.stderr);
  const millis = performance.now() - started;
  assert.ok(millis < STOP_MILLIS, `it took ${millis} ms`);
  assert.deepEqual(remainingLinks(links), []);
}

interface Stop {
  readonly title: string;
  readonly load?: 'other files' | 'the file of the rule';
  readonly exporters?: (t: TestContext) => Promise<object>;
}

const otlp = (protocol: string, endpoint: string) => ({ otlp: { endpoint, protocol } });
const STOPS: readonly Stop[] = [
  { title: 'an idle agent' },
  { title: 'an agent under load', load: 'other files' },
  { title: 'an agent in a flood of detections', load: 'the file of the rule' },
  { title: 'an agent whose gRPC endpoint refuses', exporters: async () => otlp('grpc', 'http://127.0.0.1:1') },
  { title: 'an agent whose gRPC endpoint is silent', exporters: async (t) => otlp('grpc', await silentEndpoint(t)) },
  {
    title: 'an agent whose HTTP endpoint is silent',
    exporters: async (t) => otlp('http/protobuf', await silentEndpoint(t)),
  },
  {
    title: 'an agent in a flood of detections whose gRPC endpoint is silent',
    load: 'the file of the rule',
    exporters: async (t) => otlp('grpc', await silentEndpoint(t)),
  },
];

for (const { title, load, exporters } of STOPS)
  test(`${title} stops within five seconds of SIGTERM, and leaves nothing attached`, async (t) => {
    buildTrigger();
    const folder = temporaryFolder(t);
    const file = join(folder, 'shikra-stop');
    writeFileSync(file, '');
    writeFileSync(join(folder, 'other'), '');
    const config = configure(folder, { rules: opensOf('shikra-stop'), exporters: (await exporters?.(t)) ?? {} });
    const agent = await new Command(t, ['run', '-c', config]).ready();
    if (load !== undefined) openLoop(t, load === 'other files' ? join(folder, 'other') : file);
    const { pid } = trigger(['open', file, '0', '0']);
    await agent.until('a detection', () => agent.stdout.includes(`by ${pid} `));
    if (load === 'other files')
      await agent.metricUntil('shikra_events_total{type="openat"}', (value) => value > 10_000);
    const { pid: last } = trigger(['open', file, '0', '0']);
    await stopped(agent);
    assert.doesNotMatch(agent.stderr, /a detection was lost/);
    // More than can be worked through in the time: what is left is told.
    const isFlood = load === 'the file of the rule';
    const drained = agent.stdout.includes(`by ${last} `);
    assert.ok(
      drained || (isFlood && agent.stderr.includes('there was no time for all events')),
      'what happened just before is drained',
    );
    const stored = new DatabaseSync(join(folder, 'store.db'), { readOnly: true });
    assert.ok(count(stored) >= 2);
    stored.close();
    // A new agent starts where this one ended.
    const next = await new Command(t, ['run', '-c', config]).ready();
    await stopped(next);
  });

function count(store: DatabaseSync): number {
  const table = store
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%detection%'")
    .get()!.name;
  return Number(store.prepare(`SELECT count(*) AS count FROM "${table}"`).get()!.count);
}

test('a second SIGTERM ends it at once', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'shikra-stop');
  const config = configure(folder, { rules: opensOf('shikra-stop'), exporters: otlp('grpc', await silentEndpoint(t)) });
  const agent = await new Command(t, ['run', '-c', config]).ready();
  const links = heldLinks(agent.pid);
  writeFileSync(file, '');
  await agent.until('a detection', () => agent.detections.length > 0);
  agent.child.kill('SIGTERM');
  // The first half second of them may be the echo of the first.
  const again = setInterval(() => agent.child.kill('SIGTERM'), 50);
  t.after(() => clearInterval(again));
  assert.equal(await agent.ended(), 128 + 15);
  assert.deepEqual(remainingLinks(links), []);
});

const CRASHES = {
  'an error that nobody catches': "throw new TypeError('a defect of the collector')",
  'a rejection that nobody catches': "Promise.reject(new TypeError('a defect of the collector'))",
  'memory used up': 'for (const kept = []; ; ) kept.push(new Array(1e5).fill(Math.random()))',
  'an exit': 'process.exit(7)',
} as const;
const TOLD = {
  'an error that nobody catches': 'a defect of the collector',
  'a rejection that nobody catches': 'a defect of the collector',
  'memory used up': 'Worker terminated due to reaching memory limit: JS heap out of memory',
  'an exit': 'it exited with code 7',
} as const;

for (const [title, crash] of Object.entries(CRASHES))
  test(`a collector that dies of ${title} ends the agent loudly, with nothing attached`, async (t) => {
    const folder = temporaryFolder(t);
    const now = join(folder, 'now');
    const module = `
      import { existsSync } from 'node:fs';
      import { isMainThread } from 'node:worker_threads';
      if (!isMainThread) setInterval(() => { if (existsSync(${JSON.stringify(now)})) { ${crash} } }, 10);`;
    writeFileSync(join(folder, 'crash.mjs'), module);
    const config = configure(folder, {
      rules: opensOf('shikra-stop'),
      exporters: otlp('grpc', await silentEndpoint(t)),
    });
    const nodeOptions = ['--max-old-space-size=128', '--import', join(folder, 'crash.mjs')];
    const agent = await new Command(t, ['run', '-c', config], { nodeOptions }).ready();
    const links = heldLinks(agent.pid);
    assert.ok(links.length >= 4, `${links.length} links`);
    writeFileSync(join(folder, 'shikra-stop'), '');
    await agent.until('a detection', () => agent.detections.length > 0);

    writeFileSync(now, '');
    // It still tries to deliver for two seconds: the links are gone before, not because the process is.
    await agent.until('the message', () => agent.stderr.includes('the collector thread stopped'));
    const lines = agent.stderr.split('\n').filter((line) => line.includes('"level":60'));
    assert.equal(lines.length, 1, agent.stderr);
    const told = JSON.parse(lines[0]!) as { msg: string; remedy: string };
    assert.equal(told.msg, `the collector thread stopped: ${TOLD[title as keyof typeof TOLD]}`);
    assert.equal(told.remedy, 'nothing is left attached to the kernel; start again and report the message');
    assert.deepEqual(remainingLinks(links), []);
    assert.equal(agent.child.exitCode, null, 'it looked too late: the process had ended');
    assert.equal(await agent.ended(), 1);
    assert.deepEqual(remainingLinks(links), []);
  });
