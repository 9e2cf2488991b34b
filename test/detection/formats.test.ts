import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toFalcoJson } from '../../collector/detection/falco-json.ts';
import { internalDetection } from '../../collector/detection/internal.ts';
import { parseExact, stringifyExact } from '../../collector/detection/json.ts';
import { formatTime, nowNanos, parseTime } from '../../collector/detection/time.ts';
import { uuidv7 } from '../../collector/detection/uuid.ts';
import { detection } from '../fixtures/detections.ts';

describe("Falco's JSON", () => {
  it("has the keys in Falco's order, then uuid; numbers of 64 bits stay numbers", () => {
    const one = detection(0, {
      tags: ['b', 'a'],
      output_fields: { 'proc.tty': 0, 'evt.time': 1743606903434319636n, 'fd.name': null },
    });
    assert.equal(
      toFalcoJson(one),
      `{"hostname":"node-1","output":${JSON.stringify(one.output)},"output_fields":{"evt.time":1743606903434319636,"fd.name":null,"proc.tty":0},` +
        `"priority":"Warning","rule":"Read sensitive file untrusted","source":"syscall","tags":["a","b"],"time":"2026-11-18T11:06:40.123456789Z","uuid":"${one.uuid}"}`,
    );
  });
});

describe('JSON that keeps large integers', () => {
  it('gives back what it was given', () => {
    const value = {
      a: 2n ** 63n,
      b: [-9007199254740993n, 1],
      c: '12345678901234567890',
      d: 1.5,
      e: null,
      f: 'x: 12345678901234567890,',
    };
    assert.deepEqual(parseExact(stringifyExact(value)), value);
  });

  it('is not misled by text that looks like a large integer, by order, or by what only nearly is one', () => {
    const large = 1_795_000_000_123_456_789n;
    for (const value of [
      { a: `:${large},`, b: large },
      { a: large, b: `[${large + 1n}]` },
      { 2: large, 1: large + 2n },
      { a: 1e22, b: large, c: 1e300 },
      { a: [[large], { b: [large, -large] }] },
      { a: '":1234567890123456789,"', '"b":12345678901234567890,': large },
      [large, 2n ** 64n, -(2n ** 63n)],
    ])
      assert.deepEqual(parseExact(stringifyExact(value)), value);
  });

  it('writes what JSON writes', () => {
    for (const value of [{}, [], { a: undefined, b: [undefined, Number.NaN] }, 'x\ud800"', null, { a: { b: {} } }, -0])
      assert.equal(stringifyExact(value), JSON.stringify(value));
  });
});

describe('time', () => {
  it('keeps every nanosecond both ways', () => {
    assert.equal(formatTime(1_700_000_000_000_000_001n), '2023-11-14T22:13:20.000000001Z');
    assert.deepEqual(parseTime('2023-11-14T22:13:20.000000001Z'), [1_700_000_000, 1]);
    assert.deepEqual(parseTime('2023-11-14T22:13:20Z'), [1_700_000_000, 0]);
    assert.throws(() => parseTime('yesterday'), { message: 'expected an RFC 3339 time in UTC, got "yesterday"' });
  });

  it('reads the wall clock', () => {
    assert.ok(Math.abs(Number(nowNanos() / 1_000_000n) - Date.now()) < 1000);
  });
});

describe('uuidv7', () => {
  it('has version, variant and the time', () => {
    const uuid = uuidv7(1_900_000_000_000_500_000n);
    assert.match(uuid, /^01ba6[0-9a-f]{3}-[0-9a-f]{4}-7800-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16), 1_900_000_000_000);
  });

  it('is never the same and sorts in the order of the calls, even if time stands still or goes back', () => {
    const times = Array.from(
      { length: 10_000 },
      (_, index) => 1_950_000_000_000_000_000n - BigInt(index % 7) * 1_000_000n,
    );
    const uuids = times.map(uuidv7);
    assert.equal(new Set(uuids).size, uuids.length);
    assert.deepEqual([...uuids].sort(), uuids);
  });
});

it('makes a detection about the agent itself', () => {
  const one = internalDetection(
    'Shikra internal: events dropped',
    'Warning',
    '5 events were lost',
    { 'shikra.events.dropped': 5 },
    1_700_000_000_000_000_001n,
  );
  assert.equal(one.source, 'internal');
  assert.equal(one.time, '2023-11-14T22:13:20.000000001Z');
  assert.deepEqual(one.output_fields, { 'evt.time': 1_700_000_000_000_000_001n, 'shikra.events.dropped': 5 });
});
