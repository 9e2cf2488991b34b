/** System calls and audit events in one agent: one list of rule files, one way of detections. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXEC } from '../sources/k8s-audit/events.ts';
import { Command, temporaryFolder } from './agent-command.ts';

const rules = (suffix: string) => `
- {rule: Opened, desc: d, condition: evt.type = openat and fd.name endswith ${suffix}, output: "%fd.name", priority: WARNING}
- {rule: Commanded, desc: d, source: k8s_audit, condition: ka.target.subresource = exec, output: "%ka.user.name ${suffix}", priority: WARNING}
`;

test('both kinds of events fire rules of the same files, also after a reload', async (t) => {
  const folder = temporaryFolder(t);
  const [log, ruleFile, one, two] = ['audit.log', 'rules.yaml', 'one', 'two'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const file of [log, one, two]) writeFileSync(file, '');
  writeFileSync(ruleFile, rules('/one'));
  const config = {
    receivers: { kernel: { rules_files: ['rules.yaml'] }, k8s_audit: { files: ['audit.log'] } },
    exporters: { stdout: { format: 'json' }, prometheus: { port: 0 } },
    service: { store: { path: 'store.db' } },
  };
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config));
  const agent = await new Command(t, ['run', '-c', join(folder, 'config.yaml')]).ready();
  assert.match(agent.stderr, /"rules":2,"msg":"watching system calls and Kubernetes audit events"/);
  assert.doesNotMatch(agent.stderr, /never fire/);
  await agent.until('the log to be open', () => agent.stderr.includes('is read from its end'));

  const happen = (file: string) => {
    readFileSync(file);
    appendFileSync(log, `${JSON.stringify(EXEC)}\n`);
  };
  const seen = () => agent.detections.map(({ rule, output }) => `${rule}: ${output}`).sort();
  happen(one);
  const first = ['Commanded: alice@example.com /one', `Opened: ${one}`];
  await agent.until('both detections', () => seen().length >= 2);
  assert.deepEqual(seen(), first);
  assert.equal(await agent.metric('shikra_rules_loaded'), 2);

  writeFileSync(ruleFile, rules('/two'));
  await agent.until('both reloads', () => agent.stderr.split('the rules were reloaded').length === 3);
  // The audit event is the same one again, so its detection is too: the store has it.
  happen(two);
  await agent.until('the other file', () => seen().includes(`Opened: ${two}`));
  await agent.metricUntil('shikra_events_total{type="k8s_audit"}', (count) => count === 2);
  assert.equal(await agent.metric('shikra_rules_reload_total{outcome="success"}'), 2);
  assert.equal(await agent.metric('shikra_store_records_total{outcome="duplicate"}'), 1);

  writeFileSync(ruleFile, rules('/three').replace('ka.target', 'ka.targt'));
  await agent.until('both refusals', () => agent.stderr.split(' were not reloaded').length >= 3);
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended(), 0, agent.stderr);
});

test('each kind of events goes the way of its pipelines', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'one');
  for (const name of ['audit.log', 'one']) writeFileSync(join(folder, name), '');
  writeFileSync(join(folder, 'rules.yaml'), rules('/one'));
  const logs = (receiver: string, exporter: string) => ({ receivers: [receiver], exporters: [exporter] });
  const config = {
    receivers: { kernel: { rules_files: ['rules.yaml'] }, k8s_audit: { files: ['audit.log'] } },
    exporters: { stdout: { format: 'json' }, file: { path: join(folder, 'calls.jsonl') }, prometheus: { port: 0 } },
    service: {
      store: { path: 'store.db' },
      pipelines: {
        'logs/calls': logs('kernel', 'file'),
        'logs/audit': logs('k8s_audit', 'stdout'),
        metrics: { exporters: ['prometheus'] },
      },
    },
  };
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config));
  const agent = await new Command(t, ['run', '-c', join(folder, 'config.yaml')]).ready();
  await agent.until('the log to be open', () => agent.stderr.includes('is read from its end'));
  readFileSync(file);
  await agent.metricUntil('shikra_exporter_records_total{exporter="file",outcome="delivered"}', (count) => count === 1);
  appendFileSync(join(folder, 'audit.log'), `${JSON.stringify(EXEC)}\n`);
  await agent.until('the audit event', () => agent.detections.length > 0);
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended(), 0, agent.stderr);
  assert.deepEqual(
    agent.detections.map(({ rule }) => rule),
    ['Commanded'],
  );
  const delivered = readFileSync(join(folder, 'calls.jsonl'), 'utf8').trimEnd().split('\n');
  assert.deepEqual(
    delivered.map((line) => JSON.parse(line).rule),
    ['Opened'],
  );
});
