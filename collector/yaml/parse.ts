/** YAML as Shikra reads it: every mistake at once, and closing brackets where people put them. */
import { type Event, parseEvents, YAMLException } from 'js-yaml';
import { buildTrees, type YamlDocuments, type YamlMistake } from './tree.ts';

/** Reads every document of a text. Where there is a mistake of syntax there are no documents. */
export function parseYaml(text: string): YamlDocuments {
  const parsed = parse(text);
  if (isEvents(parsed)) return buildTrees(text, parsed);
  const { joined, mistakes } = readParts(text);
  if (mistakes.length > 0) return { documents: [], mistakes };
  // Offsets in the text are the same in the joined one, and so are all texts of scalars: only blanks and comments were changed.
  const again = parse(joined);
  return isEvents(again) ? buildTrees(joined, again) : { documents: [], mistakes: [again] };
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

/** The parser stops at the first mistake, so it is shown each part of the text by itself. */
function readParts(text: string): { readonly joined: string; readonly mistakes: readonly YamlMistake[] } {
  const isSequence = /^-\s/.test(FIRST.exec(text)?.[0] ?? '');
  const starts = [...text.matchAll(isSequence ? ITEM : ENTRY)].map(({ index }) => index);
  if (starts[0] !== 0) starts.unshift(0);
  const mistakes: YamlMistake[] = [];
  const parts = starts.map((start, index) => {
    const { joined, mistake } = joinBrackets(text.slice(start, starts[index + 1]));
    if (mistake !== undefined) mistakes.push(placed(mistake, start, joined));
    return joined;
  });
  return { joined: parts.join(''), mistakes };
}

/** What is missing at the end is missing after the last thing that is there. */
function placed(mistake: YamlMistake, partStart: number, part: string): YamlMistake {
  const start = partStart + Math.min(mistake.start, part.trimEnd().length);
  return { ...mistake, start, end: start + 1 };
}

/**
 * Puts brackets that close a list or a mapping at the indentation of its key behind the last item. YAML wants them deeper, but many write so, Falco's own
 * rules among them, and Falco takes it. No offset changes.
 */
function joinBrackets(part: string): { readonly joined: string; readonly mistake?: YamlMistake } {
  let joined = part;
  for (;;) {
    const parsed = parse(joined);
    if (isEvents(parsed)) return { joined };
    const next = parsed.message === NOT_DEEPER ? joinBracket(joined, parsed.start) : undefined;
    if (next === undefined) return { joined, mistake: explained(parsed) };
    joined = next;
  }
}

/** What js-yaml says of a line that had to be deeper than the key of what it goes on with. */
const NOT_DEEPER = 'deficient indentation';

function explained(mistake: YamlMistake): YamlMistake {
  if (mistake.message !== NOT_DEEPER) return mistake;
  return {
    ...mistake,
    message: 'a quote or a bracket is not closed before this, or this does not stand deeper than its key',
  };
}

const BRACKETS_LINE = /[\]}][\]},\t ]*(?:#.*)?\r?$/my;
const NOTHING_LINE = /^[ \t]*(?:#.*)?\r?$/;
const COMMENT = /[ \t]#.*$/;

/** @returns undefined if there is no bracket, or no telling whether a comment is one */
function joinBracket(text: string, at: number): string | undefined {
  BRACKETS_LINE.lastIndex = at;
  if (!BRACKETS_LINE.test(text)) return undefined;
  const lines = text.slice(0, at).split('\n');
  let last = lines.length - 2; // before the bracket's own line
  while (last > 0 && NOTHING_LINE.test(lines[last]!)) last--;
  const line = lines[last];
  if (line === undefined || (COMMENT.test(line) && /["']/.test(line))) return undefined;
  const before = [...lines.slice(0, last), line.replace(COMMENT, '')].join('\n');
  return before.padEnd(at) + text.slice(at);
}
