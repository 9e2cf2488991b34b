/** The agent on audit logs of Kubernetes, as a process of its own: no root, no probe. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { asUser, Command, type CommandOptions, temporaryFolder } from '../kernel/agent-command.ts';
import { ATTACH, EXEC, event, type Json } from '../sources/k8s-audit/events.ts';

/** Commands in pods by anybody but the one who may. */
const RULES = `
- list: on_call
  items: [oncall@example.com]
- rule: Unexpected command in a pod
  desc: A test.
  source: k8s_audit
  condition: ka.stage = ResponseStarted and ka.target.subresource in (exec, attach) and not ka.user.name in (on_call)
  output: "%ka.user.name %ka.verb %ka.target.namespace/%ka.target.name %ka.target.subresource %ka.uri.param[command] %ka.auditid"
  priority: WARNING
`;

interface Setting {
  readonly folder: string;
  readonly log: string;
  readonly rules: string;
  readonly config: string;
}

function setting(t: TestContext, receiver: Json = {}, others: Json = {}): Setting {
  const folder = temporaryFolder(t);
  const [log, rules, config] = ['audit.log', 'rules.yaml', 'config.yaml'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(rules, RULES);
  const document = {
    receivers: { k8s_audit: { files: ['audit.log'], rules_files: ['rules.yaml'], ...receiver }, ...others },
    exporters: { stdout: { format: 'json' }, prometheus: { port: 0 } },
    service: { store: { path: 'store.db' } },
  };
  writeFileSync(config, JSON.stringify(document));
  return { folder, log, rules, config };
}

async function start(t: TestContext, { config }: Setting, options?: CommandOptions): Promise<Command> {
  const agent = new Command(t, ['run', '-c', config], options);
  await agent.until('it to watch', () => agent.stderr.includes('"msg":"watching '));
  return agent;
}

async function stop(agent: Command): Promise<void> {
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended(), 0, agent.stderr);
}

function append(file: string, ...events: Json[]): void {
  appendFileSync(file, events.map((each) => `${JSON.stringify(each)}\n`).join(''));
}

const numbered = (number: number): Json => event({ ...EXEC, auditID: `audit-${number}` });

function detected(agent: Command, count: number): Promise<void> {
  return agent.until(`${count} detections`, () => agent.detections.length >= count);
}

