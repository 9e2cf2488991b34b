/** docs/evasion.md is made from a run on a real kernel (`npm run docs:evasion`); here it is seen, without another, that it is of these attempts and these texts. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { withGenerated } from '../../scripts/documentation.ts';
import { PAGE, parse, render } from '../../scripts/evasion-page.ts';
import { SECTIONS } from '../kernel/evasion/rows.ts';

const RENEW = 'run `npm run docs:evasion` and look at what it changed';
const page = readFileSync(PAGE, 'utf8');
const { machine, entries } = parse(page);
const rows = SECTIONS.flatMap((section) => section.rows);

interface Attempt {
  readonly file: string;
  readonly rows: readonly number[];
  /** What is between `${` and `}` of it is only known in a run. */
  readonly title: RegExp;
  readonly text: string;
}

const ATTEMPT = /^\s*attempt\(\s*(\[[\d, ]+\]|\d+|\w+),\s*(?:'((?:[^'\\\n]|\\.)*)'|`([^`]*)`)/gm;

/** As they are written in the sources. */
const attempts: readonly Attempt[] = globSync('test/**/*.test.ts').flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(ATTEMPT)].map(([, numbers, plain, template]) => {
    const text = plain?.replaceAll(/\\(.)/g, '$1') ?? template!;
    const title = text
      .split(/\$\{[^}]*\}/)
      .map((part) => RegExp.escape(part))
      .join('.+');
    return { file, rows: (numbers!.match(/\d+/g) ?? []).map(Number), title: new RegExp(`^${title}$`), text };
  }),
);

describe('docs/evasion.md', () => {
  it('says of each row what is declared, and what came of its attempts', () => {
    assert.equal(page, withGenerated(page, render(machine, entries)), RENEW);
  });

  it('has the thirty-nine rows, each with something tried, or why nothing is', () => {
    const numbers = rows.map(({ number }) => number).sort((a, b) => a - b);
    assert.deepEqual(
      numbers,
      Array.from({ length: 39 }, (_, index) => index + 1),
    );
    const tried = new Set(entries.map(({ row }) => row));
    for (const { number, untried } of rows) assert.notEqual(tried.has(number), untried !== undefined, `row ${number}`);
  });

  it('names attempts that are made', () => {
    const unknown = entries.filter(
      ({ row, what, file }) =>
        !attempts.some(
          (one) => one.file === file && one.title.test(what) && (one.rows.length === 0 || one.rows.includes(row)),
        ),
    );
    assert.deepEqual(unknown, [], RENEW);
  });

  it('names every attempt that is made, under each of its rows', () => {
    const missing = attempts.filter(
      (one) =>
        !entries.some(({ file, what }) => file === one.file && one.title.test(what)) ||
        !one.rows.every((number) =>
          entries.some(({ row, file, what }) => row === number && file === one.file && one.title.test(what)),
        ),
    );
    assert.deepEqual(
      missing.map(({ file, text }) => `${file}: ${text}`),
      [],
      RENEW,
    );
  });

  it('is of a run in which all went as expected', () => {
    const failed = entries.filter(({ evidence }) => evidence.startsWith('the test failed'));
    assert.deepEqual(failed, []);
  });
});
