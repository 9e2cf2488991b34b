import type { Losses } from '../collector/recording/format.ts';

/** An event that came with a gap is in the recording. */
const GAPS = 'read_failed';
const BYTES = 'left_in_rings';

/** What is missing in a recording; undefined if nothing is. */
export function formatLosses(losses: Losses): string | undefined {
  const parts = Object.entries(losses).flatMap(([reason, count]) => {
    if (reason === GAPS || count === 0) return [];
    return reason === BYTES ? [`${count} bytes left in the rings`] : [`${count} events (${reason})`];
  });
  return parts.length === 0 ? undefined : parts.join(', ');
}
