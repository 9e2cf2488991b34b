import type { Place } from './source.ts';

export type Severity = 'error' | 'warning';

/** What can be wrong with rule files. `LOAD_*` codes are Falco's, with Falco's meaning; the others are ours. */
export const PROBLEMS = {
  LOAD_ERR_FILE_READ: { severity: 'error', title: 'file cannot be read' },
  LOAD_ERR_YAML_PARSE: { severity: 'error', title: 'not YAML' },
  LOAD_ERR_YAML_VALIDATE: { severity: 'error', title: 'not the shape of a rule file' },
  LOAD_ERR_COMPILE_CONDITION: { severity: 'error', title: 'condition does not compile' },
  LOAD_ERR_COMPILE_OUTPUT: { severity: 'error', title: 'output does not compile' },
  LOAD_ERR_VALIDATE: { severity: 'error', title: 'rule, macro, list or exception is not valid' },
  LOAD_ERR_EXTENSION: { severity: 'error', title: 'extension item is not valid' },
  LOAD_UNKNOWN_SOURCE: { severity: 'warning', title: 'unknown event source' },
  LOAD_UNSAFE_NA_CHECK: { severity: 'warning', title: 'comparison with <NA>' },
  LOAD_NO_EVTTYPE: { severity: 'warning', title: 'rule restricts no event type' },
  LOAD_UNKNOWN_FILTER: { severity: 'warning', title: 'unknown field or event type' },
  LOAD_UNUSED_MACRO: { severity: 'warning', title: 'macro is not used' },
  LOAD_UNUSED_LIST: { severity: 'warning', title: 'list is not used' },
  LOAD_UNKNOWN_ITEM: { severity: 'warning', title: 'unknown item' },
  LOAD_DEPRECATED_ITEM: { severity: 'warning', title: 'deprecated' },
  LOAD_WARNING_EXTENSION: { severity: 'warning', title: 'extension item' },
  LOAD_APPEND_NO_VALUES: { severity: 'warning', title: 'appended exception has no values' },
  LOAD_EXCEPTION_NAME_NOT_UNIQUE: { severity: 'warning', title: 'exception name is used twice' },
  LOAD_INVALID_MACRO_NAME: { severity: 'warning', title: 'macro name is not valid' },
  LOAD_INVALID_LIST_NAME: { severity: 'warning', title: 'list name is not valid' },
  LOAD_COMPILE_CONDITION: { severity: 'warning', title: 'condition may not mean what it says' },
  LOAD_UNKNOWN_KEY: { severity: 'warning', title: 'unknown key' },
  LOAD_TOO_MANY_PROBLEMS: { severity: 'error', title: 'too many problems' },
  LOAD_FIELD_NOT_COLLECTED: { severity: 'warning', title: 'field is not collected here' },
  LOAD_SELECTS_NOTHING: { severity: 'warning', title: 'selection chooses no rule' },
  LOAD_EVENT_NOT_COLLECTED: { severity: 'warning', title: 'event type is not collected here' },
} as const satisfies Record<string, { severity: Severity; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One thing wrong with the rules, and where. Line and columns count from 1; `endColumn` is past the last character. */
export interface Problem {
  readonly code: ProblemCode;
  readonly severity: Severity;
  readonly message: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endColumn: number;
  /** The rule in which it is, if it is in one. */
  readonly rule?: string;
  /** What could stand there instead. */
  readonly expected?: string;
  /** Known names like the one found. */
  readonly near?: readonly string[];
  /** The line, and below it a caret for each character meant. */
  readonly snippet?: string;
}

export interface ProblemDetails {
  readonly rule?: string | undefined;
  readonly expected?: string | undefined;
  readonly near?: readonly string[] | undefined;
}

/** Builds a problem at a place; one that reaches over several lines is shown on its first. */
export function problemAt(code: ProblemCode, message: string, place: Place, details: ProblemDetails = {}): Problem {
  const { line, column } = place.file.position(place.start);
  const lineText = place.file.line(line);
  const length = Math.max(1, Math.min(place.end - place.start, lineText.length - column + 1));
  return {
    code,
    severity: PROBLEMS[code].severity,
    message,
    file: place.file.path,
    line,
    column,
    endColumn: column + length,
    ...(details.rule !== undefined && { rule: details.rule }),
    ...(details.expected !== undefined && { expected: details.expected }),
    ...(details.near !== undefined && details.near.length > 0 && { near: details.near }),
    snippet: snippetOf(lineText, column, length),
  };
}

const SNIPPET_WIDTH = 120;
const SNIPPET_LEAD = 40;

/** Cuts long lines around the place, and keeps tabs so that the caret stands below what it means. */
function snippetOf(lineText: string, column: number, length: number): string {
  const isCut = lineText.length > SNIPPET_WIDTH && column > SNIPPET_LEAD;
  const from = isCut ? column - 1 - SNIPPET_LEAD : 0;
  const shown = lineText.slice(from, from + SNIPPET_WIDTH);
  const lead = shown.slice(0, column - 1 - from).replace(/[^\t]/g, ' ');
  const carets = '^'.repeat(Math.max(1, Math.min(length, shown.length - lead.length)));
  return `${shown}\n${lead}${carets}`;
}

/** A problem as text for a terminal. */
export function formatProblem(problem: Problem): string {
  const where = `${problem.file}:${problem.line}:${problem.column}`;
  const rule = problem.rule === undefined ? '' : `rule '${problem.rule}': `;
  const expected = problem.expected === undefined ? '' : `; expected ${problem.expected}`;
  const near =
    problem.near === undefined ? '' : `; did you mean ${problem.near.map((name) => `'${name}'`).join(' or ')}?`;
  const head = `${where}: ${problem.severity} ${problem.code}: ${rule}${problem.message}${expected}${near}`;
  if (problem.snippet === undefined) return head;
  return `${head}\n${problem.snippet.replace(/^/gm, '    ')}`;
}
