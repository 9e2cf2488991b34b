import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ContainerMetadata } from '../../collector/event/container-metadata.ts';
import {
  type Container,
  type ContainerRequest,
  ContainerTable,
  HOST_CONTAINER,
} from '../../collector/event/container-table.ts';

const idOf = (number: number) => number.toString(16).padStart(64, '0');
const ID = idOf(1);
const PATH = `/docker/${ID}`;

function metadata(changes: Partial<ContainerMetadata> = {}): ContainerMetadata {
  return {
    id: ID,
    namespace: undefined,
    type: 'docker',
    name: 'web',
    image: undefined,
    imageId: undefined,
    imageRepository: undefined,
    imageTag: undefined,
    imageDigest: undefined,
    privileged: undefined,
    hostPid: undefined,
    hostNetwork: undefined,
    hostIpc: undefined,
    mounts: [],
    ip: undefined,
    cniJson: undefined,
    healthcheck: undefined,
    startedNs: 0n,
    labels: {},
    pod: undefined,
    ...changes,
  };
}

function arrange(hasEngines = true) {
  const wanted: ContainerRequest[] = [];
  const decided: Container[] = [];
  const table = new ContainerTable({
    hasEngines,
    onWanted: (request) => wanted.push(request),
    onDecided: (container) => decided.push(container),
  });
  return { table, wanted, decided };
}

it('asks once about a container, and fills in the object that processes have', () => {
  const { table, wanted } = arrange();
  const container = table.of(PATH);
  assert.equal(container.pending, true);
  assert.equal(table.of(`${PATH}/init.scope`), container);
  assert.deepEqual(wanted, [{ id: ID }]);
  table.apply(metadata());
  assert.equal(container.pending, false);
  assert.equal(container.look()?.name, 'web');
  assert.deepEqual(table.count(), { known: 1, missing: 0 });
});

it('knows a container before its first process, if an engine told of it', () => {
  const { table, wanted } = arrange();
  table.apply(metadata());
  assert.equal(table.of(PATH).look()?.name, 'web');
  assert.deepEqual(wanted, []);
});

it('waits for nothing where there is no engine', () => {
  const { table, wanted } = arrange(false);
  const container = table.of(PATH);
  assert.deepEqual([container.pending, container.state, container.shortId], [false, 'unreachable', ID.slice(0, 12)]);
  assert.deepEqual(wanted, []);
  table.engines(true);
  table.apply(metadata());
  assert.equal(container.state, 'known');
});

it('waits no longer when the last engine goes', () => {
  const { table } = arrange();
  const container = table.of(PATH);
  table.engines(false);
  assert.deepEqual([container.pending, container.state], [false, 'unreachable']);
});

it('takes what nobody knows for unknown, and asks again as long as it has processes, ever more seldom', () => {
  const { table, wanted } = arrange();
  const container = table.of(PATH);
  const alive = new Set([container]);
  table.unknown({ id: ID });
  assert.deepEqual([container.pending, container.state], [false, 'unknown']);
  const start = Math.ceil(performance.now());
  const askedAt = [0, 1, 2, 3, 4, 5, 6, 7, 8].filter((second) => {
    const before = wanted.length;
    table.retry(start + second * 1000, () => alive);
    return wanted.length > before;
  });
  assert.deepEqual(askedAt, [0, 1, 3, 7]);
  alive.clear();
  const before = wanted.length;
  table.retry(start + 1e6, () => alive);
  assert.equal(wanted.length, before);
});

it('never asks about containers of runtimes that cannot be asked', () => {
  const { table, wanted } = arrange();
  const container = table.of('/lxc/web');
  assert.deepEqual([container.id, container.shortId, container.state], ['web', 'web', 'unknown']);
  table.retry(performance.now() + 1e6, () => new Set([container]));
  assert.deepEqual(wanted, []);
});

it('takes a name that may be a container for the host until an engine confirms it, and says when that is decided', () => {
  const { table, wanted, decided } = arrange();
  const container = table.of('/default/web');
  assert.deepEqual(wanted, [{ id: 'web', namespace: 'default' }]);
  assert.deepEqual([container.id, container.isDecided], ['host', false]);
  table.unknown({ id: 'web', namespace: 'default' });
  assert.deepEqual([container.id, container.isDecided], ['host', true]);
  assert.deepEqual(decided, [container]);
  assert.deepEqual(table.count(), { known: 0, missing: 0 });
  table.apply(metadata({ id: 'web', namespace: 'default' }));
  assert.deepEqual([container.id, container.look()?.name], ['web', 'web']);
  assert.deepEqual(decided, [container, container]);
});

it('keeps containers of the same name in two namespaces apart', () => {
  const { table } = arrange();
  table.apply(metadata({ id: 'web', namespace: 'one', name: 'first' }));
  table.apply(metadata({ id: 'web', namespace: 'two', name: 'second' }));
  assert.deepEqual(
    ['/one/web', '/two/web', '/three/web'].map((path) => table.of(path).look()?.name),
    ['first', 'second', undefined],
  );
});

