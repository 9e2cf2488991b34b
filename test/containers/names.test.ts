import assert from 'node:assert/strict';
import { it } from 'node:test';
import { candidateOf, containerOf } from '../../collector/event/container.ts';

const ID = '0123456789abcdef'.repeat(4);

/** Beside those that test/processors/enrichment.test.ts has. */
const LAYOUTS: readonly (readonly [path: string, id: string, runtime: string])[] = [
  ['/lxc/web', 'web', 'lxc'],
  ['/lxc.payload/web/system.slice/nginx.service', 'web', 'lxc'],
  ['/lxc.payload.web/init.scope', 'web', 'lxc'],
  ['/machine.slice/web.libvirt-lxc', 'web', 'libvirt-lxc'],
  ['/machine.slice/machine-lxc\\x2d4711\\x2dweb.scope/libvirt', 'web', 'libvirt-lxc'],
  ['/libvirt/lxc/web', 'web', 'libvirt-lxc'],
  ['/system.slice/bpm-router-1.scope', 'router-1', 'bpm'],
  [`/lxc/web/docker/${ID}`, ID, 'docker'],
  [`/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podx.slice/cri-containerd-${ID}.scope`, ID, 'containerd'],
];

for (const [path, id, runtime] of LAYOUTS) {
  it(`finds the container in ${path.replace(ID, '<id>')}`, () => {
    assert.deepEqual(containerOf(path), { id, runtime });
  });
}

const CANDIDATES: readonly (readonly [path: string, candidate: object])[] = [
  [`/batch/jobs/${ID}`, { id: ID }],
  [`/system.slice/${ID}/init.scope`, { id: ID }],
  ['/default/web', { id: 'web', namespace: 'default' }],
  ['/process_api/9ba63d6a2b1', { id: '9ba63d6a2b1', namespace: 'process_api' }],
  ['/team-a.prod/job_1/child', { id: 'job_1', namespace: 'team-a.prod' }],
];

for (const [path, candidate] of CANDIDATES) {
  it(`asks the engines about ${path.replace(ID, '<id>')}, and takes it for the host until one knows it`, () => {
    assert.equal(containerOf(path), undefined);
    assert.deepEqual(candidateOf(path), candidate);
  });
}

for (const path of [
  '/',
  '/init.scope',
  '/user.slice/user-0.slice/session-1.scope',
  '/system.slice/ssh.service',
  '/system.slice/snap.lxd.service/web',
  '/machine.slice/web',
  '/a b/c',
  `/${ID.slice(1)}`,
  '',
]) {
  it(`asks nobody about '${path}'`, () => {
    assert.equal(containerOf(path), undefined);
    assert.equal(candidateOf(path), undefined);
  });
}
