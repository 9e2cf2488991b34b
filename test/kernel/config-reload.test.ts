import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Command, configure, heldLinks, opensOf, temporaryFolder } from './agent-command.ts';

test('another configuration swaps rules and exporters without touching the probe; what the probe was loaded with waits for a restart', async (t) => {
  const folder = temporaryFolder(t);
  const [first, second] = [join(folder, 'a.first'), join(folder, 'a.second')];
  for (const path of [first, second]) writeFileSync(path, '');
  writeFileSync(join(folder, 'more.yaml'), opensOf('.second').replaceAll('Marked file opened', 'Second'));
  const rules = opensOf('.first');
  const agent = await new Command(t, ['run', '-c', configure(folder, { rules })]).ready();
  const links = heldLinks(agent.pid);
  assert.ok(links.length > 0);
  readFileSync(first);
  await agent.until('the first', () => agent.detections.length === 1);

  configure(folder, { rules, kernel: { rules_files: ['rules.yaml', 'more.yaml'], ring_preset: 5 } });
  await agent.until('the rules', () => agent.stderr.includes('the rules were reloaded'));
  assert.match(
    agent.stderr,
    /what needs a restart of the agent: receivers\.kernel\.ring_preset\. There the values from before/,
  );
  await agent.metricUntil('shikra_config_reload_total{outcome="restart_needed"}', (count) => count === 1);
  readFileSync(first);
  readFileSync(second);
  const rulesSeen = () =>
    agent.detections.map(({ rule }) => rule).filter((rule) => !rule.startsWith('Shikra internal'));
  await agent.until('both', () => rulesSeen().length === 3);
  assert.deepEqual(rulesSeen(), ['Marked file opened', 'Marked file opened', 'Second']);
  assert.deepEqual(heldLinks(agent.pid), links);

  configure(folder, {
    rules,
    kernel: { rules_files: ['rules.yaml', 'more.yaml'] },
    exporters: { stdout: { format: 'json' } },
  });
  await agent.metricUntil('shikra_config_last_reload_success', (value) => value === 1);
  assert.deepEqual(heldLinks(agent.pid), links);
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended(), 0);
});