/** What the store holds: the numbers of {@link numbered}, in the order in which they were stored. */
function stored({ folder }: Setting): number[] {
  const database = new DatabaseSync(join(folder, 'store.db'), { readOnly: true });
  try {
    const rows = database.prepare('SELECT detection FROM detections ORDER BY seq').all() as { detection: string }[];
    return rows.map(({ detection }) => Number(/audit-(\d+)/.exec(detection)![1]));
  } finally {
    database.close();
  }
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

test('a plain user runs it, and a command in a pod by an unexpected user is detected', async (t) => {
  const it = setting(t);
  const agent = await start(t, it, asUser(it.folder));
  const byOncall = event({ ...EXEC, user: { username: 'oncall@example.com', groups: [] } });
  append(it.log, byOncall, EXEC, { ...EXEC, stage: 'ResponseComplete' }, ATTACH);
  await detected(agent, 2);
  assert.deepEqual(
    agent.detections.map(({ output, time }) => [output, time]),
    [
      [`alice@example.com get shop/web-1 exec cat ${EXEC.auditID}`, '2026-11-21T22:00:00.123456000Z'],
      [`alice@example.com create shop/web-1 attach cat ${EXEC.auditID}`, '2026-11-21T22:00:00.123456000Z'],
    ],
  );
  await agent.metricUntil('shikra_events_total{type="k8s_audit"}', (count) => count === 4);
  const labels = 'rule="Unexpected command in a pod",priority="Warning",source="k8s_audit"';
  assert.equal(await agent.metric(`shikra_rule_matches_total{${labels}}`), 2);
  assert.equal(await agent.metric('shikra_detections_total{priority="Warning",source="k8s_audit"}'), 2);
  assert.equal(await agent.metric('shikra_rules_loaded'), 1);
  await stop(agent);
});

test('the bundled rules find commands in pods, and are all that is loaded by default', async (t) => {
  const it = setting(t, { rules_files: undefined, start_at: 'beginning' });
  const place = { objectRef: { resource: 'pods', namespace: 'kube-system', name: 'etcd-0', subresource: 'exec' } };
  append(it.log, { ...EXEC, ...place }, ATTACH, { ...EXEC, stage: 'ResponseComplete' });
  const agent = await start(t, it);
  await detected(agent, 2);
  assert.deepEqual(
    agent.detections.map(({ rule }) => rule),
    ['Command run in a system pod', 'Command run in a pod'],
  );
  assert.match(agent.stderr, /rules for system calls are checked, and never fire: no receiver brings these events/);
  await stop(agent);
});

test('what is no event is counted and told with its line, and the reading goes on', async (t) => {
  const it = setting(t, { start_at: 'beginning', max_event_size: '10kB' });
  appendFileSync(it.log, '\n{"kind":\n');
  append(it.log, { kind: 'Pod' }, numbered(1), event({ ...EXEC, userAgent: 'x'.repeat(20_000) }), numbered(2));
  const agent = await start(t, it);
  await detected(agent, 2);
  const told = agent.stderr
    .split('\n')
    .filter((line) => line.includes('"level":40'))
    .map((line) => JSON.parse(line).msg.replace(it.log, 'LOG'));
  assert.deepEqual(told, [
    'LOG:2: no JSON: Unexpected end of JSON input',
    'LOG:3: expected kind Event or EventList, got "Pod"',
    'LOG:5: a line of more than 10000 bytes is left out; raise receivers.k8s_audit.max_event_size, or log less in the audit policy',
  ]);
  await agent.metricUntil('shikra_k8s_audit_rejected_total{reason="malformed"}', (count) => count === 1);
  assert.equal(await agent.metric('shikra_k8s_audit_rejected_total{reason="not_audit"}'), 1);
  assert.equal(await agent.metric('shikra_k8s_audit_rejected_total{reason="too_large"}'), 1);
  assert.equal(await agent.metric('shikra_k8s_audit_rejected_total{reason="unreadable"}'), 0);
  await stop(agent);
});

test('a file that cannot be read is told and shown, and read once it can', async (t) => {
  const it = setting(t, { start_at: 'beginning' });
  mkdirSync(it.log);
  const agent = await start(t, it);
  const message = `'${it.log}' cannot be read: expected a file, got the folder '${it.log}'`;
  await agent.until('it to be told', () => agent.stderr.includes(message));
  const url = /"url":"(http[^"]*)metrics"/.exec(agent.stderr)![1]!;
  const readiness = await fetch(`${url}readyz`);
  assert.equal(readiness.status, 200, 'a restart would help nobody');
  assert.equal(((await readiness.json()) as { parts: Json }).parts.k8s_audit, message);
  rmdirSync(it.log);
  append(it.log, numbered(1));
  await detected(agent, 1);
  assert.equal(agent.stderr.split(message).length, 2, 'it is told once');
  await stop(agent);
});

test('rotation of either kind, stops and restarts lose no event and give none twice', async (t) => {
  const it = setting(t, { start_at: 'beginning' });
  let last = 0;
  const more = (count: number) => {
    for (let index = 0; index < count; index++) append(it.log, numbered(++last));
  };
  more(10);
  let agent = await start(t, it);
  await detected(agent, 10);
  more(10);
  renameSync(it.log, join(it.folder, 'audit-2026-11-21T22-00-00.000.log'));
  more(10);
  await detected(agent, 30);
  more(5); // perhaps read, perhaps not
  await stop(agent);

  more(5);
  renameSync(it.log, join(it.folder, 'audit-2026-11-21T22-00-01.000.log'));
  more(10);
  renameSync(it.log, join(it.folder, 'audit-2026-11-21T22-00-02.000.log'));
  more(10);
  const before = stored(it).length;
  agent = await start(t, it);
  await detected(agent, 60 - before);
  copyFileSync(it.log, join(it.folder, 'audit.log.1'));
  truncateSync(it.log);
  more(10);
  await detected(agent, 70 - before);
  const half = `${JSON.stringify(numbered(++last))}\n`;
  appendFileSync(it.log, half.slice(0, 300));
  await stop(agent);

  appendFileSync(it.log, half.slice(300));
  agent = await start(t, it);
  await detected(agent, 1);
  await stop(agent);
  assert.deepEqual(stored(it), upTo(71));
});

