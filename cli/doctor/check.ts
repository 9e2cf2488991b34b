/** One thing that `shikra doctor` looked at. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** False for what Shikra runs without. */
  readonly needed: boolean;
  /** What was found. */
  readonly detail: string;
  /** What to do; only with what is not ok. */
  readonly remedy?: string;
}

export function ok(name: string, detail: string): Check {
  return { name, ok: true, needed: true, detail };
}

export function notOk(name: string, detail: string, remedy: string): Check {
  return { name, ok: false, needed: true, detail, remedy };
}

/** Something missing that Shikra runs without. */
export function absent(name: string, detail: string, remedy?: string): Check {
  return { name, ok: false, needed: false, detail, ...(remedy === undefined ? {} : { remedy }) };
}

export function exitCodeOf(checks: readonly Check[]): 0 | 1 {
  return checks.every((check) => check.ok || !check.needed) ? 0 : 1;
}

/** A line for each check, its remedy below it. */
export function formatChecks(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks.flatMap((check) => formatCheck(check, width)).join('\n');
}

function formatCheck({ name, ok, needed, detail, remedy }: Check, width: number): string[] {
  const state = ok ? 'ok' : needed ? 'not ok' : '-';
  const line = `${state.padEnd(6)}  ${name.padEnd(width)}  ${detail}`;
  return remedy === undefined ? [line] : [line, `${' '.repeat(width + 10)}-> ${remedy}`];
}
