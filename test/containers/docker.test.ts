/** Docker itself, with containers that do what a rule is about, and the agent as users run it. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { AgentProcess } from '../kernel/agent-process.ts';
import { Containers, noContainers } from '../kernel/containers.ts';
import { alerted, attempt } from '../kernel/evasion/attempt.ts';
import { Dockerd } from './dockerd.ts';
import { noEngine } from './engine-process.ts';
import { HostCgroup } from './host-cgroup.ts';
import { detectionOf, IMAGE, metricsWhen, READ, READ_BY_IMAGE, SECRET, startAgent, until } from './secrets.ts';
import { BY_DOCKER, MOUNTED } from './told.ts';

const skip = noEngine('dockerd', 'docker') || noContainers();
const HELD = 'shikra_container_held_events_total';

const IMAGES = [`${IMAGE}:1.2`, `${IMAGE}-watched:7`];
const ONCE = ['run', '--rm', '--network', 'none'];
const read = (docker: Dockerd, image: string, ...options: readonly string[]) =>
  docker.run(...ONCE, ...options, image, 'cat', SECRET);

describe('with Docker', { skip }, () => {
  const docker = new Dockerd();
  let agent: AgentProcess;

  before(async () => {
    await docker.start();
    docker.load(IMAGES, SECRET);
    writeFileSync(SECRET, ''); // for what is not in a container
    agent = await startAgent({ docker: [docker.socket] });
  });

  after(async () => {
    await agent?.close();
    rmSync(SECRET, { force: true });
    await docker.close();
  });

  it('tells of the container in which a secret was read', async () => {
    const options = [
      '--privileged',
      '--pid',
      'host',
      '--label',
      'team=payments',
      '--volume',
      `${MOUNTED.source}:${MOUNTED.target}:ro`,
    ];
    const { output_fields: fields } = await detectionOf(agent, READ, () =>
      read(docker, `${IMAGE}:1.2`, '--name', 'shop', ...options),
    );
    const {
      'container.id': id,
      'container.full_id': fullId,
      'container.image.id': imageId,
      'container.start_ts': started,
      'container.duration': duration,
      'evt.time': time,
      'proc.apid': lineage,
      ...rest
    } = fields;
    assert.match(String(fullId), /^[0-9a-f]{64}$/);
    assert.equal(id, String(fullId).slice(0, 12));
    assert.ok(docker.run('inspect', '--format', '{{.Id}}', `${IMAGE}:1.2`).startsWith(`sha256:${imageId}`));
    assert.ok(Number(started) > 1.7e18 && Number(duration) >= 0 && Number(duration) < 1e11);
    assert.ok(time && lineage);
    assert.deepEqual(rest, BY_DOCKER);
  });

  attempt(29, 'containers that live for some milliseconds: each has its own name', { skip }, async () => {
    const names = ['a', 'b', 'c', 'd', 'e'].map((letter) => `brief-${letter}`);
    const since = new Set(agent.detections);
    const found = () => agent.detections.filter((alert) => alert.rule === READ && !since.has(alert));
    for (const name of names)
      docker.run('create', '--rm', '--network', 'none', '--name', name, `${IMAGE}:1.2`, 'cat', SECRET);
    docker.run('start', ...names);
    await until(agent, () => found().length === names.length);
    const seen = found().map(({ output_fields: fields }) => fields['container.name']);
    assert.deepEqual(seen.sort(), names);
    return alerted(found()[0]!, 'container.name', 'container.image.repository');
  });

  it('decides conditions on the image and on rights by what Docker says, from the first event on', async () => {
    const watched = await detectionOf(agent, READ_BY_IMAGE, () =>
      read(docker, `${IMAGE}-watched:7`, '--name', 'watched'),
    );
    assert.equal(watched.output_fields['container.name'], 'watched');
    const other = await detectionOf(agent, READ, () => read(docker, `${IMAGE}:1.2`));
    assert.equal(other.output_fields['container.image.repository'], IMAGE);
    const privileged = await detectionOf(agent, READ, () => read(docker, `${IMAGE}-watched:7`, '--privileged'));
    assert.equal(privileged.output_fields['container.privileged'], true);
  });

  it('knows what is run in a container later, and its health check', async () => {
    const check = ['--health-cmd', `cat ${SECRET}`, '--health-interval', '1s'];
    const byCheck = await detectionOf(agent, READ, () =>
      docker.run('run', '--detach', '--network', 'none', '--name', 'checked', ...check, `${IMAGE}:1.2`),
    );
    assert.equal(byCheck.output_fields['container.name'], 'checked');
    assert.equal(byCheck.output_fields['container.healthcheck'], `/bin/sh -c cat ${SECRET}`);
    assert.equal(byCheck.output_fields['proc.is_container_healthcheck'], true);
    docker.run('rm', '--force', 'checked');
    docker.run('run', '--detach', '--network', 'none', '--name', 'visited', `${IMAGE}:1.2`);
    const byHand = await detectionOf(agent, READ, () => docker.run('exec', 'visited', 'cat', SECRET));
    assert.equal(byHand.output_fields['container.name'], 'visited');
    assert.ok(Number(byHand.output_fields['container.duration']) > 0);
  });

  it('follows a change of name', async () => {
    docker.run('rename', 'visited', 'renamed');
    const { output_fields: fields } = await detectionOf(agent, READ, () =>
      docker.run('exec', 'renamed', 'cat', SECRET),
    );
    assert.equal(fields['container.name'], 'renamed');
  });

  it('does not take a cgroup of a user for the container whose name the user gave it', async () => {
    const id = docker.run('inspect', '--format', '{{.Id}}', 'renamed');
    const cgroup = new HostCgroup(`user.slice/user-1000.slice/docker-${id}.scope`);
    try {
      const { output_fields: fields } = await detectionOf(agent, READ, () => cgroup.run(['cat', SECRET]));
      assert.equal(fields['container.full_id'], id);
      assert.equal(fields['container.name'], null);
      assert.equal(fields['shikra.container.metadata'], 'unknown');
    } finally {
      cgroup.close();
    }
  });

  it('says of a container that Docker does not have that it is unknown, and does not wait', async () => {
    const containers = new Containers();
    try {
      containers.add('/etc/hostname', SECRET);
      let id = '';
      const { output_fields: fields } = await detectionOf(agent, READ, () => {
        ({ id } = containers.run(['cat', SECRET]));
      });
      assert.equal(fields['container.full_id'], id);
      assert.equal(fields['container.type'], 'docker');
      assert.equal(fields['container.name'], null);
      assert.equal(fields['shikra.container.metadata'], 'unknown');
    } finally {
      containers.close();
    }
    const metrics = await agent.metrics();
    assert.ok(metrics.get('shikra_container_lookups_total{engine="docker",outcome="not_found"}')! > 0);
    assert.equal(metrics.get(`${HELD}{outcome="timeout"}`), 0);
  });
});

describe('when Docker comes and goes', { skip }, () => {
  const docker = new Dockerd();
  let agent: AgentProcess;
  const containers = skip === false ? new Containers() : undefined;

  before(async () => {
    containers!.add('/etc/hostname', SECRET);
    agent = await startAgent({ docker: [docker.socket] }, '3s');
  });

  after(async () => {
    await agent?.close();
    containers?.close();
    await docker.close();
  });

  const told = () => agent.log.filter((line) => line.includes('a container engine tells')).length;
  const readUnknown = () => detectionOf(agent, READ, () => containers!.run(['cat', SECRET]));

  it('sends detections without a name at once as long as there is no engine', async () => {
    const { output_fields: fields } = await readUnknown();
    assert.equal(fields['shikra.container.metadata'], 'unreachable');
    assert.equal(fields['container.name'], null);
    assert.match(String(fields['container.id']), /^[0-9a-f]{12}$/);
  });

  it('meets an engine that is started later, and the containers that it has by then', async () => {
    await docker.start();
    docker.load(IMAGES, SECRET);
    docker.run('run', '--detach', '--network', 'none', '--name', 'early', `${IMAGE}:1.2`);
    await until(agent, () => told() === 1);
    const { output_fields: fields } = await detectionOf(agent, READ, () => docker.run('exec', 'early', 'cat', SECRET));
    assert.equal(fields['container.name'], 'early');
    docker.run('rm', '--force', 'early');
  });

  it('sends a detection without a name, and says so, when the engine hangs longer than it may', async () => {
    docker.freeze();
    const { output_fields: fields } = await readUnknown();
    docker.thaw();
    assert.equal(fields['shikra.container.metadata'], 'late');
    assert.equal(fields['container.name'], null);
  });

  it('does the same when the engine was killed and left its socket', async () => {
    await docker.stop('SIGKILL');
    await until(agent, () => agent.log.some((line) => line.includes('does not answer')));
    const { output_fields: fields } = await readUnknown();
    assert.equal(fields['shikra.container.metadata'], 'late');
  });

  it('follows an engine that was started again', async () => {
    await docker.start();
    await until(agent, () => told() === 2);
    const { output_fields: fields } = await detectionOf(agent, READ, () =>
      read(docker, `${IMAGE}:1.2`, '--name', 'after-restart'),
    );
    assert.equal(fields['container.name'], 'after-restart');
  });

  it('counts what was held and what went out without a name', async () => {
    const metrics = await metricsWhen(agent, (found) => found.get(`${HELD}{outcome="timeout"}`)! >= 2);
    const without = 'shikra_container_detections_without_metadata_total';
    assert.ok(metrics.get(`${without}{reason="late"}`)! >= 2);
    assert.ok(metrics.get(`${without}{reason="unreachable"}`)! >= 1);
    assert.ok(metrics.get('shikra_container_checks_without_metadata_total')! > 0);
    assert.equal(metrics.get('shikra_container_engines{engine="docker"}'), 1);
  });
});
