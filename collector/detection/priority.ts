/** Falco's priorities, most severe first; the index is the syslog severity number. */
export const PRIORITIES = [
  'Emergency',
  'Alert',
  'Critical',
  'Error',
  'Warning',
  'Notice',
  'Informational',
  'Debug',
] as const;

export type Priority = (typeof PRIORITIES)[number];

/**
 * Reads a priority as users write it: any case, and `info` for `Informational`.
 * @returns the canonical spelling, or undefined if the text names none
 */
export function parsePriority(text: string): Priority | undefined {
  const wanted = text.trim().toLowerCase();
  if (wanted === 'info') return 'Informational';
  return PRIORITIES.find((priority) => priority.toLowerCase() === wanted);
}

/** True if `priority` is at least as severe as `minimum`. */
export function atLeast(priority: Priority, minimum: Priority): boolean {
  return PRIORITIES.indexOf(priority) <= PRIORITIES.indexOf(minimum);
}
