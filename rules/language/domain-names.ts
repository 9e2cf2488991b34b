import type { CheckedRule } from './compile.ts';
import type { TypedExpression } from './typed.ts';

/** The domain names that enabled rules compare with: somebody has to find out their addresses. */
export function domainNamesOf(rules: readonly CheckedRule[]): ReadonlySet<string> {
  const names = new Set<string>();
  const seen = new Set<TypedExpression>();
  const walk = (expression: TypedExpression): void => {
    if (seen.has(expression)) return;
    seen.add(expression);
    if (expression.kind === 'and' || expression.kind === 'or') for (const one of expression.operands) walk(one);
    else if (expression.kind === 'not') walk(expression.operand);
    else if (expression.kind === 'check' && expression.left.kind === 'field' && expression.left.definition.isDomainName)
      for (const value of expression.values) names.add(String(value));
  };
  for (const { enabled, condition, sequence } of rules) {
    if (!enabled) continue;
    walk(condition);
    for (const step of sequence?.steps ?? []) walk(step.condition);
  }
  return names;
}
