import type { ToldName } from '../event/domain-names.ts';
import type { Logger } from '../telemetry/logger.ts';

const MOST_SHOWN = 5;

/** Says which domain names in rules cannot be resolved, and which can again. */
export function logDomainNames(logger: Pick<Logger, 'warn' | 'info'>, names: readonly ToldName[]): void {
  const failed = names.filter(({ failure }) => failure !== undefined);
  const back = names.filter(({ failure }) => failure === undefined);
  if (failed.length > 0)
    logger.warn(
      { component: 'domain_names', count: failed.length },
      `domain names in rules cannot be resolved: ${list(failed.map(({ name, failure }) => `${name} (${failure})`))}; until they can, rules go by the addresses that were known before, or never match`,
    );
  if (back.length > 0)
    logger.info(
      { component: 'domain_names', count: back.length },
      `domain names in rules can be resolved again: ${list(back.map(({ name }) => name))}`,
    );
}

function list(texts: readonly string[]): string {
  const more = texts.length - MOST_SHOWN;
  return `${texts.slice(0, MOST_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
