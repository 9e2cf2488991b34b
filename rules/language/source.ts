/** A file as it was read, to name lines and columns in. */
export class SourceFile {
  readonly path: string;
  readonly text: string;
  /** Found when the first place is asked for: most files have nothing to tell of. */
  #knownLineStarts: number[] | undefined;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
  }

  get #lineStarts(): readonly number[] {
    if (this.#knownLineStarts !== undefined) return this.#knownLineStarts;
    const { text } = this;
    const starts = [0];
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
    this.#knownLineStarts = starts;
    return starts;
  }

  /** Line and column of an offset, both counted from 1. */
  position(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.#lineStarts[low]! + 1 };
  }

  /** The text of a line, without its end. */
  line(line: number): string {
    return this.text
      .slice(this.#lineStarts[line - 1] ?? this.text.length, this.#lineStarts[line])
      .replace(/\r?\n$/, '');
  }
}

/** A stretch of a file. */
export interface Place {
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
}

/** A stretch of a text, as offsets; `end` is past its last character. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A text that was made out of parts of files, and still knows where each part stands. */
export interface MappedText {
  readonly text: string;
  place(span: Span): Place;
}

/** Text of which all stands at one place. */
export function textAt(text: string, place: Place): MappedText {
  return { text, place: () => place };
}

/** Joins texts; each part keeps its places. A stretch that reaches over several parts is placed in its first. */
export function joinTexts(parts: readonly MappedText[]): MappedText {
  const only = parts[0];
  if (parts.length === 1 && only !== undefined) return only;
  const starts: number[] = [];
  let length = 0;
  for (const part of parts) {
    starts.push(length);
    length += part.text.length;
  }
  return {
    text: parts.map((part) => part.text).join(''),
    place({ start, end }) {
      let index = starts.findLastIndex((partStart) => partStart <= start);
      if (index < 0) index = 0;
      const part = parts[index]!;
      const from = start - starts[index]!;
      return part.place({ start: from, end: Math.min(end - starts[index]!, part.text.length) });
    },
  };
}
