/** Rules that name domain names, with names that this machine resolves: those of a hosts file that only the agent sees. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Command, configure, temporaryFolder } from './agent-command.ts';
import { buildTrigger, trigger } from './trigger.ts';

const UDP = 2;
const PORT = 39_413;

before(buildTrigger);

const rule = (name: string, condition: string) => ({
  rule: name,
  desc: 'A test.',
  condition: `evt.type = connect and fd.sport = ${PORT} and ${condition}`,
  output: '%fd.sip.name|%fd.sip',
  priority: 'WARNING',
});

test('a connection to a name is detected by its addresses; one that it had before counts, too, when it has another', async (t) => {
  const folder = temporaryFolder(t);
  const hosts = join(folder, 'hosts');
  writeFileSync(hosts, '127.0.0.7 moving.test other.test\n');
  const rules = [
    rule('To it', 'fd.sip.name in (moving.test, absent.invalid)'),
    rule('Elsewhere', 'fd.sip.name != moving.test'),
    { ...rule('Switched off', 'fd.sip.name = off.invalid'), enabled: false },
  ];
  const config = configure(folder, { rules: JSON.stringify(rules) });
  const script = `mount --bind ${hosts} /etc/hosts && exec "$@"`;
  const agent = await new Command(t, ['run', '-c', config], {
    prefix: ['unshare', '--mount', 'sh', '-c', script, 'sh'],
  }).ready();
  const connect = (address: string) => trigger(['connect', `v4:${address}:${PORT}`, String(UDP)]);
  const told = () =>
    agent.detections
      .filter(({ rule: name }) => !name.startsWith('Shikra internal'))
      .map(({ rule: name, output_fields: fields }) => [name, fields['fd.sip'], fields['fd.sip.name']]);
  const expected: unknown[][] = [];
  const detected = async (...one: unknown[]) => {
    expected.push(one);
    await agent.until(String(one), () => told().length >= expected.length);
    assert.deepEqual(told(), expected);
  };

  connect('127.0.0.7');
  await detected('To it', '127.0.0.7', 'moving.test');
  connect('127.0.0.8');
  await detected('Elsewhere', '127.0.0.8', null);

  writeFileSync(hosts, '127.0.0.8 moving.test\n');
  await agent.metricUntil('shikra_domain_name_lookups_total{outcome="resolved"}', (count) => count >= 2);
  connect('127.0.0.8');
  await detected('To it', '127.0.0.8', 'moving.test');
  connect('127.0.0.7');
  await detected('To it', '127.0.0.7', 'moving.test');

  await agent.until('word of the other', () => agent.stderr.includes('cannot be resolved: absent.invalid ('));
  assert.doesNotMatch(agent.stderr, /off\.invalid/);
  assert.equal(await agent.metric('shikra_domain_names{state="resolved"}'), 1);
  assert.equal(await agent.metric('shikra_domain_names{state="unresolved"}'), 1);
});

test('names that other rules bring are known when those are in force', async (t) => {
  const folder = temporaryFolder(t);
  const config = configure(folder, { rules: JSON.stringify([rule('Other', 'fd.sip.name = absent.invalid')]) });
  const agent = await new Command(t, ['run', '-c', config]).ready();
  configure(folder, { rules: JSON.stringify([rule('By name', 'fd.sip.name = localhost')]) });
  await agent.until('the rules', () => agent.stderr.includes('the rules were reloaded'));
  trigger(['connect', `v4:127.0.0.1:${PORT}`, String(UDP)]);
  await agent.until('a detection', () => agent.detections.some(({ rule: name }) => name === 'By name'));
  const alert = agent.detections.find(({ rule: name }) => name === 'By name')!;
  assert.equal(alert.output_fields['fd.sip.name'], 'localhost');
  await agent.metricUntil('shikra_domain_names{state="unresolved"}', (count) => count === 0);
});
