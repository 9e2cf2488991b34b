import type { CheckedRule } from '../../rules/runtime.ts';
import { Engine } from '../engine/engine.ts';
import { decodeRules, readRulesAside, rulesOf } from '../engine/load-aside.ts';
import type { RulesRequest } from '../engine/load-rules.ts';
import { ShikraError } from '../errors.ts';
import type { FieldContext } from '../sources/kernel/fields/context.ts';
import { KernelFields } from '../sources/kernel/fields/index.ts';
import { EVENT_TYPE_NAMES } from '../sources/kernel/layout.ts';
import { COLLECTED_EVENT_TYPES, familyOf } from '../sources/kernel/system-calls.ts';

export interface SyscallRules {
  readonly rules: readonly CheckedRule[];
  readonly warnings: readonly string[];
}

/** Reads rules as the agent does. @throws ShikraError RULES_INVALID with every mistake */
export async function readSyscallRules(request: RulesRequest): Promise<SyscallRules> {
  const reading = await readRulesAside(request);
  const read = decodeRules(await reading.bytes);
  if (!read.ok) throw new ShikraError('RULES_INVALID', read.errors.map((error) => `\n${error}`).join(''));
  return { rules: rulesOf(read), warnings: read.warnings };
}

/** The event types that come when these rules are loaded: those that one of them can match, and those that the process table lives on. */
export function eventTypesFor(rules: readonly CheckedRule[]): readonly string[] {
  const engine = new Engine({
    rules,
    resolver: new KernelFields({} as FieldContext), // nothing is evaluated
    eventTypeNames: EVENT_TYPE_NAMES,
    collected: COLLECTED_EVENT_TYPES,
    matching: 'all',
  });
  return COLLECTED_EVENT_TYPES.filter((name) => engine.wants(name) || familyOf(name) === undefined);
}
