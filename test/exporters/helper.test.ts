import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { parseRetryAfter, statusOutcome } from '../../exporters/helper/outcome.ts';
import { fingerprint, subjectOf } from '../../exporters/helper/subject.ts';
import { cut, cutBytes, cutEscaped } from '../../exporters/helper/text.ts';
import { detection } from '../fixtures/detections.ts';

const isWhole = (text: string) => text.isWellFormed();
const texts = fc.string({ unit: 'binary', maxLength: 80 });

it('cuts texts to a length and never through a character', () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 90 }), (text, most) => {
      const short = cut(text, most);
      assert.ok(short.length <= most && isWhole(short));
      assert.ok(text.length > most || short === text);
    }),
  );
});

it('cuts texts to a number of bytes', () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 3, max: 300 }), (text, most) => {
      const short = cutBytes(text, most);
      assert.ok(Buffer.byteLength(short) <= most && isWhole(short));
      assert.ok(Buffer.byteLength(text) > most || short === text);
    }),
  );
});

it('cuts texts so that they fit when they are encoded, without cutting an escape', () => {
  const encode = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('&', '<', 'a', '\u{1f480}') }),
      fc.integer({ min: 8, max: 60 }),
      (text, most) => {
        const short = cutEscaped(text, most, encode);
        assert.ok(short.length <= most && isWhole(short));
        assert.match(short, /^(?:&amp;|&lt;|[^&<])*$/);
      },
    ),
  );
});

for (const [status, expected] of [
  [200, 'success'],
  [204, 'success'],
  [301, 'permanent'],
  [400, 'permanent'],
  [401, 'permanent'],
  [408, 'retryable'],
  [413, 'permanent'],
  [425, 'retryable'],
  [429, 'retryable'],
  [500, 'retryable'],
  [501, 'permanent'],
  [503, 'retryable'],
  [505, 'permanent'],
  [529, 'retryable'],
] as const) {
  it(`takes HTTP ${status} for ${expected}`, () => assert.equal(statusOutcome(status, 'x').status, expected));
}

it('splits a batch for what may be the fault of one detection, not for a wrong address or token', () => {
  const splittable = (status: number) => (statusOutcome(status, 'x') as { splittable?: boolean }).splittable;
  assert.deepEqual([400, 413, 422].map(splittable), [true, true, true]);
  assert.deepEqual([301, 401, 403, 404, 410].map(splittable), [false, false, false, false, false]);
});

it('reads Retry-After as seconds, a fraction of them, or a date', () => {
  assert.equal(parseRetryAfter('3'), 3000);
  assert.equal(parseRetryAfter('0.25'), 250);
  assert.equal(parseRetryAfter('Sun, 22 Nov 2026 00:00:10 GMT', Date.parse('2026-11-22T00:00:00Z')), 10_000);
  assert.equal(parseRetryAfter('Sun, 22 Nov 2020 00:00:10 GMT'), 0, 'a date that has passed');
  assert.equal(parseRetryAfter('soon'), undefined);
});

it('joins repeats by rule, source, host, namespace and workload, and by nothing that changes from one to the next', () => {
  const of = (evidence: object, changes: object = {}) =>
    fingerprint(detection(1, { evidence: evidence as never, ...changes }));
  const one = of({ 'k8s.ns.name': 'a', 'k8s.deployment.name': 'd', 'k8s.pod.name': 'd-1', 'proc.pid': 1 });
  assert.equal(
    one,
    of({ 'k8s.ns.name': 'a', 'k8s.deployment.name': 'd', 'k8s.pod.name': 'd-2', 'proc.pid': 2 }, { output: 'other' }),
  );
  assert.match(one, /^[0-9a-f]{32}$/);
  const others = [
    of({ 'k8s.ns.name': 'b', 'k8s.deployment.name': 'd' }),
    of({ 'k8s.ns.name': 'a', 'k8s.deployment.name': 'e' }),
    of({ 'k8s.ns.name': 'a', 'k8s.deployment.name': 'd' }, { rule: 'other' }),
    of({ 'k8s.ns.name': 'a', 'k8s.deployment.name': 'd' }, { hostname: 'other' }),
  ];
  assert.equal(new Set([one, ...others]).size, 5);
});

it('names no container that is the host, and no value that is missing', () => {
  const evidence = { 'container.id': 'host', 'k8s.container.name': '<NA>', 'container.image.repository': 'nginx' };
  assert.equal(subjectOf(detection(1, { evidence })).workload, 'nginx');
  assert.equal('namespace' in subjectOf(detection(1)), false);
});
