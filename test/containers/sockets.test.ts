import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkContainers } from '../../cli/doctor/containers.ts';
import { readConfig } from '../../cli/read-config.ts';
import { boundedLabels } from '../../collector/containers/labels.ts';
import { findSockets } from '../../collector/containers/sockets.ts';

const NONE = { docker: [], podman: [], containerd: [], cri: [] };

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-sockets-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function listen(t: TestContext, path: string) {
  const server = createServer().listen(path);
  await once(server, 'listening');
  t.after(() => server.close());
  return server;
}

test('finds the sockets that are there, a star for any folder, and each once', {
  skip: process.getuid?.() !== 0,
}, async (t) => {
  const folder = folderFor(t);
  for (const user of ['1000', '1001', '1002']) mkdirSync(join(folder, user, 'podman'), { recursive: true });
  await listen(t, join(folder, 'docker.sock'));
  await listen(t, join(folder, '1001/podman/podman.sock'));
  chownSync(join(folder, '1001/podman/podman.sock'), 1001, 1001);
  symlinkSync('docker.sock', join(folder, 'other.sock'));
  writeFileSync(join(folder, 'file.sock'), '');
  const found = findSockets({
    ...NONE,
    docker: ['docker.sock', 'other.sock', 'file.sock', 'missing.sock'].map((name) => join(folder, name)),
    podman: [join(folder, '*/podman/podman.sock'), join(folder, 'missing/*/podman.sock')],
  });
  assert.deepEqual(
    found.map(({ engine, path, uid }) => [engine, path, uid]),
    [
      ['docker', join(folder, 'docker.sock'), process.getuid?.()],
      ['podman', join(folder, '1001/podman/podman.sock'), 1001],
    ],
  );
});

function configFor(folder: string, docker: readonly string[]): string {
  const file = join(folder, 'config.yaml');
  const containers = { ...NONE, docker };
  writeFileSync(file, JSON.stringify({ receivers: { kernel: { containers } }, exporters: { stdout: {} } }));
  return file;
}

test('a machine without container engines loads nothing that speaks to them', () => {
  const script = `
    const { ContainerEngines } = await import('./collector/containers/engines.ts');
    new ContainerEngines({ sockets: { docker: [], podman: [], containerd: [], cri: [] }, onNews() {} }).start();
    await new Promise((resolve) => setTimeout(resolve, 10));
    console.log(process.moduleLoadList.filter((name) => /NativeModule (http|http2|net)$/.test(name)));
  `;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  assert.equal(stdout, '[]\n');
});

test('the doctor tells which engines there are, and which do not answer', async (t) => {
  const folder = folderFor(t);
  const [live, dead] = [join(folder, 'live.sock'), join(folder, 'dead.sock')];
  await listen(t, live);
  mkdirSync(join(folder, 'gone'));
  const server = await listen(t, join(folder, 'gone/x.sock'));
  // what a killed engine leaves: a socket that nobody listens at
  renameSync(join(folder, 'gone/x.sock'), dead);
  server.close();
  const checks = await checkContainers(readConfig(configFor(folder, [live, dead])).config);
  assert.deepEqual(checks, [
    { name: 'containers', ok: true, needed: true, detail: `docker at ${live}` },
    {
      name: 'containers',
      ok: false,
      needed: false,
      detail: `docker at ${dead}: ECONNREFUSED`,
      remedy: 'start the engine, or remove the socket that it left; until then its containers have no names',
    },
  ]);
});

test('the doctor is content without engines', async (t) => {
  const checks = await checkContainers(readConfig(configFor(folderFor(t), [])).config);
  assert.deepEqual(checks, [
    {
      name: 'containers',
      ok: false,
      needed: false,
      detail: 'no socket of a container engine found: containers have ids, and no names',
    },
  ]);
});

test('labels stay as they are, unless they would fill the memory', () => {
  const usual = { app: 'web', note: 'x'.repeat(4000) };
  assert.equal(boundedLabels(usual), usual);
  const cut = boundedLabels({ app: 'web', note: 'x'.repeat(1_000_000) });
  assert.deepEqual([cut.app, cut.note?.length], ['web', 256]);
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`label-${i}`, 'x']));
  assert.equal(Object.keys(boundedLabels(many)).length, 256);
});
