/** One call of every type, and every field that its event has, against what /proc, stat and the call itself say. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Capture, type Fields } from './capture.ts';
import { attempt, told } from './evasion/attempt.ts';
import { oneEvent } from './one-event.ts';
import { OF_EVERY_EVENT, SCENES } from './scenes/index.ts';
import { type Expected, isCondition, type Scene, type Truth } from './scenes/scene.ts';
import { DOMAIN_NAMES } from './scenes/sockets.ts';
import { buildTrigger } from './trigger.ts';

let capture: Capture;
let folder: string;

before(async () => {
  buildTrigger();
  folder = mkdtempSync(join(tmpdir(), 'shikra-scenes-'));
  capture = await Capture.start();
  capture.domainNames.tell(DOMAIN_NAMES);
});

after(() => {
  capture.close();
  rmSync(folder, { recursive: true });
});

/** Calls that do what others do that more people think of, and the fields that tell the object. */
const SISTERS: Readonly<Record<string, readonly string[]>> = {
  openat2: ['fd.name'],
  creat: ['fd.name'],
  open_by_handle_at: ['fd.name'],
  name_to_handle_at: ['fs.path.name'],
  process_vm_writev: ['evt.args'],
  splice: ['evt.arg.fd_in'],
  sendfile: ['evt.arg.in_fd'],
  open_tree: ['fs.path.name'],
  move_mount: ['fs.path.source', 'fs.path.target'],
  mmap: ['evt.arg.prot'],
};

const wallNs = () => BigInt(Date.now()) * 1_000_000n;

/** @returns the fields, which are as they are expected */
function look({ type, what = '', call, prepare, fields: own }: Scene): Fields {
  const at = join(folder, `${type}-${what.replaceAll(/\W+/g, '-')}`);
  writeFileSync(at, 'content');
  prepare?.(at);
  const expected: Readonly<Record<string, Expected>> = { ...OF_EVERY_EVENT, 'evt.type': type, ...own };
  const fromNs = wallNs();
  const { fields, result, pid, count } = oneEvent(capture, type, call(at), Object.keys(expected));
  // the clocks of the kernel and of Date may be a millisecond apart
  const truth: Truth = { at, result, pid, count, fromNs: fromNs - 2_000_000n, toNs: wallNs() + 2_000_000n };
  const wanted: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(expected)) {
    if (isCondition(value)) {
      assert.ok(value.holds(fields[name], truth), `${name} is ${String(fields[name])}`);
      wanted[name] = fields[name];
    } else {
      wanted[name] = typeof value === 'function' ? value(truth) : value;
    }
  }
  assert.deepEqual(fields, wanted);
  return fields;
}

for (const scene of SCENES) {
  const { type, what = 'tells every field as it is', arch } = scene;
  const skip = arch !== undefined && arch !== process.arch;
  const names = what === scene.what ? undefined : SISTERS[type];
  if (names === undefined) test(`${type} ${what}`, { skip }, () => void look(scene));
  else
    attempt(8, `${type}: what sister calls do is told as it is`, { skip }, () =>
      told({ type, fields: look(scene) }, ...names),
    );
}
