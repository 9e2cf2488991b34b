/**
 * Runs the tests: `npm test` all of them, `npm test -- WORD...` those whose file name has one of the words.
 * Tests that share the kernel run one file at a time after the others, so that their events do not mix.
 * The last line is `N passed, N failed, N skipped`. No test at all is a failure.
 */
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Of a file. What hangs must end some time; on a slow machine with other work a file of real programs takes minutes. */
const TIMEOUT_MILLIS = 300_000;

function testFiles(words: readonly string[]): string[] {
  const wanted = (file: string) => words.length === 0 || words.some((word) => file.includes(word));
  return globSync('test/**/*.test.ts').filter(wanted).sort();
}

async function runFiles(files: readonly string[], concurrency: number, counts: Counts): Promise<void> {
  if (files.length === 0) return;
  const events = run({ files: [...files], concurrency, timeout: TIMEOUT_MILLIS });
  events.on('test:summary', ({ file, counts: seen }) => {
    // A summary with a file is that file's own; the one without is the whole run's.
    if (file !== undefined) return;
    counts.passed += seen.passed;
    counts.failed += seen.tests - seen.passed - seen.skipped - seen.todo;
    counts.skipped += seen.skipped + seen.todo;
  });
  await pipeline(events.compose(spec), process.stdout, { end: false });
}

async function main(): Promise<void> {
  const files = testFiles(process.argv.slice(2));
  const sharesKernel = (file: string) => /^test\/(kernel|stack)\//.test(file);
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  await runFiles(
    files.filter((file) => !sharesKernel(file)),
    availableParallelism(),
    counts,
  );
  await runFiles(files.filter(sharesKernel), 1, counts);

  const ran = counts.passed + counts.failed;
  if (ran === 0) console.error('no test ran');
  if (ran === 0 || counts.failed > 0) process.exitCode = 1;
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
}

await main();
