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
  // 1 MiB holds some five thousand opens: six rounds of three thousand go over the end several times.
  const small = await Capture.start({ ringPreset: 1, cpusPerRing: 0, eventTypes: ['openat'] });
  try {
    const path = '/etc/hostname';
    let seen = 0;
    for (let round = 0; round < 6; round++) {
      const { events } = small.of(() => {
        for (let i = 0; i < 3000; i++) readFileSync(path);
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
