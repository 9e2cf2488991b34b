import { formatProblem } from '../rules/index.ts';
import { errorsOf, loadRulePaths } from './load-rules.ts';

export interface RulesListOptions {
  readonly json?: boolean;
}

/** `shikra rules list`: a line for each rule. @returns the exit code */
export async function rulesList(paths: readonly string[], options: RulesListOptions): Promise<number> {
  const { rules, problems } = await loadRulePaths(paths.length === 0 ? ['bundled'] : paths);
  const errors = errorsOf(problems);
  if (options.json) {
    const listed = rules.map(({ name, enabled, priority, source, tags, ruleset, description }) => {
      return { name, enabled, priority, source, tags, ruleset, description };
    });
    console.log(JSON.stringify({ rules: listed }, null, 2));
  } else {
    for (const { name, enabled, priority, source, tags } of rules) {
      console.log(
        [
          enabled ? 'on ' : 'off',
          priority.padEnd(13),
          source.padEnd(9),
          tags.length === 0 ? name : `${name}  (${tags.join(' ')})`,
        ].join('  '),
      );
    }
  }
  for (const error of errors) console.error(formatProblem(error));
  return errors.length > 0 ? 1 : 0;
}
