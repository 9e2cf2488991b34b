import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAMILY_CANARIES } from '../../../collector/sources/kernel/canary-calls.ts';
import { DESCRIPTOR, EVENT_TYPES, FORK, HEADER, PROCESS, SCALAR } from '../../../collector/sources/kernel/layout.ts';
import { Memory } from '../../../collector/sources/kernel/memory.ts';
import { OwnEvents } from '../../../collector/sources/kernel/own-events.ts';

const TOKEN = 0x8badf00d;
const [SELF, CHILD, CHILD_OUTSIDE, NAMESPACE, START_NS] = [4000, 77, 4077, 4_026_531_836, 123_456_789];
const ROUND = { token: TOKEN, child: CHILD, selfPid: SELF, pidNamespace: NAMESPACE };
const ARGV_AT = 512;

type Write = (record: Buffer) => void;

function record(name: string, ...writes: Write[]): [type: number, memory: Memory, at: number] {
  const memory = new Memory(new ArrayBuffer(1024));
  for (const write of writes) write(memory.bytes);
  return [EVENT_TYPES.get(name)!, memory, 0];
}

const u32 =
  (at: number, value: number): Write =>
  (bytes) =>
    bytes.writeUInt32LE(value, at);
const u64 =
  (at: number, value: number): Write =>
  (bytes) =>
    bytes.writeBigUInt64LE(BigInt(value), at);
const argv =
  (text: string): Write =>
  (bytes) => {
    bytes.writeUInt16LE(ARGV_AT, PROCESS.argv);
    bytes.writeUInt16LE(text.length, PROCESS.argv + 2);
    bytes.write(text, ARGV_AT, 'latin1');
  };

const fork = () =>
  record(
    'vfork',
    u32(FORK.child_vpid, CHILD),
    u32(FORK.child_pid_namespace, NAMESPACE),
    u32(FORK.child_pid, CHILD_OUTSIDE),
    u64(FORK.child_start_time_ns, START_NS),
  );
const execution = (text = `shikra-canary\0${TOKEN.toString(16)}\0`) =>
  record(
    'execve',
    u32(PROCESS.vpid, CHILD),
    u32(PROCESS.pid_namespace, NAMESPACE),
    u32(HEADER.pid, CHILD_OUTSIDE),
    u64(HEADER.start_time_ns, START_NS),
    argv(text),
  );
const exit = (startNs = START_NS) =>
  record('procexit', u32(HEADER.pid, CHILD_OUTSIDE), u64(HEADER.start_time_ns, startNs));
const scalar = (name: string, pid: number, argument: number, value: number) =>
  record(name, u32(HEADER.pid, pid), u64(SCALAR.arguments + 8 * argument, value));

test('the life of the process that was made is known, in whatever namespace', () => {
  const own = new OwnEvents(ROUND);
  assert.deepEqual(
    [fork(), execution(), exit()].map((one) => own.take(...one)),
    [true, true, true],
  );
  assert.deepEqual([...own.seen], ['collect_fork', 'collect_exec', 'collect_exit']);
});

test('the execution alone is enough to know the end by', () => {
  const own = new OwnEvents(ROUND);
  assert.deepEqual(
    [execution(), exit()].map((one) => own.take(...one)),
    [true, true],
  );
  assert.deepEqual([...own.seen], ['collect_exec', 'collect_exit']);
});

test('who gets the number of the process afterwards hides nothing behind it', () => {
  const own = new OwnEvents(ROUND);
  for (const one of [fork(), execution(), exit()]) own.take(...one);
  assert.deepEqual(
    [fork(), execution(), exit()].map((one) => own.take(...one)),
    [false, false, false],
  );
});

test('another program under its number is none of ours, nor is the end of a process that began at another time', () => {
  const own = new OwnEvents(ROUND);
  assert.equal(own.take(...execution('shikra-canary\0ffffffff\0')), false);
  assert.equal(own.take(...fork()), true);
  assert.equal(own.take(...exit(START_NS + 1)), false);
});

test('of the calls of the agent only those that look at objects and submit the canary are its own', () => {
  const own = new OwnEvents(ROUND);
  const taken = (...args: Parameters<typeof scalar>) => own.take(...scalar(...args));
  assert.equal(taken('bpf', SELF, 0, 15), true);
  assert.equal(taken('bpf', SELF, 0, 5), false, 'a program is loaded');
  assert.equal(taken('bpf', SELF + 1, 0, 15), false, 'another process');
  assert.equal(taken('io_uring_enter', SELF, 5, TOKEN), true);
  assert.equal(taken('io_uring_enter', SELF, 5, 8), false);
});

test('a canary of another process, or of another round, shows nothing; no rule sees it nevertheless', () => {
  const own = new OwnEvents(ROUND);
  assert.equal(own.take(...scalar('canary_scalar', SELF + 1, 0, TOKEN)), true);
  assert.equal(own.take(...scalar('canary_scalar', SELF, 0, TOKEN + 1)), true);
  assert.deepEqual([...own.seen], []);
  assert.equal(own.take(...scalar('canary_scalar', SELF, 0, TOKEN)), true);
  assert.deepEqual([...own.seen], ['dispatch_sys_exit', 'collect_scalar']);
});

// The canary of descriptors was asked for a path as well: where paths have theirs stood something else, and up to 64 KiB behind the record were read as one.
test('of a canary that names no path none is read', () => {
  const descriptor = FAMILY_CANARIES.find(({ program }) => program === 'collect_descriptor')!;
  const memory = new Memory(new ArrayBuffer(1024));
  u32(HEADER.pid, SELF)(memory.bytes);
  u32(DESCRIPTOR.argument, TOKEN)(memory.bytes);
  let read = 0;
  memory.bytes.toString = () => {
    read++;
    return '';
  };
  const own = new OwnEvents(ROUND);
  own.take(descriptor.type, memory, 0);
  assert.deepEqual([...own.seen], ['dispatch_sys_exit', 'collect_descriptor']);
  assert.equal(read, 0);
});
