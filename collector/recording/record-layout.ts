import * as layout from '../sources/kernel/layout.ts';
import type { RecordingHeader } from './header.ts';

type Layout = RecordingHeader['layout'];

/** What layout.ts knows beside records: tables that are given to the probe. */
const NOT_IN_RECORDS: ReadonlySet<string> = new Set(['INTEREST', 'FAMILIES', 'STRUCT_BYTES']);
const EVENT_TYPES = 'EVENT_TYPES';
const ENUMERATIONS: ReadonlySet<string> = new Set(
  Object.entries(layout).flatMap(([name, part]) => (part instanceof Map ? [name] : [])),
);

/** Where things stand in the records of this build's probe. */
export function recordLayout(): Layout {
  const known: Record<string, Record<string, number>> = {};
  for (const [name, part] of Object.entries(layout)) {
    if (NOT_IN_RECORDS.has(name) || name === EVENT_TYPES) continue;
    if (part instanceof Map) known[name] = Object.fromEntries(part);
    else if (typeof part === 'object' && !Array.isArray(part)) known[name] = { ...(part as Record<string, number>) };
  }
  // Without the number behind the last one, which moves with each new type.
  known[EVENT_TYPES] = Object.fromEntries(layout.EVENT_TYPE_NAMES.map((name, number) => [name, number]));
  return known;
}

/**
 * Why the records of another build cannot be read by this one, each as text; none if they can: everything that they have stands where it stands here, and nothing
 * is looked for that they have not. Further event types, and further numbers of an enumeration, do no harm.
 */
export function layoutDifferences(recorded: Layout, own: Layout = recordLayout()): string[] {
  const names = new Set([...Object.keys(recorded), ...Object.keys(own)]);
  return [...names].flatMap((name) => partDifferences(name, recorded[name] ?? {}, own[name] ?? {}));
}

function partDifferences(part: string, recorded: Record<string, number>, own: Record<string, number>): string[] {
  const names = ENUMERATIONS.has(part)
    ? Object.keys(recorded)
    : [...new Set([...Object.keys(recorded), ...Object.keys(own)])];
  return names
    .filter((name) => recorded[name] !== own[name])
    .map((name) => `${part}.${name} is ${recorded[name] ?? 'missing'} there, ${own[name] ?? 'missing'} here`);
}
