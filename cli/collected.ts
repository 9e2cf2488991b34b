import { ShikraError } from '../collector/errors.ts';
import { AUDIT_EVENT_TYPE, AuditFields } from '../collector/sources/k8s-audit/index.ts';
import type { CheckedRule, FieldReference, FieldResolver, Problem } from '../rules/index.ts';
import { compileRuleset } from '../rules/index.ts';

/** What one source gives to rules. */
export interface Collected {
  readonly source: string;
  readonly eventTypes: readonly string[];
  /** True if the source has the field for events of some type. */
  has(field: FieldReference): boolean;
  /** What rules of this source ask for and do not get. */
  warnings(rules: readonly CheckedRule[]): readonly Problem[];
}

export interface KnownSources {
  readonly sources: readonly Collected[];
  /** Why a source is not among them. */
  readonly missing: string | undefined;
}

/** The sources of this machine. That of system calls reads its fields' layout from the probe, so it needs the native part. */
export async function knownSources(): Promise<KnownSources> {
  const audit = collected('k8s_audit', [AUDIT_EVENT_TYPE], new AuditFields({ hostname: '' }));
  try {
    return { sources: [await kernelSource(), audit], missing: undefined };
  } catch (error) {
    if (!(error instanceof ShikraError)) throw error;
    return { sources: [audit], missing: `${error.message}; ${error.remedy}` };
  }
}

async function kernelSource(): Promise<Collected> {
  const { KernelFields } = await import('../collector/sources/kernel/fields/index.ts');
  const { COLLECTED_EVENT_TYPES } = await import('../collector/sources/kernel/system-calls.ts');
  // Getters are only asked for, never called: nothing of the context is read.
  const fields = new KernelFields({} as ConstructorParameters<typeof KernelFields>[0]);
  return collected('syscall', COLLECTED_EVENT_TYPES, fields);
}

function collected<E>(source: string, eventTypes: readonly string[], resolver: FieldResolver<E>): Collected {
  return {
    source,
    eventTypes,
    has: (field) => [undefined, ...eventTypes].some((type) => resolver.getter(field, type) !== undefined),
    warnings: (rules) => {
      const ofSource = rules.filter((rule) => rule.source === source);
      return compileRuleset(ofSource, resolver, eventTypes).warnings;
    },
  };
}
