import type { Span } from './source.ts';

/** A mistake in a condition or an output, at offsets of the text that was read. */
export class SyntaxProblem extends Error {
  readonly span: Span;
  readonly expected: string | undefined;
  readonly near: readonly string[];

  constructor(message: string, span: Span, expected?: string, near: readonly string[] = []) {
    super(message);
    this.name = 'SyntaxProblem';
    this.span = span;
    this.expected = expected;
    this.near = near;
  }
}

const BLANKS = ' \t\n\r\b';
const IDENTIFIER = /[a-zA-Z]+[a-zA-Z0-9_]*/y;
/** After `…label.` a name may hold what Kubernetes label names hold. */
const FIELD_NAME = /(?:container|k8s\.\w+)\.label\.[\w./-]*\w|[a-zA-Z]\w*(?:\.\w+)+/y;
const BARE_STRING = /[^()"'\s=,]+/y;
const BARE_ARGUMENT = /[^\]["'\s]+/y;
const NUMBER = /0[xX][0-9a-fA-F]+|[+-]?[0-9]+\.?[0-9]*(?:[eE][+-][0-9]+)?/y;
const HEX_BYTE = /^[0-9a-fA-F]{2}$/;
const SIMPLE_ESCAPES: Record<string, string> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  ' ': '\\',
  '\\': '\\',
  '/': '/',
};
const LONGEST_SHOWN = 30;

/**
 * Reads the words of a condition. What a word is depends on where it stands (`/etc` is a string after an operator and nothing before one),
 * so the parser asks for the kind it expects; every reader returns undefined, and moves nothing, if that is not what comes.
 */
export class Scanner {
  readonly text: string;
  offset = 0;

  constructor(text: string) {
    this.text = text;
  }

  skipBlanks(): void {
    while (this.offset < this.text.length && BLANKS.includes(this.text[this.offset]!)) this.offset++;
  }

  atEnd(): boolean {
    return this.offset >= this.text.length;
  }

  /** Reads a fixed text. */
  symbol(symbol: string): boolean {
    if (!this.text.startsWith(symbol, this.offset)) return false;
    this.offset += symbol.length;
    return true;
  }

  /** Reads a word that must end there: before a blank, a parenthesis or the end of the text. */
  keyword(word: string): boolean {
    if (!this.text.startsWith(word, this.offset)) return false;
    const next = this.text[this.offset + word.length];
    if (next !== undefined && !' \t\n\r\b()'.includes(next)) return false;
    this.offset += word.length;
    return true;
  }

  identifier(): string | undefined {
    return this.#read(IDENTIFIER);
  }

  fieldName(): string | undefined {
    return this.#read(FIELD_NAME);
  }

  bareArgument(): string | undefined {
    return this.#read(BARE_ARGUMENT);
  }

  number(): string | undefined {
    const start = this.offset;
    const text = this.#read(NUMBER);
    // `1abc` is a string that starts with a digit, not a number.
    if (text !== undefined && !this.atEnd() && /[^()"'\s=,]/.test(this.text[this.offset]!)) {
      this.offset = start;
      return undefined;
    }
    return text;
  }

  bareString(): string | undefined {
    return this.#read(BARE_STRING);
  }

  /** Reads a string in single or double quotes and resolves its escapes. */
  quotedString(): string | undefined {
    const quote = this.text[this.offset];
    if (quote !== '"' && quote !== "'") return undefined;
    const start = this.offset;
    let value = '';
    for (let at = start + 1; at < this.text.length; at++) {
      const character = this.text[at]!;
      if (character === quote) {
        this.offset = at + 1;
        return value;
      }
      if (character !== '\\') {
        value += character;
        continue;
      }
      const resolved = this.#escape(at, quote);
      value += resolved.value;
      at += resolved.length;
    }
    throw new SyntaxProblem('unterminated string', { start, end: this.text.length }, `a closing ${quote}`);
  }

  /** What comes next, cut short, for messages. */
  next(): string {
    if (this.atEnd()) return 'end of the condition';
    const word = /^[^\s()]+|^[\s\S]/.exec(this.text.slice(this.offset, this.offset + LONGEST_SHOWN))?.[0] ?? '';
    return `'${word}'`;
  }

  /** The stretch of what comes next. */
  nextSpan(): Span {
    const word = /[^\s(),]+|[\s\S]/y;
    word.lastIndex = this.offset;
    return { start: this.offset, end: this.offset + (word.exec(this.text)?.[0].length ?? 0) };
  }

  spanFrom(start: number): Span {
    return { start, end: this.offset };
  }

  #escape(at: number, quote: string): { value: string; length: number } {
    const name = this.text[at + 1] ?? '';
    if (name === quote) return { value: quote, length: 1 };
    const simple = SIMPLE_ESCAPES[name];
    if (simple !== undefined) return { value: simple, length: 1 };
    const hex = this.text.slice(at + 2, at + 4);
    if (name === 'x' && HEX_BYTE.test(hex)) {
      const code = Number.parseInt(hex, 16);
      if (code === 0) throw new SyntaxProblem('a string cannot hold a NUL byte', { start: at, end: at + 4 });
      return { value: String.fromCharCode(code), length: 3 };
    }
    const allowed = `one of \\b \\f \\n \\r \\t \\\\ \\/ \\${quote} \\xHH`;
    throw new SyntaxProblem(`invalid escape '\\${name}' in a string`, { start: at, end: at + 2 }, allowed);
  }

  #read(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.offset;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    this.offset += match[0].length;
    return match[0];
  }
}
