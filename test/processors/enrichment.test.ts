import assert from 'node:assert/strict';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { containerOf } from '../../collector/event/container.ts';
import { EnrichmentProcessor } from '../../processors/enrichment/index.ts';
import { detection } from '../fixtures/detections.ts';
import { MemoryProcessor, through } from '../fixtures/memory-processor.ts';
import { temporaryFolder } from '../fixtures/pipeline.ts';

const ID = '0123456789abcdef'.repeat(4);

const LAYOUTS: readonly (readonly [path: string, runtime: string | undefined])[] = [
  [`/system.slice/docker-${ID}.scope`, 'docker'],
  [`/docker/${ID}`, 'docker'],
  [`/docker/${ID}/init.scope`, 'docker'],
  [`/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-${ID}.scope`, 'containerd'],
  [`/kubepods/burstable/pod12ab/${ID}`, undefined],
  [`/kubepods-besteffort-podx.slice:cri-containerd:${ID}`, 'containerd'],
  [`/k8s.io/${ID}`, undefined],
  [`/system.slice/nerdctl-${ID}.scope`, 'nerdctl'],
  [`/kubepods.slice/kubepods-podx.slice/crio-${ID}.scope`, 'cri-o'],
  [`/kubepods/podx/crio-${ID}`, 'cri-o'],
  [`/machine.slice/libpod-${ID}.scope`, 'podman'],
  [`/machine.slice/libpod-${ID}.scope/container`, 'podman'],
  [`/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-payload-${ID}`, 'podman'],
  [`0::/system.slice/docker-${ID}.scope`, 'docker'],
];

for (const [path, runtime] of LAYOUTS) {
  it(`finds the container in ${path.replace(ID, '<id>')}`, () => {
    assert.deepEqual(containerOf(path), runtime === undefined ? { id: ID } : { id: ID, runtime });
  });
}

for (const path of [
  '/',
  '/user.slice/user-0.slice/session-1.scope',
  `/system.slice/${ID}`,
  `/${ID}`,
  `/docker/${ID.slice(1)}`,
  `/docker/${ID}0`,
  `/docker/${ID.toUpperCase()}`,
  `/system.slice/docker-${ID}.service`,
  `/user.slice/my-docker-${ID}`,
]) {
  it(`takes ${path.replace(ID, '<id>')} for the host`, () => {
    assert.equal(containerOf(path), undefined);
  });
}

function arrange(test: TestContext) {
  const root = temporaryFolder(test);
  mkdirSync(join(root, 'etc'));
  const write = (name: string, text: string, seconds: number) => {
    writeFileSync(join(root, 'etc', name), text);
    utimesSync(join(root, 'etc', name), seconds, seconds);
  };
  write('passwd', 'root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\nada:x:1000:1000::/home/ada:/bin/bash\n', 1);
  write('group', 'root:x:0:\nstaff:x:50:ada\n', 1);
  write('hostname', 'node-7\n', 1);
  write('machine-id', 'f00d\n', 1);
  const end = new MemoryProcessor();
  const clock = { now: 0 };
  const processor = new EnrichmentProcessor({ host_root: root, now: () => clock.now }, end);
  const last = () => end.records.at(-1)!.attributes;
  return { end, clock, write, last, processor };
}

it('adds the names of users and groups, and of the host if the resource has none', (test) => {
  const { processor, last } = arrange(test);
  through(processor)(detection(0, { evidence: { 'user.uid': 0, 'user.loginuid': 1000, 'group.gid': 50 } }));
  assert.equal(last()['process.user.name'], 'root');
  assert.equal(last()['shikra.user.login.name'], 'ada');
  assert.equal(last()['shikra.group.name'], 'staff');
  assert.equal(last()['host.name'], 'node-7');
  assert.equal(last()['host.id'], 'f00d');
  through(processor, { 'host.name': 'mine', 'host.id': 'x' })(detection(1));
  assert.equal(last()['host.name'], undefined);
});

it('changes nothing that the record says already, and passes ancestors through', (test) => {
  const { processor, last } = arrange(test);
  const evidence = {
    'user.uid': 0,
    'user.name': 'kernel says',
    'container.id': 'abcdefabcdef',
    'thread.cgroups': `/docker/${ID}`,
    'proc.aname': ['bash', 'sshd'],
  };
  through(processor)(detection(0, { evidence }));
  assert.equal(last()['process.user.name'], 'kernel says');
  assert.equal(last()['container.id'], 'abcdefabcdef');
  assert.deepEqual(last()['shikra.process.ancestors'], ['bash', 'sshd']);
});

it('reads the user file again when it has changed', (test) => {
  const { processor, last, write, clock } = arrange(test);
  const emit = through(processor);
  const eve = (index: number) => detection(index, { evidence: { 'user.uid': 1001 } });
  emit(eve(0));
  assert.equal(last()['process.user.name'], undefined);
  write('passwd', 'eve:x:1001:1001::/home/eve:/bin/bash\n', 2);
  emit(eve(1));
  assert.equal(last()['process.user.name'], undefined, 'looked at once a second');
  clock.now = 1000;
  emit(eve(2));
  assert.equal(last()['process.user.name'], 'eve');
});
