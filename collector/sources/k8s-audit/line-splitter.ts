const NEWLINE = 0x0a;

export interface SplitLine {
  /** Without its end; undefined of a line that was too long. */
  readonly text: string | undefined;
  /** Where it begins in the file, in bytes. */
  readonly offset: number;
}

/** Makes lines of the bytes of a file, handed in as they are read; a line cut in the middle waits for its rest. */
export class LineSplitter {
  readonly #maxLineBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  #lineOffset: number;

  /** @param offset of the first byte that will be added */
  constructor(offset: number, maxLineBytes: number) {
    this.#lineOffset = offset;
    this.#maxLineBytes = maxLineBytes;
  }

  /** Where the line begins of which the end has not been added. */
  get lineOffset(): number {
    return this.#lineOffset;
  }

  /** Of the next byte to add. */
  get nextOffset(): number {
    return this.#lineOffset + this.#bytes;
  }

  /** @returns the lines that end in these bytes */
  add(bytes: Buffer): SplitLine[] {
    const lines: SplitLine[] = [];
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      this.#keep(bytes.subarray(start, end));
      lines.push(this.#take(1));
      start = end + 1;
    }
    this.#keep(bytes.subarray(start));
    return lines;
  }

  /** What stands after the last newline, as nothing more will come; undefined if that is nothing. */
  finish(): SplitLine | undefined {
    return this.#bytes === 0 ? undefined : this.#take(0);
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes <= this.#maxLineBytes) this.#parts.push(part);
    else this.#parts = [];
  }

  #take(endBytes: number): SplitLine {
    const text = this.#bytes > this.#maxLineBytes ? undefined : Buffer.concat(this.#parts, this.#bytes).toString();
    const line = { text, offset: this.#lineOffset };
    this.#lineOffset += this.#bytes + endBytes;
    this.#parts = [];
    this.#bytes = 0;
    return line;
  }
}
