/** `npm run docs:evasion`: runs every attempt to hide on this kernel, and writes what came of it into docs/evasion.md. */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { dot } from 'node:test/reporters';
import { type AttemptRecord, RECORD_VARIABLE } from '../test/kernel/evasion/attempt.ts';
import { withGenerated } from './documentation.ts';
import { type Entry, PAGE, render } from './evasion-page.ts';

/** Files with attempts. Those that are about something else besides are run whole, too. */
function testFiles(): string[] {
  return globSync('test/**/*.test.ts')
    .filter((file) => /^\s*attempt\(/m.test(readFileSync(file, 'utf8')))
    .sort();
}

/** @returns how many tests failed, and each attempt */
async function attempts(files: readonly string[]): Promise<{ failed: string[]; records: AttemptRecord[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-evasion-page-'));
  const file = join(folder, 'record');
  writeFileSync(file, '');
  process.env[RECORD_VARIABLE] = file;
  const failed: string[] = [];
  const events = run({ files: [...files], concurrency: 1 });
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

const { failed, records } = await attempts(testFiles());
const entries: Entry[] = records.flatMap(({ rows, ...entry }) => rows.map((row) => ({ row, ...entry })));
writeFileSync(PAGE, withGenerated(readFileSync(PAGE, 'utf8'), render(machine(), entries)));
console.error(`docs:evasion: ${records.length} attempts, written to ${PAGE}`);
for (const name of failed) console.error(`docs:evasion: failed: ${name}`);
process.exitCode = failed.length === 0 ? 0 : 1;
