import type { MappedText, Span } from './source.ts';

/** A list, ready to be put in place of its name. */
export interface ListDefinition {
  readonly name: string;
  /** The items joined by commas, as they go into a condition. */
  readonly text: string;
}

/** A word as lists see it: quoted strings are stepped over, everything else ends at a blank or at one of `( ) , =`. */
const WORD = /"(?:[^"\\]|\\[\s\S])*"?|'(?:[^'\\]|\\[\s\S])*'?|[^\s(),="']+/g;

interface Piece {
  /** Where the piece starts in the expanded text. */
  readonly start: number;
  /** Where it came from in the original. */
  readonly origin: Span;
  /** False for text that a list put there: all of it came from the list's name. */
  readonly copied: boolean;
}

/**
 * Puts the items of lists in place of their names, before the condition is parsed: lists are text. An empty list takes a comma beside
 * it along. Names inside quotes stay (Falco replaces them there if blanks surround them; no rule means that).
 * @param used called with the name of each list that was found
 */
export function expandLists(
  source: MappedText,
  lists: ReadonlyMap<string, ListDefinition>,
  used: (name: string) => void,
): MappedText {
  const { text } = source;
  const parts: string[] = [];
  const pieces: Piece[] = [];
  let length = 0;
  const add = (part: string, origin: Span, copied: boolean) => {
    if (part.length === 0) return;
    pieces.push({ start: length, origin, copied });
    parts.push(part);
    length += part.length;
  };
  let copiedTo = 0;
  for (const match of text.matchAll(WORD)) {
    const list = lists.get(match[0]);
    if (list === undefined) continue;
    used(list.name);
    const span = { start: match.index, end: match.index + match[0].length };
    const gap = list.text === '' ? withoutComma(text, span) : span;
    add(text.slice(copiedTo, Math.max(copiedTo, gap.start)), { start: copiedTo, end: gap.start }, true);
    add(list.text, span, false);
    copiedTo = Math.max(copiedTo, gap.end);
  }
  if (pieces.length === 0 && copiedTo === 0) return source;
  add(text.slice(copiedTo), { start: copiedTo, end: text.length }, true);
  return { text: parts.join(''), place: (span) => source.place(originOf(span, pieces, text.length)) };
}

/** Widens the place of an empty list by the comma after it, or else before it. */
function withoutComma(text: string, { start, end }: Span): Span {
  const after = /^\s*,/.exec(text.slice(end));
  if (after !== null) return { start, end: end + after[0].length };
  const before = /,\s*$/.exec(text.slice(0, start));
  return { start: start - (before?.[0].length ?? 0), end };
}

function originOf(span: Span, pieces: readonly Piece[], originalLength: number): Span {
  const first = pieces.findLast((piece) => piece.start <= span.start);
  if (first === undefined) return { start: 0, end: originalLength };
  if (!first.copied) return first.origin;
  const start = first.origin.start + (span.start - first.start);
  return { start, end: Math.max(start, Math.min(first.origin.end, start + (span.end - span.start))) };
}

/** An item as it goes into a condition: Falco quotes what holds a blank; we quote whatever else would not be one word too. */
export function listItemText(item: string): string {
  if (/^["'(]/.test(item)) return item;
  return /[\s()"'=,]/.test(item) ? `"${item.replaceAll('"', '\\"')}"` : item;
}
