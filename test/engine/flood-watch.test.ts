import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Detection } from '../../collector/detection/detection.ts';
import { type Flooder, FloodWatch } from '../../collector/engine/flood-watch.ts';
import { ContainerTable, HOST_CONTAINER } from '../../collector/event/container-table.ts';
import type { Refusals } from '../../collector/telemetry/collector-stats.ts';

const HOST: Flooder = { cgroupPath: '/system.slice/noisy.service', container: HOST_CONTAINER };

const refused = (cgroupId: number, file: number, network = 0): Refusals => ({
  cgroupId,
  counts: { process: 0, file, network, other: 0 },
});

const stateOf = ({ output_fields: fields }: Detection) => fields['shikra.flood.state'];

it('says nothing while nothing is refused, or nothing more', () => {
  const watch = new FloodWatch(() => HOST);
  assert.deepEqual(watch.look([], 0), []);
  assert.equal(watch.look([refused(7, 5)], 1000).length, 1);
  for (let millis = 2000; millis < 6000; millis += 1000)
    assert.deepEqual(watch.look([refused(7, 5)], millis), [], `after ${millis} ms`);
});

it('tells of a flood when it begins, every ten seconds, and when it has been over for five', () => {
  const watch = new FloodWatch(() => HOST);
  const told: unknown[] = [];
  let file = 0;
  for (let second = 0; second < 40; second++) {
    if (second < 25) file += 100;
    for (const one of watch.look([refused(7, file, 3)], second * 1000)) told.push([second, one.priority, one.output]);
  }
  const name = 'The cgroup /system.slice/noisy.service';
  const what = 'events of it that were refused:';
  assert.deepEqual(told, [
    [
      0,
      'Warning',
      `${name} floods: it has filled its share of a ring that is nearly full; ${what} 103 (file 100, network 3)`,
    ],
    [10, 'Warning', `${name} still floods, after 10 s; ${what} 1103 (file 1100, network 3)`],
    [20, 'Warning', `${name} still floods, after 20 s; ${what} 2103 (file 2100, network 3)`],
    [
      29,
      'Notice',
      `${name} floods no more, after 24 s; ${what} 2503 (file 2500, network 3); detections of it may be missing`,
    ],
  ]);
});

it('counts a flood that comes again from its own beginning', () => {
  const watch = new FloodWatch(() => HOST);
  watch.look([refused(7, 100)], 0);
  assert.deepEqual(watch.look([refused(7, 100)], 5000).map(stateOf), ['over']);
  const [again] = watch.look([refused(7, 130)], 6000);
  assert.equal(again?.output_fields['shikra.flood.refused'], 30);
});

it('counts on when the kernel had forgotten the cgroup and counts from 0', () => {
  const watch = new FloodWatch(() => HOST);
  watch.look([refused(7, 100)], 0);
  watch.look([refused(7, 20)], 1000);
  watch.look([], 2000);
  watch.look([refused(7, 4)], 3000);
  const [over] = watch.look([refused(7, 4)], 8000);
  assert.equal(over?.output_fields['shikra.flood.refused'], 124);
});

it('counts nothing twice that the kernel leaves out once', () => {
  const watch = new FloodWatch(() => HOST);
  watch.look([refused(7, 100)], 0);
  watch.look([], 1000);
  watch.look([refused(7, 110)], 2000);
  const [over] = watch.look([refused(7, 110)], 8000);
  assert.equal(over?.output_fields['shikra.flood.refused'], 110);
});

it('names the container, with what its engine tells', () => {
  const id = 'a'.repeat(64);
  const containers = new ContainerTable({ hasEngines: true, onWanted: () => {}, onDecided: () => {} });
  const cgroupPath = `/docker/${id}`;
  const container = containers.of(cgroupPath);
  const watch = new FloodWatch(() => ({ cgroupPath, container }));
  const [before] = watch.look([refused(7, 1)], 0);
  assert.match(before!.output, /^Container aaaaaaaaaaaa floods/);
  containers.apply({ ...container.metadata!, id, name: 'web', image: 'nginx:1.27', imageRepository: 'nginx' });
  const [after] = watch.look([refused(7, 2)], 10_000);
  assert.match(after!.output, /^Container aaaaaaaaaaaa \(web, nginx:1\.27\) still floods/);
  const { 'container.id': short, 'container.name': name, 'container.image.repository': image } = after!.output_fields;
  assert.deepEqual([short, name, image], ['aaaaaaaaaaaa', 'web', 'nginx']);
  assert.equal(after!.output_fields['thread.cgroups'], cgroupPath);
});

it('tells of a cgroup of which nothing is known any more by its number', () => {
  const watch = new FloodWatch(() => ({ cgroupPath: undefined, container: undefined }));
  assert.match(watch.look([refused(7, 1)], 0)[0]!.output, /^A cgroup that is gone \(number 7\) floods/);
});

it('does not let itself be flooded with cgroups: the worst are told first, the others later', () => {
  const watch = new FloodWatch(() => HOST);
  const all = Array.from({ length: 25 }, (_, index) => refused(index, 100 + index));
  const counts = [0, 1, 2, 3].map((second) => watch.look(all, second * 1000).map(countOf));
  assert.deepEqual(
    counts.map((each) => each.length),
    [10, 10, 5, 0],
  );
  assert.deepEqual(counts[0], [124, 123, 122, 121, 120, 119, 118, 117, 116, 115]);
});

it('tells at the end of the agent what was not told', () => {
  const watch = new FloodWatch(() => HOST);
  watch.look([refused(7, 1)], 0);
  assert.deepEqual(watch.look([refused(7, 2)], 1000).map(stateOf), []);
  assert.deepEqual(watch.look([refused(7, 3)], 2000, true).map(countOf), [3]);
});

function countOf({ output_fields: fields }: Detection): unknown {
  return fields['shikra.flood.refused'];
}
