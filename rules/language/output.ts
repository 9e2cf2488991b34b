import type { FieldValue } from '../../collector/detection/detection.ts';
import { FIELDS, findField } from '../fields/catalogue.ts';
import { nearNames } from '../fields/near.ts';
import type { Operand } from './ast.ts';
import { checkOperand, type Finding } from './check.ts';
import { parseOperandAt } from './parse.ts';
import { SyntaxProblem } from './scan.ts';
import type { TypedOperand } from './typed.ts';

/** An output text, cut at its fields. */
export interface OutputFormat {
  readonly text: string;
  readonly parts: readonly OutputPart[];
}

export type OutputPart = string | OutputField;

export interface OutputField {
  /** As the rule writes it: the key in `output_fields`. */
  readonly key: string;
  readonly operand: TypedOperand;
  /** From `%20proc.name`: the text is padded or cut to as many characters; 0 leaves it. */
  readonly width: number;
}

export type OutputReport = (finding: Finding) => void;

/**
 * The grammar of an output:
 *
 *   Output = { Text | '%' [ Width ] ( Field | Transformer ) } ;
 *
 * The longest text after `%` that names a field is the field: in `%proc.name.` the dot ends the sentence. There is no `%%`.
 */
export function parseOutput(text: string, report: OutputReport): OutputFormat {
  const parts: OutputPart[] = [];
  let from = 0;
  for (let percent = text.indexOf('%'); percent !== -1; percent = text.indexOf('%', from)) {
    parts.push(text.slice(from, percent));
    const field = parseField(text, percent, report);
    if (field?.part !== undefined) parts.push(field.part);
    from = field?.end ?? percent + 1;
  }
  parts.push(text.slice(from));
  return { text, parts: parts.filter((part) => part !== '') };
}

const LONGEST_WORD = /^[^\s%]{0,40}/;
const REMOVED_FIELD = 'container.info';

interface ParsedField {
  readonly part: OutputField | undefined;
  readonly end: number;
}

function parseField(text: string, percent: number, report: OutputReport): ParsedField | undefined {
  const digits = /^\d*/.exec(text.slice(percent + 1, percent + 6))?.[0] ?? '';
  const start = percent + 1 + digits.length;
  const found = readOperand(text, start);
  if (found instanceof SyntaxProblem || found === undefined) {
    const word = LONGEST_WORD.exec(text.slice(start))?.[0] ?? '';
    const message = found?.message ?? (word === '' ? "a lone '%' in the output" : `unknown filter: '${word}'`);
    const near = nearNames(word, FIELDS.keys());
    const span = { start: percent, end: start + word.length };
    report({
      code: 'LOAD_ERR_COMPILE_OUTPUT',
      message,
      span,
      details: { expected: "a field after '%'", near },
      unknownName: true,
    });
    return undefined;
  }
  const { operand } = found;
  const end = operand.span.end;
  if (operand.name === REMOVED_FIELD) return { part: undefined, end };
  const typed = checkOperand(operand, { report: (finding) => report({ ...finding, code: outputCode(finding) }) });
  if (typed === undefined) return { part: undefined, end };
  if (typed.kind === 'field' && typed.definition.filterOnly) {
    const message = `field '${operand.name}' has no single value: it can stand in a condition only`;
    report({ code: 'LOAD_ERR_COMPILE_OUTPUT', message, span: operand.span, details: {}, unknownName: false });
    return { part: undefined, end };
  }
  return { part: { key: text.slice(start, end), operand: typed, width: Number(digits) }, end };
}

function outputCode(finding: Finding): Finding['code'] {
  return finding.code === 'LOAD_ERR_COMPILE_CONDITION' ? 'LOAD_ERR_COMPILE_OUTPUT' : finding.code;
}

/** Reads the longest operand that exists; a name too long by what follows it is cut back. */
function readOperand(text: string, start: number): { operand: Operand } | SyntaxProblem | undefined {
  let operand: Operand | undefined;
  try {
    operand = parseOperandAt(text, start);
  } catch (error) {
    if (error instanceof SyntaxProblem) return error;
    throw error;
  }
  if (operand === undefined || operand.kind === 'transformer') return operand && { operand };
  if (operand.name === REMOVED_FIELD || findField(operand.name, operand.argument) !== undefined) return { operand };
  for (let length = operand.name.length - 1; length > 0; length--) {
    const name = operand.name.slice(0, length);
    if (findField(name) !== undefined) {
      return { operand: { kind: 'field', name, argument: undefined, span: { start, end: start + length } } };
    }
  }
  return undefined;
}

/** What stands in the text for a value that the event does not have. */
export const MISSING = '<NA>';

/** A value as the output shows it. */
export function valueText(value: FieldValue | undefined, width = 0): string {
  const text = value === undefined ? MISSING : typeof value === 'object' ? `(${value.join(',')})` : String(value);
  return width === 0 ? text : text.slice(0, width).padEnd(width);
}
