import { type CheckedRule, compileRuleset, type Problem } from '../../rules/index.ts';
import type { FieldContext } from '../sources/kernel/fields/context.ts';
import { KernelFields } from '../sources/kernel/fields/index.ts';
import { COLLECTED_EVENT_TYPES } from '../sources/kernel/system-calls.ts';

/** What the kernel's source cannot give to these rules. No field is read for it, so there need not be a source. */
export function syscallWarnings(rules: readonly CheckedRule[]): readonly Problem[] {
  const ofSyscalls = rules.filter(({ source }) => source === 'syscall');
  return compileRuleset(ofSyscalls, new KernelFields({} as FieldContext), COLLECTED_EVENT_TYPES).warnings;
}
