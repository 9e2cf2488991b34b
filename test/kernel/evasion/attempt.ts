import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Fields } from '../capture.ts';

/** What becomes of an attempt to hide. `no effect`: there is nothing to detect, as it does what it always did, or nothing. */
export type Outcome = 'detected' | 'not detected' | 'no effect';

/** What an attempt came to, and what of the run shows it. */
export interface Seen {
  readonly outcome: Outcome;
  readonly evidence: string;
}

/** A line of the file that a run is written to. */
export interface AttemptRecord {
  readonly rows: readonly number[];
  /** From the root of the project. */
  readonly file: string;
  readonly what: string;
  readonly outcome: Outcome | 'not run here';
  readonly evidence: string;
}

/** Names the file that attempts are written to, a line of JSON each: scripts/evasion-page/ makes docs/evasion.md of it. */
export const RECORD_VARIABLE = 'SHIKRA_EVASION_RECORD';

interface AttemptOptions {
  readonly skip?: boolean | string;
  /** What is known to come of it: an attempt that comes to something else fails, so that the page is made again. */
  readonly expect?: Outcome;
}

/**
 * A test that is an entry of docs/evasion.md: somebody tries to hide in the way of one or more rows of `rows.ts`. `what` says how, and what has to be seen;
 * it is read out of the sources, too, so it is written where `attempt` is called.
 * @returns of `act`: what was seen; one that throws was not detected
 */
export function attempt(
  rows: number | readonly number[],
  what: string,
  { skip = false, expect = 'detected' }: AttemptOptions,
  act: (context: TestContext) => Seen | Promise<Seen>,
): void {
  const record = (outcome: AttemptRecord['outcome'], evidence: string) =>
    write({ rows: [rows].flat(), file: relative('.', process.argv[1]!), what, outcome, evidence });
  if (skip !== false) record('not run here', skip === true ? '' : skip);
  test(what, { skip }, async (context) => {
    const seen = await Promise.resolve(act(context)).catch((error: Error) => {
      record('not detected', `the test failed: ${error.message.split('\n')[0]}`);
      throw error;
    });
    record(seen.outcome, seen.evidence);
    assert.equal(seen.outcome, expect, `${seen.evidence}: change what is expected, then run npm run docs:evasion`);
  });
}

function write(record: AttemptRecord): void {
  const file = process.env[RECORD_VARIABLE];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(record)}\n`);
}

/** An event that tells it, by these of its fields. */
export function told({ type, fields }: { type: string; fields: Fields }, ...names: readonly string[]): Seen {
  return { outcome: 'detected', evidence: [`\`${type}\``, ...values(fields, names)].join(' ') };
}

/** A detection that tells it, by these fields of its output. */
export function alerted(
  { rule, output_fields: fields }: { rule: string; output_fields: Readonly<Record<string, unknown>> },
  ...names: readonly string[]
): Seen {
  return { outcome: 'detected', evidence: [`*${rule}*`, ...values(fields, names)].join(' ') };
}

/** What else shows that it does not hide anything. */
export const shown = (evidence: string): Seen => ({ outcome: 'detected', evidence });
export const noEffect = (evidence: string): Seen => ({ outcome: 'no effect', evidence });
export const missed = (evidence: string): Seen => ({ outcome: 'not detected', evidence });

function values(fields: Readonly<Record<string, unknown>>, names: readonly string[]): string[] {
  return names.map((name) => `\`${name}=${readable(String(fields[name]))}\``);
}

const LONGEST = 90;

/** The same in every run and on every machine: temporary folders and the project's have no names, what is long is cut in its middle. */
function readable(text: string): string {
  const plain = text
    .replaceAll(process.cwd(), '…')
    .replaceAll(/\/tmp\/shikra-[^/ ]+/g, '/tmp/…')
    .replaceAll(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
    .replaceAll(/ {4,}/g, ' … ')
    .replaceAll('`', '´');
  return plain.length <= LONGEST ? plain : `${plain.slice(0, LONGEST / 2)}…${plain.slice(-LONGEST / 2)}`;
}
