import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HEADER } from '../../../collector/sources/kernel/layout.ts';
import { Memory } from '../../../collector/sources/kernel/memory.ts';
import { unknownProcess } from '../../../collector/sources/kernel/process.ts';
import { RecentProcesses } from '../../../collector/sources/kernel/recent-processes.ts';

/** The beginning of a record of such a process. */
function record(pid: number, startTimeNs: bigint, execId: number): Memory {
  const memory = new Memory(new ArrayBuffer(64));
  memory.bytes.writeUInt32LE(pid, HEADER.pid);
  memory.bytes.writeBigUInt64LE(startTimeNs, HEADER.start_time_ns);
  memory.bytes.writeUInt32LE(execId, HEADER.exec_id);
  return memory;
}

test('knows a process by its number and its start, unless it has executed something since', () => {
  const recent = new RecentProcesses();
  const start = 2n ** 33n + 7n;
  const process = unknownProcess(4711, Number(start), 3);
  recent.add(process, record(4711, start, 3), 0);
  assert.equal(recent.of(record(4711, start, 3), 0), process);
  assert.equal(recent.of(record(4711, start, 2), 0), process); // a moment late
  assert.equal(recent.of(record(4711, start, 4), 0), undefined);
  assert.equal(recent.of(record(4711, start + 1n, 3), 0), undefined);
  assert.equal(recent.of(record(4711, start + 2n ** 32n, 3), 0), undefined);
  assert.equal(recent.of(record(4711 + 256, start, 3), 0), undefined);
});

test('forgets a number that means something else now, and leaves the others', () => {
  const recent = new RecentProcesses();
  const process = unknownProcess(300, 5, 1);
  recent.add(process, record(300, 5n, 1), 0);
  recent.drop(300 + 256);
  assert.equal(recent.of(record(300, 5n, 1), 0), process);
  recent.drop(300);
  assert.equal(recent.of(record(300, 5n, 1), 0), undefined);
});

test('begins with nobody, not even for a record of zeros', () => {
  assert.equal(new RecentProcesses().of(record(0, 0n, 0), 0), undefined);
});
