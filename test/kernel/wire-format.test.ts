import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DROP_REASONS_IN_PROBE, EVENT_CLASSES_IN_PROBE } from '../../collector/sources/kernel/layout.ts';
import { DROP_REASONS, EVENT_CLASSES } from '../../collector/telemetry/collector-stats.ts';
import { wireFormat } from '../../native/index.ts';

const BPF = fileURLToPath(new URL('../../native/bpf', import.meta.url));
const STRUCTS = [
  'event_header',
  'process_event',
  'fork_event',
  'exit_event',
  'open_event',
  'path_event',
  'descriptor_event',
  'socket_event',
  'scalar_event',
  'socket_info',
  'interest',
  'settings',
];

test("the offsets that TypeScript uses are the host compiler's", () => {
  const format = wireFormat();
  const lines = STRUCTS.flatMap((name) => {
    const { offsets } = format.struct(name);
    return [
      `printf("${name} %zu\\n", sizeof(struct ${name}));`,
      ...[...offsets.keys()].map(
        (member) => `printf("${name}.${member} %zu\\n", offsetof(struct ${name}, ${member}));`,
      ),
    ];
  });
  const folder = mkdtempSync(join(tmpdir(), 'shikra-layout-'));
  try {
    writeFileSync(
      join(folder, 'layout.c'),
      `#include <stddef.h>\n#include <stdio.h>\n#include "event_host.h"\nint main(void) { ${lines.join('\n')} return 0; }\n`,
    );
    execFileSync('gcc', ['-I', BPF, '-o', join(folder, 'layout'), join(folder, 'layout.c')]);
    const seen = execFileSync(join(folder, 'layout'), { encoding: 'utf8' }).trim().split('\n');
    const expected = STRUCTS.flatMap((name) => {
      const { sizeBytes, offsets } = format.struct(name);
      return [`${name} ${sizeBytes}`, ...[...offsets].map(([member, at]) => `${name}.${member} ${at}`)];
    });
    assert.deepEqual(seen, expected);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('fields are naturally aligned, and records a multiple of eight bytes', () => {
  const format = wireFormat();
  for (const name of STRUCTS.filter((one) => one.endsWith('_event'))) {
    assert.equal(format.struct(name).sizeBytes % 8, 0, name);
    for (const [member, at] of format.struct(name).offsets)
      if (member.endsWith('_ns')) assert.equal(at % 8, 0, `${name}.${member}`);
  }
});

test('reasons of loss and classes of events are the same in the probe and in the metrics', () => {
  assert.deepEqual(
    DROP_REASONS_IN_PROBE.map((name) => name.replace('DROP_', '').toLowerCase()),
    [...DROP_REASONS],
  );
  assert.deepEqual(
    EVENT_CLASSES_IN_PROBE.map((name) => name.replace('CLASS_', '').toLowerCase()),
    [...EVENT_CLASSES],
  );
});

test('the wire format is defined once', () => {
  const header = readFileSync(join(BPF, 'event.h'), 'utf8');
  assert.match(header, /struct event_header \{/);
  for (const file of ['process.bpf.c', 'open.bpf.c', 'path.bpf.c', 'socket.bpf.c'])
    assert.doesNotMatch(readFileSync(join(BPF, file), 'utf8'), /struct \w+_event \{/);
});
