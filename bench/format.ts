import type { Spread } from './statistics.ts';

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), `|${'---|'.repeat(header.length)}`, ...rows.map(line)].join('\n');
}

export function spreadText({ min, median, max }: Spread, format: (value: number) => string): string {
  const [low, middle, high] = [format(min), format(median), format(max)];
  return low === high ? middle : `${middle} (${low} – ${high})`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function seconds(value: number): string {
  return value.toFixed(3);
}

/** One of them: what is promised of memory is said in these. */
export const MEGABYTE = 1_000_000;

export function megabytes(bytes: number): string {
  return (bytes / MEGABYTE).toFixed(0);
}
