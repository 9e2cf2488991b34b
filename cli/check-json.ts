import { PROBLEMS, type Problem, type ProblemCode, type RuleFile } from '../rules/index.ts';

/** Falco's texts of its error codes; programs compare them. */
const FALCO_TEXTS: Partial<Record<ProblemCode, string>> = {
  LOAD_ERR_FILE_READ: 'File read error',
  LOAD_ERR_YAML_PARSE: 'YAML parse error',
  LOAD_ERR_YAML_VALIDATE: 'Error validating internal structure of YAML file',
  LOAD_ERR_COMPILE_CONDITION: 'Error compiling condition',
  LOAD_ERR_COMPILE_OUTPUT: 'Error compiling output',
  LOAD_ERR_VALIDATE: 'Error validating rule/macro/list/exception objects',
  LOAD_ERR_EXTENSION: 'Error in extension item',
};
/** Problems that Falco's schema of rule files would name too. */
const SCHEMA_CODES: ReadonlySet<ProblemCode> = new Set([
  'LOAD_ERR_YAML_VALIDATE',
  'LOAD_UNKNOWN_KEY',
  'LOAD_UNKNOWN_ITEM',
]);
/** What part of an item a problem is in, where the code says it. */
const PARTS: Partial<Record<ProblemCode, string>> = {
  LOAD_ERR_COMPILE_CONDITION: 'condition',
  LOAD_COMPILE_CONDITION: 'condition',
  LOAD_NO_EVTTYPE: 'condition',
  LOAD_ERR_COMPILE_OUTPUT: 'output',
};

/** The problems in the shape of `falco -V` with JSON output. `end_column`, `expected` and `near` are ours. */
export function formatLoadResults(files: readonly RuleFile[], problems: readonly Problem[]): string {
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  const names = new Set([...texts.keys(), ...problems.map(({ file }) => file)]);
  const results = [...names].map((name) => {
    const found = problems.filter(({ file }) => file === name);
    const ofSchema = found.filter(({ code }) => SCHEMA_CODES.has(code));
    const entries = (severity: Problem['severity']) =>
      found.filter((problem) => problem.severity === severity).map((problem) => entryOf(problem, texts.get(name)));
    const errors = entries('error');
    return {
      name,
      successful: errors.length === 0,
      schema_valid: ofSchema.length === 0,
      schema_warnings: ofSchema.map(({ message }) => message),
      errors,
      warnings: entries('warning'),
    };
  });
  return JSON.stringify({ falco_load_results: results }, null, 2);
}

function entryOf(problem: Problem, text: string | undefined): object {
  const { code, message, snippet, expected, near, endColumn } = problem;
  return {
    code,
    codedesc: FALCO_TEXTS[code] ?? PROBLEMS[code].title,
    message,
    context: { locations: locationsOf(problem, text), snippet: snippet === undefined ? '' : `${snippet}\n` },
    end_column: endColumn - 1,
    ...(expected !== undefined && { expected }),
    ...(near !== undefined && { near }),
  };
}

interface Item {
  readonly kind: string;
  readonly name: string;
  readonly line: number;
}

const ITEM =
  /^-\s+(?:\{\s*)?["']?(rule|macro|list|required_engine_version|required_plugin_versions)["']?\s*:\s*(.*?)\s*$/;

/** From the outer to the inner: the item, and the place in it. Lines and columns count from 0, as Falco's do. */
function locationsOf(problem: Problem, text: string | undefined): object[] {
  const lines = text?.split('\n') ?? [];
  const item = itemAt(lines, problem.line);
  const place = position(problem.file, lines, problem.line, problem.column);
  if (item === undefined) return [{ item_type: 'rules content', item_name: '', position: place }];
  const outer = {
    item_type: item.kind,
    item_name: problem.rule ?? item.name,
    position: position(problem.file, lines, item.line, 3),
  };
  const part = PARTS[problem.code];
  if (part === undefined) return [{ ...outer, position: place }];
  return [outer, { item_type: `${item.kind} ${part}`, item_name: '', position: place }];
}

function itemAt(lines: readonly string[], line: number): Item | undefined {
  for (let at = Math.min(line, lines.length); at > 0; at--) {
    const match = ITEM.exec(lines[at - 1]!);
    if (match !== null) return { kind: match[1]!, name: match[2]!.replace(/^(["'])(.*)\1$/, '$2'), line: at };
  }
  return undefined;
}

function position(name: string, lines: readonly string[], line: number, column: number): object {
  let offset = column - 1;
  for (let at = 0; at < line - 1; at++) offset += (lines[at]?.length ?? 0) + 1;
  return { name, line: line - 1, column: column - 1, offset };
}
