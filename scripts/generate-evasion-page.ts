/**
 * `npm run docs:evasion`: runs every attempt to hide on this kernel, and writes what came of it into docs/evasion.md. `npm run docs:evasion -- WORD...` runs those of
 * the files whose name has one of the words, and leaves the other entries of the page as they are.
 */
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { dot } from 'node:test/reporters';
import { type AttemptRecord, RECORD_VARIABLE } from '../test/kernel/evasion/attempt.ts';
import { withGenerated } from './documentation.ts';
import { type Entry, PAGE, parse, render } from './evasion-page.ts';

/** A file that hangs is a failure, not a page that never comes. */
const FILE_MILLIS = 300_000;

/** Files with attempts. Those that are about something else besides are run whole, too. */
function testFiles(words: readonly string[]): string[] {
  const wanted = (file: string) => words.length === 0 || words.some((word) => file.includes(word));
  return globSync('test/**/*.test.ts')
    .filter((file) => wanted(file) && /^\s*attempt\(/m.test(readFileSync(file, 'utf8')))
    .sort();
}

/** @returns how many tests failed, and each attempt */
async function attempts(files: readonly string[]): Promise<{ failed: string[]; records: AttemptRecord[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-evasion-page-'));
  const file = join(folder, 'record');
  writeFileSync(file, '');
  process.env[RECORD_VARIABLE] = file;
  const failed: string[] = [];
  const events = run({ files: [...files], concurrency: 1, timeout: FILE_MILLIS });
  events.on('test:fail', ({ name, file: of }) => failed.push(`${of ?? ''}: ${name}`));
  await pipeline(events.compose(dot), process.stderr, { end: false });
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  rmSync(folder, { recursive: true });
  return { failed, records: lines.filter((line) => line !== '').map((line) => JSON.parse(line)) };
}

function machine(): string {
  const day = new Date().toISOString().slice(0, 10);
  return `Linux ${release()}, ${arch()}, ${cpus()[0]?.model ?? 'a processor'}, Node ${process.versions.node}, ${day}`;
}

const page = readFileSync(PAGE, 'utf8');
const files = testFiles(process.argv.slice(2));
const { failed, records } = await attempts(files);
const others = parse(page).entries.filter(
  ({ file }) => process.argv.length > 2 && !files.includes(file) && existsSync(file),
);
const own = records.flatMap(({ rows, ...entry }) => rows.map((row): Entry => ({ row, ...entry })));
writeFileSync(PAGE, withGenerated(page, render(machine(), [...others, ...own])));
console.error(`docs:evasion: ${records.length} attempts, written to ${PAGE}`);
for (const name of failed) console.error(`docs:evasion: failed: ${name}`);
process.exitCode = failed.length === 0 ? 0 : 1;
