import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generatedFiles, staleFiles } from '../../scripts/generated-files.ts';

test('every file that is made from the code is current', () => {
  assert.deepEqual(staleFiles(generatedFiles()), [], 'run `npm run generate`');
});

test('a file that is not current is found', () => {
  assert.deepEqual(staleFiles(new Map([['docs/errors.md', 'something else']])), ['docs/errors.md']);
});
