/** The generated part of docs/evasion.md: what is said of each row, and what its attempts came to. */
import type { AttemptRecord } from '../test/kernel/evasion/attempt.ts';
import { type Row, SECTIONS } from '../test/kernel/evasion/rows.ts';

export const PAGE = 'docs/evasion.md';

/** An attempt as it stands on the page. */
export interface Entry {
  readonly row: number;
  /** From the root of the project. */
  readonly file: string;
  readonly what: string;
  readonly outcome: AttemptRecord['outcome'];
  readonly evidence: string;
}

/** @param machine where and when it was run */
export function render(machine: string, entries: readonly Entry[]): string {
  const rows = SECTIONS.flatMap((section) => section.rows);
  const sorted = entries.toSorted((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0));
  const of = ({ number }: Row) => sorted.filter(({ row }) => row === number);
  return [
    `Run on ${machine}.`,
    '',
    '| | way | here |',
    '|---|---|---|',
    ...rows.map((row) => `| [${row.number}](#row-${row.number}) | ${cell(row.way)} | ${verdict(row, of(row))} |`),
    ...SECTIONS.flatMap(({ title, rows: members }) => [
      '',
      `## ${title}`,
      ...members.flatMap((row) => ['', ...rowLines(row, of(row))]),
    ]),
  ].join('\n');
}

function rowLines(row: Row, entries: readonly Entry[]): string[] {
  const limits = row.limits === undefined ? '' : ` *Limits:* ${row.limits}`;
  const untried = row.untried === undefined ? '' : ` *Not tried:* ${row.untried.why}.`;
  return [
    `<a id="row-${row.number}"></a>**${row.number}. ${row.way}**: ${verdict(row, entries)}. ${row.why}${limits}${untried}`,
    ...(entries.length === 0 ? [] : ['', '| what was tried | | what the run saw | in |', '|---|---|---|---|']),
    ...entries.map(
      ({ what, outcome, evidence, file }) =>
        `| ${cell(what)} | ${outcome} | ${cell(evidence)} | [${shortName(file)}](../${file}) |`,
    ),
  ];
}

function verdict({ limits, untried }: Row, entries: readonly Entry[]): string {
  if (untried !== undefined) return untried.result;
  const outcomes = new Set(entries.map(({ outcome }) => outcome));
  outcomes.delete('not run here');
  if (outcomes.size === 0) return 'not run here';
  const isDetected = outcomes.has('detected');
  if (outcomes.has('not detected')) return isDetected ? '**in part**' : '**not detected**';
  if (!isDetected) return 'no effect';
  return limits === undefined ? 'detected' : 'detected, with limits';
}

const shortName = (file: string) => file.replace(/^test\/(kernel\/)?/, '').replace('.test.ts', '');

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

const MACHINE = /^Run on (.*)\.$/m;
const ROW = /^<a id="row-(\d+)">/;
const ENTRY = /^\| (.*) \| (detected|not detected|no effect|not run here) \| (.*) \| \[.*\]\(\.\.\/(.*)\) \|$/;

/** What `render` made the page of. */
export function parse(page: string): { machine: string; entries: Entry[] } {
  const entries: Entry[] = [];
  let row = 0;
  for (const line of page.split('\n')) {
    row = Number(ROW.exec(line)?.[1] ?? row);
    const [, what, outcome, evidence, file] = ENTRY.exec(line) ?? [];
    if (what === undefined) continue;
    entries.push({
      row,
      what: plain(what),
      outcome: outcome as Entry['outcome'],
      evidence: plain(evidence!),
      file: file!,
    });
  }
  return { machine: MACHINE.exec(page)?.[1] ?? '', entries };
}

const plain = (text: string) => text.replaceAll('\\|', '|');
