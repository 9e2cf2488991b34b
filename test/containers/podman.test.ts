/** Podman's service, which answers as Docker does, with containers that do what a rule is about. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { AgentProcess } from '../kernel/agent-process.ts';
import { EngineProcess, noEngine } from './engine-process.ts';
import { imageArchive } from './image.ts';
import { detectionOf, IMAGE, READ, SECRET, startAgent } from './secrets.ts';

const skip = noEngine('podman', 'conmon');

const shared = (folder: string) => [
  `--root=${join(folder, 'root')}`,
  `--runroot=${join(folder, 'run')}`,
  `--tmpdir=${join(folder, 'tmp')}`,
  '--storage-driver=vfs',
  '--cgroup-manager=cgroupfs',
  '--events-backend=file',
  '--runtime=runc',
];

/** Its own limits are above those of some machines. */
const LIMITS = ['--network=none', '--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024'];

describe('with Podman', { skip }, () => {
  const podman = new EngineProcess(
    'podman',
    'podman',
    (folder) => [...shared(folder), 'system', 'service', '--time=0', `unix://${join(folder, 'podman.sock')}`],
    () => existsSync(socket()),
  );
  const socket = () => join(podman.folder, 'podman.sock');
  const run = (...args: readonly string[]) =>
    execFileSync('podman', [...shared(podman.folder), ...args], { encoding: 'utf8', timeout: 30_000 });
  let agent: AgentProcess;

  before(async () => {
    await podman.start();
    run('load', '--input', imageArchive(podman.folder, [`${IMAGE}:1.2`], SECRET));
    agent = await startAgent({ podman: [socket()] });
  });

  after(async () => {
    await agent?.close();
    spawnSync('podman', [...shared(podman.folder), 'rm', '--all', '--force']);
    await podman.close();
  });

  it('tells of the container in which a secret was read', async () => {
    // Without --rm: a container that is gone before the engine was asked about it has no name.
    const options = [...LIMITS, '--label=team=payments', '--name=shop'];
    const { output_fields: fields } = await detectionOf(agent, READ, () =>
      run('run', ...options, `${IMAGE}:1.2`, 'cat', SECRET),
    );
    assert.match(String(fields['container.full_id']), /^[0-9a-f]{64}$/);
    assert.equal(fields['container.name'], 'shop');
    assert.equal(fields['container.type'], 'podman');
    assert.equal(fields['container.image.repository'], IMAGE);
    assert.equal(fields['container.image.tag'], '1.2');
    assert.match(String(fields['container.image.digest']), /^sha256:[0-9a-f]{64}$/);
    assert.equal(fields['container.privileged'], false);
    assert.equal(fields['container.label.team'], 'payments');
  });

  it('knows what is run in a container later', async () => {
    run('run', '--detach', ...LIMITS, '--name=visited', `${IMAGE}:1.2`);
    const { output_fields: fields } = await detectionOf(agent, READ, () => run('exec', 'visited', 'cat', SECRET));
    assert.equal(fields['container.name'], 'visited');
    assert.equal(fields['shikra.container.metadata'], 'known');
    assert.ok(Number(fields['container.duration']) > 0);
  });
});
