// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references of the configuration, not of JavaScript
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDocument } from '../../collector/config/document.ts';
import { expandEnvironment } from '../../collector/config/environment.ts';

const environment = { HOST: 'sink', PORT: '4317', EMPTY: '', LIST: '[a, b]', YES: 'true' };

for (const [source, text] of [
  ['${env:HOST}', 'sink'],
  ['http://${env:HOST}:${env:PORT}/v1', 'http://sink:4317/v1'],
  ['${env:NOPE:-there}', 'there'],
  ['${env:NOPE:-}', ''],
  ['${env:NOPE:-a:-b}', 'a:-b'],
  ['${env:EMPTY:-there}', ''],
  ['$${env:HOST}', '${env:HOST}'],
  ['100$$', '100$'],
  ['$HOST costs $5', '$HOST costs $5'],
] as const) {
  test(`${source} becomes ${JSON.stringify(text)}`, () => {
    assert.deepEqual(expandEnvironment(source, environment).mistakes, []);
    assert.equal(expandEnvironment(source, environment).text, text);
  });
}

for (const source of ['${HOST}', '${file:/etc/passwd}', '${env:1X}', '${env:}', '${}']) {
  test(`${source} is a mistake`, () => {
    assert.deepEqual(expandEnvironment(source, environment).mistakes, [
      `expected \`\${env:NAME}\` or \`\${env:NAME:-default}\`, got \`${source}\` (write \`$$\` for a dollar sign)`,
    ]);
  });
}

for (const [scalar, value] of [
  ['${env:PORT}', 4317],
  ['"${env:PORT}"', '4317'],
  ['${env:YES}', true],
  ['${env:NOPE:-1.5}', 1.5],
  ['${env:PORT}0', '43170'],
  ['${env:EMPTY}', ''],
] as const) {
  test(`the scalar ${scalar} has the value ${JSON.stringify(value)}`, () => {
    assert.deepEqual(readDocument(`a: ${scalar}`, 'x', environment).value, { a: value });
  });
}

test('a variable brings no structure', () => {
  assert.deepEqual(readDocument('a: ${env:LIST}', 'x', environment).value, { a: '[a, b]' });
});

test('keys and comments are not expanded', () => {
  assert.deepEqual(readDocument('${env:HOST}: 1 # ${env:NOPE}', 'x', environment).value, { '${env:HOST}': 1 });
});