it('notes who looks in vain: looks that may be repeated, and looks that were missed', () => {
  const { table } = arrange();
  const container = table.of(PATH);
  assert.equal(container.look(), undefined);
  assert.deepEqual([container.asked, table.missed], [true, 0]);
  table.settle(container, 'late');
  assert.equal(container.look(), undefined);
  assert.equal(table.missed, 1);
  table.apply(metadata());
  assert.equal(container.look()?.name, 'web');
  assert.equal(table.missed, 1);
});

const SLICE = '/user.slice/user-1000.slice/user@1000.service/user.slice';

it('asks only the engines of a user about what is in the slice of the user', () => {
  const { table, wanted } = arrange();
  table.of(`${SLICE}/libpod-${ID}.scope`);
  table.of('/user.slice/user-0.slice/session-1.scope/docker/web');
  table.of(`/user.slice/user-0.slice/libpod-${ID}.scope`);
  assert.deepEqual(wanted, [{ id: ID, owner: 1000 }, { id: ID }]);
});

it('does not give a cgroup in a slice of a user the name of a container that root has', () => {
  const { table } = arrange();
  table.apply(metadata());
  const theirs = table.of(`${SLICE}/docker-${ID}.scope`);
  assert.equal(theirs.look(), undefined);
  table.apply(metadata({ name: 'fake' }), 1000);
  assert.equal(theirs.look()?.name, 'fake');
  assert.equal(table.of(PATH).look()?.name, 'web');
});

it('believes the engine of a user about nothing that is not in the slice of the user', () => {
  const { table } = arrange();
  table.apply(metadata({ name: 'fake' }), 1000);
  const container = table.of(PATH);
  assert.equal(container.look(), undefined);
  table.apply(metadata({ name: 'fake' }), 1000);
  table.remove({ id: ID, owner: 1000 });
  table.unknown({ id: ID, owner: 1000 });
  assert.equal(container.pending, true);
  assert.deepEqual(table.count(), { known: 0, missing: 1 });
});

it('keeps a container that is gone for its last events, and forgets the longest gone', () => {
  const { table } = arrange();
  const first = table.of(`/docker/${idOf(1000)}`);
  table.remove({ id: idOf(1000) });
  assert.equal(table.of(`/docker/${idOf(1000)}`), first);
  assert.deepEqual(table.count(), { known: 0, missing: 0 });
  for (let number = 1001; number < 1257; number++) {
    table.apply(metadata({ id: idOf(number) }));
    table.remove({ id: idOf(number) });
  }
  assert.equal(first.forgotten, true);
  assert.notEqual(table.of(`/docker/${idOf(1000)}`), first);
});

it('does not forget a container that was started again meanwhile', () => {
  const { table } = arrange();
  table.apply(metadata());
  const container = table.of(PATH);
  table.remove({ id: ID });
  table.apply(metadata({ name: 'again' }));
  for (let number = 2000; number < 2300; number++) {
    table.apply(metadata({ id: idOf(number) }));
    table.remove({ id: idOf(number) });
  }
  assert.equal(container.forgotten, false);
  assert.equal(table.of(PATH).look()?.name, 'again');
});

it('is of bounded size', () => {
  const { table } = arrange();
  const first = table.of(`/docker/${idOf(1)}`);
  for (let number = 2; number < 20_000; number++) table.of(`/docker/${idOf(number)}`);
  assert.equal(first.forgotten, true);
  const { known, missing } = table.count();
  assert.ok(known + missing <= 16_384);
});

it('has one object for all that is on the host', () => {
  const { table } = arrange();
  assert.equal(table.of('/system.slice/ssh.service'), HOST_CONTAINER);
  assert.equal(table.of(''), HOST_CONTAINER);
});

it('forgets what no process is in and no engine told about, and nothing else', () => {
  const { table } = arrange(false);
  const [left, inUse, told] = [1, 2, 3].map((number) => table.of(`/docker/${idOf(number)}`));
  table.apply(metadata({ id: idOf(3) }));
  const living = () => new Set([inUse!]);
  assert.equal(table.sweep(0, living), false);
  assert.equal(left!.forgotten, false, 'its first process may be on the way');
  assert.equal(table.sweep(1000, living), false);
  assert.equal(left!.forgotten, false, 'it was looked a moment ago');
  assert.equal(table.sweep(6000, living), true);
  assert.deepEqual(
    [left, inUse, told].map((container) => container!.forgotten),
    [true, false, false],
  );
  assert.deepEqual(table.count(), { known: 1, missing: 1 });
  assert.notEqual(table.of(`/docker/${idOf(1)}`), left, 'a process comes to it: it is made anew');
});
