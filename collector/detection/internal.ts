import { hostname } from 'node:os';
import type { Detection, FieldValue } from './detection.ts';
import type { Priority } from './priority.ts';
import { formatTime, nowNanos } from './time.ts';
import { uuidv7 } from './uuid.ts';

/** Rules that the agent raises about itself. The names are stable: people alert on them. */
export const INTERNAL_RULES = {
  eventsDropped: 'Shikra internal: events dropped',
  rulesRejected: 'Shikra internal: rules rejected',
  configRejected: 'Shikra internal: configuration rejected',
  restartNeeded: 'Shikra internal: restart needed',
  canaryMissing: 'Shikra internal: canary missing',
  canaryBack: 'Shikra internal: canary back',
  flood: 'Shikra internal: flood',
} as const;

/**
 * A detection about the agent itself (source `internal`), which goes the way of all others.
 * @param rule one of {@link INTERNAL_RULES}, or another name that starts with `Shikra internal: `
 */
export function internalDetection(
  rule: string,
  priority: Priority,
  output: string,
  fields: Readonly<Record<string, FieldValue | null>> = {},
  nanos: bigint = nowNanos(),
): Detection {
  const time = formatTime(nanos);
  return {
    uuid: uuidv7(nanos),
    time,
    observed_time: time,
    rule,
    priority,
    source: 'internal',
    tags: ['internal'],
    hostname: hostname(),
    output,
    output_fields: { 'evt.time': nanos, ...fields },
    evidence: {},
    description: 'Raised by the agent about itself.',
    ruleset: 'internal',
  };
}
