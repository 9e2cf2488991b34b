/** The configuration of an agent that runs is changed: what it detects meanwhile comes out of it all the same. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePort } from '../fixtures/free-ports.ts';
import { OtlpReceiver, serveHttp } from '../fixtures/otlp-receiver.ts';
import { AgentWith } from './agent-with.ts';

type Json = Record<string, unknown>;

const QUICK = { retry: { initial_interval: '10ms', max_interval: '50ms' } };
const RELOADED = 'the configuration was reloaded';
const count = (agent: AgentWith, message: string) => agent.command.stderr.split(`"msg":"${message}`).length - 1;
const failures = 'shikra_config_reload_total{outcome="failure"}';

async function sink(t: TestContext) {
  const receiver = new OtlpReceiver();
  const server = await serveHttp(receiver);
  t.after(() => server.close());
  return { receiver, exporter: (settings: Json = {}) => ({ endpoint: server.url, ...QUICK, ...settings }) };
}

/** Writes another configuration and waits until the agent has taken it. */
async function change(agent: AgentWith, config: Parameters<AgentWith['configure']>[0]): Promise<void> {
  const before = count(agent, RELOADED);
  agent.configure(config);
  await agent.command.until('the configuration to be reloaded', () => count(agent, RELOADED) > before);
}

let posted = 0;

async function post(url: string, priority = 'Warning'): Promise<string> {
  const number = posted++;
  const time = `2026-11-18T11:10:00.${String(number).padStart(9, '0')}Z`;
  const alert = { rule: 'A rule', priority, time, output: `number ${number}`, output_fields: { number } };
  const init = { method: 'POST', body: JSON.stringify(alert), headers: { 'content-type': 'application/json' } };
  const response = await fetch(url, init);
  assert.equal(response.status, 200);
  return ((await response.json()) as { uuid: string }).uuid;
}

test('exporters come, change and go while alerts arrive, and none of what is theirs is lost or sent twice', async (t) => {
  const [first, second] = [await sink(t), await sink(t)];
  const receivers = { falco_http: { port: 0 } };
  const agent = await AgentWith.start(t, receivers, { exporters: { 'otlp/first': first.exporter() } });
  const url = agent.url('alerts of Falco are taken');
  const sent: string[] = [];
  let goesOn = true;
  const posting = (async () => {
    while (goesOn) sent.push(await post(url));
  })();
  const some = async () => {
    const enough = sent.length + 20;
    await agent.command.until('some alerts', () => sent.length >= enough || !goesOn);
  };
  await some();
  const both = { 'otlp/first': first.exporter(), 'otlp/second': second.exporter() };
  await change(agent, { receivers, exporters: both });
  const added = sent.length + 1; // one may be on its way
  await some();
  await change(agent, {
    receivers,
    exporters: { ...both, 'otlp/first': first.exporter({ batch: { max_records: 3 } }) },
  });
  await some();
  await change(agent, { receivers, exporters: { ...both, stdout: { format: 'text' } } });
  await some();
  goesOn = false;
  await posting;
  await first.receiver.until(() => first.receiver.uids.length >= sent.length, 'all at the first');
  assert.deepEqual(first.receiver.uids, sent);
  await second.receiver.until(() => second.receiver.uids.includes(sent.at(-1)!), 'the last at the second');
  const rest = sent.slice(added);
  assert.deepEqual(second.receiver.uids.slice(-rest.length), rest);
  assert.equal(new Set(second.receiver.uids).size, second.receiver.uids.length);

  await change(agent, { receivers, exporters: { 'otlp/second': second.exporter() } });
  const last = await post(url);
  await second.receiver.until(() => second.receiver.uids.includes(last), 'the last at the second');
  assert.equal(first.receiver.uids.includes(last), false);
  const page = await (await fetch(agent.url('metrics are served'))).text();
  assert.doesNotMatch(page, /shikra_exporter_queue_size\{exporter="otlp\/first"\}/);
  await agent.stop();
  for (const uuid of sent) assert.equal(agent.command.stdout.split(uuid).length <= 2, true);
});

test('an exporter that comes back goes on where it was when it went', async (t) => {
  const far = await sink(t);
  const receivers = { falco_http: { port: 0 } };
  const agent = await AgentWith.start(t, receivers, { exporters: { otlp: far.exporter() } });
  const url = agent.url('alerts of Falco are taken');
  const sent = [await post(url)];
  await far.receiver.until(() => far.receiver.uids.length === 1, 'the first');
  await change(agent, { receivers, exporters: {} });
  sent.push(await post(url), await post(url));
  await change(agent, { receivers, exporters: { otlp: far.exporter() } });
  sent.push(await post(url));
  await far.receiver.until(() => far.receiver.uids.length >= sent.length, 'all of them');
  assert.deepEqual(far.receiver.uids, sent);
  await agent.stop();
});

