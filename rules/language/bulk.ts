/**
 * Long sequences of plain words, taken out of a file before the YAML parser sees it: a threat feed of a hundred thousand names would cost it a second and
 * a few hundred megabytes. What stands in their place is one word; the offsets of everything else are mapped back.
 */
export interface Folded {
  /** The file, each run of items in it replaced by one word. */
  readonly text: string;
  readonly runs: readonly Run[];
  /** Where a character of the folded text stands in the file. */
  original(offset: number): number;
}

/** Items that followed each other. */
export interface Run {
  /** The word in their place. */
  readonly word: string;
  readonly texts: readonly string[];
  /** Where each starts and ends in the file, in turn; quotes included. */
  readonly ranges: Float64Array;
  /** Past the last character of the word, in the folded text, and of the run, in the file. */
  readonly foldedEnd: number;
  readonly end: number;
}

/** Fewer items than this are not worth it. */
const LEAST_ITEMS = 500;
/** `items:` and what follows: a block sequence on the next lines, or a flow sequence. */
const SEQUENCE = /^([ ]*)items:[ \t]*(?:#[^\n]*)?(?:\r?\n|\[)/gm;
/** A word that means itself in any place: nothing that YAML reads as more than text. */
const WORD = /[A-Za-z0-9_./][A-Za-z0-9_./@+*$~-]*(?::[A-Za-z0-9_./@+*-]+)*|"[^"\\\n]*"|'[^'\n]*'/y;
/** Unquoted, no text. */
const NOTHING = 'null';
const BLOCK_INDENT = /([ ]*)- +/y;
const LINE_END = /(?:[ \t]+#[^\n]*|[ \t]*)(?:\r?\n|$)/y;
const FLOW_GAP = /\s*,\s*/y;

/** @returns undefined if there is nothing to gain */
export function foldLists(text: string): Folded | undefined {
  const runs: Run[] = [];
  const parts: string[] = [];
  let length = 0;
  let copied = 0;
  const add = (part: string) => {
    parts.push(part);
    length += part.length;
  };
  SEQUENCE.lastIndex = 0;
  for (let match = SEQUENCE.exec(text); match !== null; match = SEQUENCE.exec(text)) {
    const after = match.index + match[0].length;
    const found = match[0].endsWith('[') ? readFlow(text, after) : readBlock(text, after, match[1]!.length);
    if (found === undefined || found.texts.length < LEAST_ITEMS) continue;
    const word = `shikra-items-${runs.length}`;
    add(text.slice(copied, found.ranges[0]));
    add(word);
    runs.push({ word, ...found, foldedEnd: length });
    copied = found.end;
    SEQUENCE.lastIndex = found.end;
  }
  if (runs.length === 0) return undefined;
  add(text.slice(copied));
  return { text: parts.join(''), runs, original: (offset) => originalOffset(runs, offset) };
}

function originalOffset(runs: readonly Run[], offset: number): number {
  const run = runs.findLast(({ foldedEnd, word }) => foldedEnd - word.length <= offset);
  if (run === undefined) return offset;
  return offset < run.foldedEnd ? run.ranges[0]! : run.end + (offset - run.foldedEnd);
}

interface Items {
  readonly texts: string[];
  readonly ranges: Float64Array;
  readonly end: number;
}

/** Lines of one indentation, not less than that of the key, each an item. Stops before the first that is anything else. */
function readBlock(text: string, from: number, keyIndent: number): Items | undefined {
  const texts: string[] = [];
  const ranges: number[] = [];
  let at = from;
  let end = from;
  let indent = -1;
  for (;;) {
    const dash = matchAt(BLOCK_INDENT, text, at);
    if (dash === undefined) break;
    const width = dash.indexOf('-');
    if (indent < 0) indent = width;
    if (width !== indent || width < keyIndent) break;
    const word = matchAt(WORD, text, at + dash.length);
    if (word === undefined || word === NOTHING) break;
    const start = at + dash.length;
    const rest = matchAt(LINE_END, text, start + word.length);
    if (rest === undefined) break;
    end = start + word.length;
    texts.push(unquoted(word));
    ranges.push(start, end);
    at = end + rest.length;
    if (rest === '') break;
  }
  return texts.length === 0 ? undefined : { texts, ranges: Float64Array.from(ranges), end };
}

/** Words between commas. The closing bracket must follow: everything between is taken, or nothing. */
function readFlow(text: string, from: number): Items | undefined {
  const texts: string[] = [];
  const ranges: number[] = [];
  let at = from + (matchAt(/\s*/y, text, from)?.length ?? 0);
  for (;;) {
    const word = matchAt(WORD, text, at);
    if (word === undefined || word === NOTHING) return undefined;
    const end = at + word.length;
    texts.push(unquoted(word));
    ranges.push(at, end);
    const gap = matchAt(FLOW_GAP, text, end);
    if (gap === undefined) {
      return matchAt(/\s*\]/y, text, end) === undefined ? undefined : { texts, ranges: Float64Array.from(ranges), end };
    }
    at = end + gap.length;
  }
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function unquoted(word: string): string {
  return word.startsWith('"') || word.startsWith("'") ? word.slice(1, -1) : word;
}
