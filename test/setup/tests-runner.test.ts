import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';

const RUNNER = resolve('scripts/test.ts');

/** Runs the test command over a project of these files. */
function runTests(t: TestContext, files: Readonly<Record<string, string>>, words: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-tests-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), `import { test } from 'node:test';\n${text}`);
  }
  // Inside a test, Node tells its children to report to it; these are a run of their own.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, [RUNNER, ...words], { cwd: folder, encoding: 'utf8', env });
  return { status, lastLine: stdout.trimEnd().split('\n').at(-1) };
}

const PASSES = "test('a', () => {});\n";
const FAILS = "test('b', () => { throw new Error('no'); });\n";
const SKIPS = "test('c', { skip: true }, () => {});\n";

test('the last line counts what passed, failed and was skipped', (t) => {
  const files = { 'test/a.test.ts': PASSES + SKIPS, 'test/kernel/b.test.ts': PASSES };
  assert.deepEqual(runTests(t, files), { status: 0, lastLine: '2 passed, 0 failed, 1 skipped' });
});

test('one failed test fails the run', (t) => {
  assert.deepEqual(runTests(t, { 'test/a.test.ts': PASSES + FAILS }), {
    status: 1,
    lastLine: '1 passed, 1 failed, 0 skipped',
  });
});

test('a file that does not even load fails the run', (t) => {
  const files = { 'test/a.test.ts': PASSES, 'test/b.test.ts': "import './nothing.ts';\n" };
  assert.deepEqual(runTests(t, files), { status: 1, lastLine: '1 passed, 1 failed, 0 skipped' });
});

test('no test at all fails the run', (t) => {
  assert.deepEqual(runTests(t, {}), { status: 1, lastLine: '0 passed, 0 failed, 0 skipped' });
});

test('words choose the files', (t) => {
  const files = { 'test/a.test.ts': PASSES, 'test/b.test.ts': FAILS };
  assert.deepEqual(runTests(t, files, ['a.test']), { status: 0, lastLine: '1 passed, 0 failed, 0 skipped' });
});