test('an agent that is killed while it reads loses no event and stores none twice', async (t) => {
  const it = setting(t, { start_at: 'beginning' });
  const COUNT = 1000;
  for (const number of upTo(COUNT)) append(it.log, numbered(number));
  for (let seen = 0; seen < COUNT; ) {
    const agent = await start(t, it);
    await agent.until('some more', () => agent.detections.length > 300 || seen + agent.detections.length >= COUNT);
    agent.child.kill('SIGKILL');
    await agent.ended();
    const now = stored(it).length;
    assert.ok(now > seen);
    seen = now;
  }
  assert.deepEqual(stored(it), upTo(COUNT));
});

test('changed rules are taken over, those with mistakes are not', async (t) => {
  const it = setting(t);
  writeFileSync(it.log, '');
  const agent = await start(t, it);
  writeFileSync(it.rules, RULES.replace('[oncall@example.com]', '[oncall@example.com, alice@example.com]'));
  await agent.until('a reload', () => agent.stderr.includes('the rules were reloaded'));
  append(it.log, EXEC);
  await agent.metricUntil('shikra_events_total{type="k8s_audit"}', (count) => count === 1);
  assert.equal(agent.detections.length, 0);

  writeFileSync(it.rules, RULES.replace('ka.stage', 'ka.stge'));
  await agent.until('a refusal', () => agent.detections.length === 1);
  assert.match(agent.detections[0]!.output, /^The rules were not reloaded: they have a mistake\. .*\n.*ka\.stge/);
  append(it.log, EXEC);
  await agent.metricUntil('shikra_events_total{type="k8s_audit"}', (count) => count === 2);
  assert.equal(agent.detections.length, 1, 'the rules from before are in force');

  writeFileSync(it.rules, RULES);
  agent.child.kill('SIGHUP');
  await agent.until('the next reload', () => agent.stderr.split('the rules were reloaded').length >= 3);
  append(it.log, EXEC);
  await detected(agent, 2);
  const labels = 'rule="Unexpected command in a pod",priority="Warning",source="k8s_audit"';
  await agent.metricUntil(`shikra_rule_matches_total{${labels}}`, (count) => count === 1);
  await stop(agent);
});

test('rules with mistakes keep it from starting', async (t) => {
  const it = setting(t);
  writeFileSync(it.rules, RULES.replace('ka.stage', 'ka.stge'));
  const agent = new Command(t, ['run', '-c', it.config]);
  assert.equal(await agent.ended(), 2);
  assert.match(agent.stderr, /rules\.yaml:\d+:\d+: error \w+: .*ka\.stge/);
  assert.ok(!existsSync(join(it.folder, 'k8s_audit.positions.json')));
});

test('damaged positions are told, and the log is begun as if for the first time', async (t) => {
  const it = setting(t, { positions_file: 'own.json' });
  append(it.log, numbered(1));
  writeFileSync(join(it.folder, 'own.json'), '{');
  const agent = await start(t, it);
  assert.match(agent.stderr, /the positions in '[^']*own\.json' cannot be read: the logs are read from their end/);
  await agent.until('the log to be open', () => agent.stderr.includes('is read from its end'));
  append(it.log, numbered(2));
  await detected(agent, 1);
  await stop(agent);
  assert.deepEqual(stored(it), [2]);
  assert.equal(JSON.parse(readFileSync(join(it.folder, 'own.json'), 'utf8')).version, 1);
});

test('two receivers of one type are refused', async (t) => {
  const it = setting(t, {}, { 'k8s_audit/other': { files: ['other.log'] } });
  const agent = new Command(t, ['run', '-c', it.config]);
  assert.equal(await agent.ended(), 2);
  assert.match(
    agent.stderr,
    /expected one receiver of type k8s_audit, got k8s_audit and k8s_audit\/other; put both into one/,
  );
});
