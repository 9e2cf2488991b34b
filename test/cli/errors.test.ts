import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { reportError } from '../../cli/report-error.ts';
import { ERRORS, ShikraError } from '../../collector/errors.ts';
import { errorTable } from '../../scripts/documentation.ts';

test('docs/errors.md lists exactly the errors of the code', () => {
  const page = readFileSync('docs/errors.md', 'utf8');
  assert.ok(page.includes(errorTable()), 'run `npm run generate`');
  const listed = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
  assert.deepEqual(listed, Object.keys(ERRORS));
});

test('an error for the user has its message, remedy and code, and no stack', (t) => {
  const print = t.mock.method(console, 'error', () => {});
  assert.equal(reportError(new ShikraError('ADDRESS_IN_USE', '127.0.0.1:8765')), 1);
  assert.deepEqual(print.mock.calls[0]?.arguments, [
    'shikra: cannot listen on 127.0.0.1:8765\n  remedy: stop what listens there or set another endpoint [ADDRESS_IN_USE]',
  ]);
});

test('a defect is reported with its stack', (t) => {
  const print = t.mock.method(console, 'error', () => {});
  const defect = new TypeError('x is not a function');
  assert.equal(reportError(defect), 1);
  assert.equal(print.mock.calls[1]?.arguments[0], defect);
});
