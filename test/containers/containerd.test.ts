/** containerd itself: containers of its own, and pods as kubelet makes them, by CRI. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { AgentProcess, Alert } from '../kernel/agent-process.ts';
import { Containerd, PAUSE, type PodOptions } from './containerd.ts';
import { noEngine } from './engine-process.ts';
import { HostCgroup } from './host-cgroup.ts';
import { detectionOf, IMAGE, READ, READ_BY_IMAGE, SECRET, startAgent, until } from './secrets.ts';
import { byCri, MOUNTED } from './told.ts';

const skip = noEngine('containerd', 'ctr');
const KUBERNETES = 'k8s.io';
const POD = { name: 'web-0', namespace: 'shop', labels: { app: 'web', 'pod-template-hash': 'abc' } };
const podOf = (uid: string) => ({ ...POD, uid });

describe('with containerd', { skip }, () => {
  const containerd = new Containerd();
  let agent: AgentProcess;

  before(async () => {
    await containerd.start();
    containerd.load(KUBERNETES, [PAUSE, `${IMAGE}:1.2`, `${IMAGE}-watched:7`], SECRET);
    containerd.load('default', [`${IMAGE}:1.2`], SECRET);
    writeFileSync(SECRET, ''); // for what is not in a container
    agent = await startAgent({ containerd: [containerd.socket] });
  });

  after(async () => {
    await agent?.close();
    rmSync(SECRET, { force: true });
    await containerd.close();
  });

  const readInPod = async (sandboxId: string, pod: PodOptions, image: string, rest: object = {}): Promise<string> =>
    containerd.runContainer(sandboxId, pod, { name: 'app', image, command: ['/bin/cat', SECRET], ...rest });

  it('tells of the pod and the container in which a secret was read', async () => {
    const pod = podOf('5f9c7d3e-0000-4000-8000-000000000001');
    const sandboxId = await containerd.runPod(pod);
    let id = '';
    const { output_fields: fields } = await detectionOf(agent, READ, async () => {
      const options = { labels: { team: 'payments' }, privileged: true, mounts: { [MOUNTED.source]: MOUNTED.target } };
      id = await readInPod(sandboxId, pod, `${IMAGE}:1.2`, options);
    });
    const {
      'container.image.id': imageId,
      'container.start_ts': started,
      'container.duration': duration,
      'evt.time': time,
      'proc.apid': lineage,
      ...rest
    } = fields;
    assert.match(String(imageId), /^[0-9a-f]{12}$/);
    assert.ok(Number(started) > 1.7e18 && Number(duration) >= 0 && time && lineage);
    assert.deepEqual(rest, byCri(id, { ...pod, sandboxId }));
    await containerd.removePod(sandboxId);
  });

  it('decides conditions on the image of a pod by what CRI says, from the first event on', async () => {
    const pod = podOf('5f9c7d3e-0000-4000-8000-000000000002');
    const sandboxId = await containerd.runPod(pod);
    const watched = await detectionOf(agent, READ_BY_IMAGE, () => readInPod(sandboxId, pod, `${IMAGE}-watched:7`));
    assert.equal(watched.output_fields['container.name'], 'app');
    await containerd.removePod(sandboxId);
  });

  /** `ctr` neither asks a registry nor sets up a network. */
  const readByCtr = (id: string, ...options: readonly string[]) =>
    containerd.ctr('run', '--rm', '--snapshotter', 'native', ...options, `${IMAGE}:1.2`, id, 'cat', SECRET);

  it("knows containers of containerd's own clients, whatever they are called", async () => {
    const id = `box-${randomBytes(4).toString('hex')}`;
    const alert = await detectionOf(agent, READ, () => readByCtr(id, '--label', 'team=data'));
    const { output_fields: fields } = alert;
    assert.equal(fields['container.full_id'], id);
    assert.equal(fields['container.id'], id);
    assert.equal(fields['container.name'], id);
    assert.equal(fields['container.type'], 'containerd');
    assert.equal(fields['container.image.repository'], IMAGE);
    assert.match(String(fields['container.image.digest']), /^sha256:[0-9a-f]{64}$/);
    assert.equal(fields['container.privileged'], false);
    assert.equal(fields['container.label.team'], 'data');
    assert.equal(fields['k8s.pod.name'], null);
  });

  it("knows a container that was put among Kubernetes' by hand, without waiting for CRI to know it", async () => {
    const id = `box-${randomBytes(4).toString('hex')}`;
    const options = ['--namespace', KUBERNETES, 'run', '--rm', '--snapshotter', 'native'];
    const { output_fields: fields } = await detectionOf(agent, READ, () =>
      containerd.ctr(...options, `${IMAGE}:1.2`, id, 'cat', SECRET),
    );
    assert.equal(fields['container.name'], id);
    assert.equal(fields['container.image.repository'], IMAGE);
    assert.equal(fields['shikra.container.metadata'], 'known');
  });

  it('gives every one of many brief containers its own name', async () => {
    const ids = ['a', 'b', 'c', 'd', 'e'].map((letter) => `brief-${letter}`);
    const since = new Set(agent.detections);
    const found = (): Alert[] => agent.detections.filter((alert) => alert.rule === READ && !since.has(alert));
    for (const id of ids) readByCtr(id);
    await until(agent, () => found().length === ids.length);
    assert.deepEqual(
      found().map(({ output_fields: fields }) => fields['container.name']),
      ids,
    );
  });

  it('does not take a cgroup of two words for a container, unless containerd has one of that name', async () => {
    const cgroup = new HostCgroup(`default/${randomBytes(16).toString('hex')}`);
    try {
      const { output_fields: fields } = await detectionOf(agent, READ, () => cgroup.run(['cat', SECRET]));
      assert.equal(fields['container.id'], 'host');
      assert.equal(fields['container.name'], 'host');
      assert.equal(fields['container.type'], 'host');
      assert.equal(fields['shikra.container.metadata'], null);
      assert.equal(fields['container.image.repository'], null);
    } finally {
      cgroup.close();
    }
  });

  it('follows a containerd that was started again', async () => {
    const told = () => agent.log.filter((line) => line.includes('a container engine tells')).length;
    await containerd.stop();
    await containerd.start();
    await until(agent, () => told() === 2);
    const id = `again-${randomBytes(4).toString('hex')}`;
    const { output_fields: fields } = await detectionOf(agent, READ, () => readByCtr(id));
    assert.equal(fields['container.name'], id);
  });
});
