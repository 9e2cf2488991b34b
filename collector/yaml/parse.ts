/** YAML as Shikra reads it: every mistake at once, and closing brackets where people put them. */
import { type Event, parseEvents, YAMLException } from 'js-yaml';
import { buildTrees, type YamlDocuments, type YamlMistake } from './tree.ts';

/** Reads every document of a text. Where there is a mistake of syntax there are no documents. */
export function parseYaml(text: string): YamlDocuments {
  const joined = joinBrackets(text);
  const parsed = parse(joined);
  if (isEvents(parsed)) return buildTrees(joined, parsed);
  const mistakes = mistakesOfParts(joined);
  return { documents: [], mistakes: mistakes.length > 0 ? mistakes : [explained(parsed)] };
}

function isEvents(parsed: readonly Event[] | YamlMistake): parsed is readonly Event[] {
  return Array.isArray(parsed);
}

function parse(text: string): readonly Event[] | YamlMistake {
  try {
    return parseEvents(text, {});
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const start = error.mark?.position ?? 0;
    return { kind: 'syntax', message: error.reason, start, end: start + 1 };
  }
}

/** The first thing that is said. */
const FIRST = /^(?![#%\s]|---)..?/m;
/** Where an item of the outermost sequence begins, or an entry of the outermost mapping: nothing that is right reaches over it. */
const ITEM = /^-(?=\s)/gm;
const ENTRY = /^[^\s#\-\]}]/gm;

function partsOf(text: string): string[] {
  const isSequence = /^-\s/.test(FIRST.exec(text)?.[0] ?? '');
  const starts = [...text.matchAll(isSequence ? ITEM : ENTRY)].map(({ index }) => index);
  if (starts[0] !== 0) starts.unshift(0);
  return starts.map((start, index) => text.slice(start, starts[index + 1]));
}

/** The parser stops at the first mistake, so it is shown each part of the text by itself. */
function mistakesOfParts(text: string): YamlMistake[] {
  const mistakes: YamlMistake[] = [];
  let partStart = 0;
  for (const part of partsOf(text)) {
    const parsed = parse(part);
    if (!isEvents(parsed)) {
      // What is missing at the end is missing after the last thing that is there.
      const start = partStart + Math.min(parsed.start, part.trimEnd().length);
      mistakes.push({ ...explained(parsed), start, end: start + 1 });
    }
    partStart += part.length;
  }
  return mistakes;
}

/** What js-yaml says of a line that had to be deeper than the key of what it goes on with. */
const NOT_DEEPER = 'deficient indentation';

function explained(mistake: YamlMistake): YamlMistake {
  if (mistake.message !== NOT_DEEPER) return mistake;
  const message = 'a quote or a bracket is not closed before this, or this does not stand deeper than its key';
  return { ...mistake, message };
}

/** A line that closes something, or a part of a longer text. */
const BRACKETS_LINE = /^[ \t]*[\]}][\]},\t ]*(?:#.*)?\r?$/m;
const NOTHING_LINE = /^[ \t]*(?:#.*)?\r?$/;
const QUOTED = /(?<![^\s,:[{])(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')/g;
const COMMENT = /[ \t]#.*\r?$/;

/** Behind each bracket the part is read again: of a text made for it that would be hours. What is left then is refused as the mistake that it is to YAML. */
const MOST_CHARACTERS_READ_AGAIN = 16_000_000;

/**
 * Puts brackets that close a list or a mapping at the indentation of its key behind the last item. YAML wants them deeper, but many write so, Falco's own
 * rules among them, and Falco takes it. Only blanks and comments change, and no offset.
 */
function joinBrackets(text: string): string {
  if (!BRACKETS_LINE.test(text)) return text;
  let left = MOST_CHARACTERS_READ_AGAIN;
  const joinBracketsOf = (part: string): string => {
    let joined = part;
    while (left > 0) {
      const parsed = parse(joined);
      if (isEvents(parsed) || parsed.message !== NOT_DEEPER) break;
      left -= joined.length;
      const next = joinBracket(joined, parsed.start);
      if (next === undefined) break;
      joined = next;
    }
    return joined;
  };
  return partsOf(text)
    .map((part) => (BRACKETS_LINE.test(part) ? joinBracketsOf(part) : part))
    .join('');
}

/** @returns undefined if there is no bracket, or no telling whether a comment is one */
function joinBracket(text: string, at: number): string | undefined {
  const lines = text.slice(0, at).split('\n');
  const indent = lines.pop()!;
  if (!BRACKETS_LINE.test(indent + text.slice(at).split('\n', 1)[0]!)) return undefined;
  while (lines.length > 1 && NOTHING_LINE.test(lines.at(-1)!)) lines.pop();
  const last = withoutComment(lines.pop() ?? '');
  return last ? [...lines, last].join('\n').padEnd(at) + text.slice(at) : undefined;
}

/** @returns undefined if there is no telling: a quote may have begun on a line before */
function withoutComment(line: string): string | undefined {
  const unquoted = line.replace(QUOTED, '');
  const comment = COMMENT.exec(unquoted)?.[0] ?? '';
  if (/["']/.test(unquoted) || !line.endsWith(comment)) return undefined;
  return line.slice(0, line.length - comment.length).trimEnd();
}
