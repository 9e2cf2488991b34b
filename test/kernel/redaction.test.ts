import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AgentWith } from '../agent/agent-with.ts';
import { shikra } from '../cli/run-shikra.ts';
import { Command, temporaryFolder } from './agent-command.ts';

const SECRET = 'hunter2hunter2';
const RULES = `
- rule: Password on a command line
  desc: A test.
  condition: evt.type = execve and proc.cmdline contains "--password=${SECRET}"
  output: "ran %proc.cmdline as %proc.args"
  priority: WARNING
`;

async function start(t: TestContext, service: object) {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'rules.yaml'), RULES);
  return AgentWith.start(t, { kernel: { rules_files: ['rules.yaml'] } }, { service }, folder);
}

test('a rule sees the command line as it is; what is printed and stored has no secret of it', async (t) => {
  const agent = await start(t, {});
  spawnSync('/bin/true', [`--password=${SECRET}`, 'db']);
  await agent.command.until('the detection', () => agent.command.detections.length === 1);
  assert.equal(agent.command.detections[0]!.output, 'ran true --password=*** db as --password=*** db');
  for (const file of readdirSync(agent.folder).filter((name) => name.startsWith('store.db')))
    assert.equal(readFileSync(join(agent.folder, file)).includes(SECRET), false, file);
  await agent.stop();
});

test('switched off, command lines are stored as they are', async (t) => {
  const agent = await start(t, { redaction: { command_lines: false } });
  spawnSync('/bin/true', [`--password=${SECRET}`]);
  await agent.command.until('the detection', () => agent.command.detections.length === 1);
  assert.match(agent.command.detections[0]!.output, new RegExp(SECRET));
  await agent.stop();
});

/** A replay printed command lines as they were recorded: what `shikra run` hides stood on a terminal, and in whatever its output was sent to. */
test('a replay hides what the agent would have hidden, and shows it where the configuration says so', async (t) => {
  const folder = temporaryFolder(t);
  const path = (name: string) => join(folder, name);
  const configure = (redaction: object) => {
    const receivers = { kernel: { rules_files: ['rules.yaml'] } };
    writeFileSync(path('config.yaml'), JSON.stringify({ receivers, service: { redaction } }));
  };
  writeFileSync(path('rules.yaml'), RULES);
  configure({});
  const recorder = new Command(t, ['record', '-o', path('recording'), '-c', path('config.yaml')]);
  await recorder.until('it to record', () => recorder.stderr.includes('recording to'));
  spawnSync('/bin/true', [`--password=${SECRET}`, 'db']);
  recorder.child.kill('SIGTERM');
  assert.equal(await recorder.ended(), 0, recorder.stderr);

  const replay = (...parameters: string[]) => shikra(['replay', path('recording'), ...parameters]);
  for (const format of ['json', 'text'])
    for (const rules of [
      ['--rules', path('rules.yaml')],
      ['-c', path('config.yaml')],
    ]) {
      const { code, stdout, stderr } = replay(...rules, '--format', format);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /ran true --password=\*\*\* db as --password=\*\*\* db/);
      assert.equal(stdout.includes(SECRET), false, stdout);
    }
  configure({ patterns: ['\\bdb\\b'] });
  assert.match(replay('-c', path('config.yaml')).stdout, /ran true --password=\*\*\* \*\*\* as/);
  configure({ command_lines: false });
  assert.match(replay('-c', path('config.yaml')).stdout, new RegExp(SECRET));
});
