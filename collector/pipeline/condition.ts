import {
  type CheckedRule,
  compileRuleset,
  EVENT_TYPES,
  type FieldGetter,
  type FieldReference,
  fieldText,
  loadRules,
} from '../../rules/index.ts';
import type { Detection, FieldValue } from '../detection/detection.ts';

/** What a condition is evaluated for when its detection names no event type that rules know. */
const NO_TYPE = 'none';

/** What is wrong with a condition; nothing if it can be used. Macros and lists are those of rule files and not known here. */
export function checkCondition(text: string): string[] {
  return load(text)
    .problems.filter(({ severity }) => severity === 'error')
    .map(({ message, expected, near }) => {
      const hint = near !== undefined && near.length > 0 ? `did you mean ${near.join(', ')}?` : expected;
      return hint === undefined ? message : `${message}; ${near?.length ? hint : `expected ${hint}`}`;
    });
}

/** The condition as a test of detections. The text must have passed {@link checkCondition}. */
export function compileCondition(text: string): (detection: Detection) => boolean {
  const { rules } = load(text);
  const ruleset = compileRuleset<Detection>(rules, { getter }, []);
  return (detection) => {
    const type = fieldOf(detection, 'evt.type');
    const evaluate = ruleset.evaluator(typeof type === 'string' && EVENT_TYPES.has(type) ? type : NO_TYPE);
    return evaluate !== undefined && evaluate(detection, 0) >= 0;
  };
}

function load(condition: string): { rules: CheckedRule[]; problems: ReturnType<typeof loadRules>['problems'] } {
  const rule = { rule: 'filter', desc: '', condition, output: 'filter', priority: 'Debug', source: 'syscall' };
  return loadRules([{ path: 'filter', text: JSON.stringify([rule]) }]);
}

function getter(field: FieldReference): FieldGetter<Detection> {
  const name = fieldText(field);
  switch (name) {
    case 'evt.source':
      return ({ source }) => source;
    case 'evt.hostname':
      return ({ hostname }) => hostname;
    default:
      return field.name === 'proc.aname' && field.argument !== undefined
        ? (detection) => fieldOf(detection, name) ?? ancestor(detection, Number(field.argument))
        : (detection) => fieldOf(detection, name);
  }
}

function fieldOf({ evidence, output_fields }: Detection, name: string): FieldValue | undefined {
  return evidence[name] ?? output_fields[name] ?? undefined;
}

/** Evidence has the names in one list, the parent's first. */
function ancestor({ evidence }: Detection, generation: number): FieldValue | undefined {
  const names = evidence['proc.aname'];
  return Array.isArray(names) ? (names as readonly string[])[generation - 1] : undefined;
}
