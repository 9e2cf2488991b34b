import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Command, temporaryFolder } from '../kernel/agent-command.ts';
import { AgentWith } from './agent-with.ts';

const RECEIVERS = { falco_http: { port: 0 } };

test('a second agent on the store of a first one does not start, and names it', async (t) => {
  const first = await AgentWith.start(t, RECEIVERS);
  const second = new AgentWith(t, RECEIVERS, {}, first.folder);
  assert.equal(await second.command.ended(), 1);
  const store = join(first.folder, 'store.db');
  const expected = `shikra: another agent works with the detection store ${store}: process ${first.command.pid}\n  remedy: stop it, or give this one a store of its own: service.store.path`;
  assert.ok(second.command.stderr.startsWith(expected), second.command.stderr);

  const dead = new Command(t, ['deadletter', 'list', '-c', join(first.folder, 'config.yaml')]);
  assert.equal(await dead.ended(), 0, 'a reader is not kept out');
  await first.stop();
  const third = await AgentWith.start(t, RECEIVERS, {}, first.folder);
  await third.stop();
});

test('an agent that was killed leaves no lock behind', async (t) => {
  const first = await AgentWith.start(t, RECEIVERS);
  first.command.child.kill('SIGKILL');
  await first.command.ended();
  const second = await AgentWith.start(t, RECEIVERS, {}, first.folder);
  await second.stop();
});

test('where nothing can be written beside the store, the agent says so and runs', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'store.db.lock')); // a folder cannot be opened as a file
  const agent = await AgentWith.start(t, RECEIVERS, {}, folder);
  assert.match(
    agent.command.stderr,
    /store\.db\.lock cannot be locked: .*; a second agent on this store would not be noticed/,
  );
  await agent.stop();
});
