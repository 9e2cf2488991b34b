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
    const one = idle.length === 1;
    const count = one ? `1 rule for ${EVENTS[other]} is` : `${idle.length} rules for ${EVENTS[other]} are`;
    const receiver = `receivers.${RECEIVERS[other]}`;
    const why =
      files === undefined
        ? `no receiver brings these events; add ${receiver} to the configuration`
        : `${receiver} does not load the files; name them in its rules_files`;
    return [`${count} checked, and never ${one ? 'fires' : 'fire'}: ${why}`];
  });
}

function holds(path: string, file: string): boolean {
  return path === file || file.startsWith(path.endsWith(sep) ? path : `${path}${sep}`);
}