test('filters, processors and receivers of the new configuration take effect', async (t) => {
  const far = await sink(t);
  const agent = await AgentWith.start(t, { falco_http: { port: 0 } }, { exporters: { otlp: far.exporter() } });
  const url = agent.url('alerts of Falco are taken');
  const kept = [await post(url, 'Notice')];
  await change(agent, {
    receivers: { falco_http: { port: 0 } },
    exporters: { otlp: far.exporter({ filter: { min_priority: 'Error' } }) },
  });
  assert.equal(agent.url('alerts of Falco are taken'), url, 'a receiver that did not change goes on listening');
  await post(url, 'Notice');
  kept.push(await post(url, 'Critical'));
  await change(agent, {
    receivers: { falco_http: { port: await freePort(), path: '/falco' }, otlp: { http: { port: await freePort() } } },
    exporters: { otlp: far.exporter() },
  });
  await assert.rejects(fetch(url), 'the old address is gone');
  const moved = agent.url('alerts of Falco are taken');
  assert.match(moved, /\/falco$/);
  assert.match(agent.url('OTLP is taken over HTTP'), /^http:/);
  kept.push(await post(moved, 'Notice'));
  await far.receiver.until(() => far.receiver.uids.length >= kept.length, 'all of them');
  assert.deepEqual(far.receiver.uids, kept);
  await agent.stop();
});

test('a configuration with mistakes leaves the one before in force, and says so in log, metric and detection', async (t) => {
  const receivers = { falco_http: { port: 0 } };
  const agent = await AgentWith.start(t, receivers);
  const url = agent.url('alerts of Falco are taken');
  const good = readFileSync(join(agent.folder, 'config.yaml'), 'utf8');
  agent.write(good.replace('"stdout"', '"stdot"'));
  await agent.command.metricUntil(failures, (value) => value === 1);
  assert.equal(await agent.command.metric('shikra_config_last_reload_success'), 0);
  await agent.command.until('a detection of it', () => agent.command.stdout.includes('configuration rejected'));
  const [told] = agent.command.detections;
  assert.equal(told!.rule, 'Shikra internal: configuration rejected');
  assert.match(
    told!.output,
    /^The configuration was not reloaded: .*\n.*config\.yaml:1:\d+: exporters\.stdot: unknown type `stdot`; did you mean `stdout`\?/,
  );
  assert.match(agent.command.stderr, /"level":50.*The configuration was not reloaded/);
  await post(url);
  agent.write(good);
  await agent.command.metricUntil('shikra_config_last_reload_success', (value) => value === 1);
  await post(url);
  assert.equal(agent.stored().length, 3);
  await agent.stop();
});

test('a part that cannot start brings the configuration before back', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as { port: number };
  const far = await sink(t);
  const receivers = { falco_http: { port: 0 } };
  const agent = await AgentWith.start(t, receivers, { exporters: { otlp: far.exporter() } });
  for (const [number, broken] of [
    { receivers: { falco_http: { port } } },
    { receivers, exporters: { prometheus: { port }, otlp: far.exporter({ batch: { max_records: 5 } }) } },
  ].entries()) {
    agent.configure(broken);
    await agent.command.until('a refusal', () => count(agent, 'The configuration was not reloaded') === number + 1);
    assert.match(
      agent.command.stderr,
      new RegExp(`The configuration was not reloaded: cannot listen on 127.0.0.1:${port}`),
    );
    const sent = await post(agent.url('alerts of Falco are taken'));
    await far.receiver.until(() => far.receiver.uids.includes(sent), 'it at the end');
    await agent.command.metricUntil(failures, (value) => value === number + 1);
  }
  await agent.stop();
});

test('what needs a restart keeps its value, and that is said', async (t) => {
  const receivers = { falco_http: { port: 0 } };
  const agent = await AgentWith.start(t, receivers);
  agent.configure({ receivers, service: { store: { path: 'another.db' }, telemetry: { logs: { level: 'debug' } } } });
  const held = 'service.store.path, service.telemetry.logs';
  await agent.command.until('it said', () => agent.command.stdout.includes('restart needed'));
  assert.match(agent.command.stderr, new RegExp(`"level":50.*but for what needs a restart of the agent: ${held}\\. `));
  await agent.command.metricUntil('shikra_config_reload_total{outcome="restart_needed"}', (value) => value === 1);
  agent.configure({ receivers: { ...receivers, kernel: {} } });
  await agent.command.until('a refusal', () =>
    agent.command.stderr.includes('changes from none to kernel: this needs a restart'),
  );
  await post(agent.url('alerts of Falco are taken'));
  assert.equal(agent.stored().length, 3);
  await agent.stop();
});

test('SIGHUP reads the configuration again', async (t) => {
  const agent = await AgentWith.start(t, { falco_http: { port: 0 } });
  agent.command.child.kill('SIGHUP');
  await agent.command.until('an answer', () => agent.command.stderr.includes('the configuration is in force as it is'));
  assert.equal(await agent.command.metric('shikra_config_reload_total{outcome="success"}'), 1);
  await agent.stop();
});
