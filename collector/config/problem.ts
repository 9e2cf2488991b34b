/** One mistake in a configuration, or one thing worth a warning, with its place. */
export interface Problem {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in UTF-16 units as editors do. */
  readonly column: number;
  /** The keys that lead to the place, as the user typed them: `exporters.otlp/eu.endpoint`. */
  readonly key: string;
  readonly message: string;
}

export type KeyPath = readonly (string | number)[];

/** `['a', 'b', 0]` -> `a.b[0]`. */
export function formatKey(path: KeyPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** `file:line:column: key: message`. */
export function formatProblem({ file, line, column, key, message }: Problem): string {
  return `${file}:${line}:${column}: ${key === '' ? '' : `${key}: `}${message}`;
}

export function byPlace(a: Problem, b: Problem): number {
  return a.line - b.line || a.column - b.column;
}
