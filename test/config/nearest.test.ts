import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editDistance, nearest, suggestion } from '../../collector/config/nearest.ts';

for (const [a, b, distance] of [
  ['', '', 0],
  ['', 'abc', 3],
  ['stdout', 'stdout', 0],
  ['stdot', 'stdout', 1],
  ['endpiont', 'endpoint', 1],
  ['kitten', 'sitting', 3],
] as const) {
  test(`from ${JSON.stringify(a)} to ${JSON.stringify(b)} is ${distance}`, () => {
    assert.equal(editDistance(a, b), distance);
    assert.equal(editDistance(b, a), distance);
  });
}

test('the nearest word is near', () => {
  assert.equal(nearest('endpint', ['headers', 'endpoint']), 'endpoint');
  assert.equal(nearest('Endpoint', ['headers', 'endpoint']), 'endpoint');
  assert.equal(nearest('colour', ['headers', 'endpoint']), undefined);
});

test('without a near word all are named', () => {
  assert.equal(suggestion('colour', ['headers', 'endpoint']), 'known: `headers`, `endpoint`');
  assert.equal(suggestion('colour', []), 'there is none');
});
