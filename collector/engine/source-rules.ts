import { sep } from 'node:path';
import { type CheckedRule, compileRuleset, type Problem } from '../../rules/index.ts';
import type { RuleSource, RulesRequest } from './load-rules.ts';
import { syscallWarnings } from './syscall-rules.ts';

/** The receiver that brings the events of a source. */
const RECEIVERS: Readonly<Record<RuleSource, string>> = { syscall: 'kernel', k8s_audit: 'k8s_audit' };
const EVENTS: Readonly<Record<RuleSource, string>> = { syscall: 'system calls', k8s_audit: 'Kubernetes audit events' };

/** What a source cannot give to its rules. */
export async function sourceWarnings(rules: readonly CheckedRule[], source: RuleSource): Promise<readonly Problem[]> {
  if (source === 'syscall') return syscallWarnings(rules);
  const { AUDIT_EVENT_TYPE_NAMES, AuditFields } = await import('../sources/k8s-audit/index.ts');
  const own = rules.filter((rule) => rule.source === source);
  return compileRuleset(own, new AuditFields({ hostname: '' }), AUDIT_EVENT_TYPE_NAMES).warnings;
}

/** Rules that no receiver in use runs: said, as they would be silent without a word. */
export function idleRules(
  rules: readonly CheckedRule[],
  { source, receivers }: Pick<RulesRequest, 'source' | 'receivers'>,
): string[] {
  const others = (Object.keys(RECEIVERS) as RuleSource[]).filter((other) => other !== source);
  return others.flatMap((other) => {
    const files = receivers[other];
    const idle = rules.filter(
      (rule) => rule.enabled && rule.source === other && !files?.some((path) => holds(path, rule.place.file.path)),
    );
    if (idle.length === 0) return [];
    const [count, they] = idle.length === 1 ? ['1 rule is', 'it is'] : [`${idle.length} rules are`, 'they are'];
    const never = `${they} checked, and never ${idle.length === 1 ? 'fires' : 'fire'}`;
    const receiver = `receivers.${RECEIVERS[other]}`;
    const why =
      files === undefined
        ? `which no receiver brings: ${never}; add ${receiver} to the configuration to use them`
        : `and stand in files that ${receiver} does not load: ${never}; name the files in ${receiver}.rules_files too`;
    return [`${count} for ${EVENTS[other]}, ${why}`];
  });
}

function holds(path: string, file: string): boolean {
  return path === file || file.startsWith(path.endsWith(sep) ? path : `${path}${sep}`);
}
