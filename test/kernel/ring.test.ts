/** Whatever is in a ring comes once, and whole. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { Capture } from './capture.ts';

test('23 opens are 23 events', async (t) => {
  const capture = await Capture.start({ eventTypes: ['openat'] });
  t.after(() => capture.close());
  const count = capture
    .of(() => {
      for (let i = 0; i < 23; i++) statSync('/etc/hostname');
      for (let i = 0; i < 23; i++) readFileSync('/etc/hostname');
      return process;
    }, ['fd.name'])
    .events.filter(({ type, fields }) => type === 'openat' && fields['fd.name'] === '/etc/hostname').length;
  assert.equal(count, 23);
});

test('records that go round the end of the ring come whole', async () => {
  // 1 MiB holds some five thousand opens, those of others among them: twelve rounds of 1,500 go over the end several times.
  const small = await Capture.start({ ringPreset: 1, cpusPerRing: 0, eventTypes: ['openat'] });
  try {
    const path = '/etc/hostname';
    let seen = 0;
    for (let round = 0; round < 12; round++) {
      const { events } = small.of(() => {
        for (let i = 0; i < 1500; i++) readFileSync(path);
        return process;
      }, ['fd.name', 'fd.nameraw', 'proc.name']);
      const mine = events.filter(({ fields }) => fields['fd.name'] === path && fields['fd.nameraw'] === path);
      seen += mine.length;
    }
    assert.equal(seen, 18_000);
    assert.equal(
      small.source.stats().drops.reduce((sum, { reason, count }) => sum + (reason === 'ring_full' ? count : 0), 0),
      0,
    );
  } finally {
    small.close();
  }
});

test('of a ring only what is being read counts as memory of the agent', async () => {
  const large = await Capture.start({ ringPreset: 6, cpusPerRing: 0, eventTypes: ['openat'] });
  try {
    const all = large.source.stats().rings.reduce((sum, { capacityBytes }) => sum + capacityBytes, 0);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 10_000; i++) readFileSync('/etc/hostname');
      large.drain();
      const mapped = mappedRingBytes();
      assert.ok(mapped > 0 && mapped < all / 4, `${mapped} of ${all} bytes are mapped`);
    }
  } finally {
    large.close();
  }
});

/** Of all rings of this process: smaps(5). */
function mappedRingBytes(): number {
  const maps = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-)/m);
  const rings = maps.filter((map) => map.includes('anon_inode:bpf-map'));
  return rings.reduce((sum, map) => sum + Number(/^Rss:\s+(\d+)/m.exec(map)![1]) * 1024, 0);
}
