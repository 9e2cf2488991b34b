/** One call of every type, and every field that its event has, against what /proc, stat and the call itself say. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Capture } from './capture.ts';
import { oneEvent } from './one-event.ts';
import { OF_EVERY_EVENT, SCENES } from './scenes/index.ts';
import { type Expected, isCondition, type Truth } from './scenes/scene.ts';
import { buildTrigger } from './trigger.ts';

let capture: Capture;
let folder: string;

before(async () => {
  buildTrigger();
  folder = mkdtempSync(join(tmpdir(), 'shikra-scenes-'));
  capture = await Capture.start();
});

after(() => {
  capture.close();
  rmSync(folder, { recursive: true });
});

const wallNs = () => BigInt(Date.now()) * 1_000_000n;

for (const scene of SCENES) {
  const { type, what = 'tells every field as it is', call, prepare, arch } = scene;
  test(`${type} ${what}`, { skip: arch !== undefined && arch !== process.arch }, () => {
    const at = join(folder, `${type}-${what.replaceAll(/\W+/g, '-')}`);
    writeFileSync(at, 'content');
    prepare?.(at);
    const expected: Readonly<Record<string, Expected>> = { ...OF_EVERY_EVENT, 'evt.type': type, ...scene.fields };
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
  });
}
