import { ERRORS, ShikraError } from '../../collector/errors.ts';
import { type Check, notOk, ok } from './check.ts';

/** Loads each program once and lets it go: only the kernel knows what it accepts. */
export async function checkProbe(): Promise<Check[]> {
  try {
    const { probeSelfTest } = await import('../../native/index.ts');
    return probeSelfTest().map(({ program, ok: loads, detail }) =>
      loads ? ok(`program ${program}`, 'loads') : notOk(`program ${program}`, detail, ERRORS.PROBE_LOAD.remedy),
    );
  } catch (error) {
    return [probeError(error)];
  }
}

function probeError(error: unknown): Check {
  if (error instanceof ShikraError) return notOk('probe', error.message, error.remedy);
  const { message } = error as Error;
  return notOk('probe', `not built: ${message}`, ERRORS.PROBE_NOT_BUILT.remedy);
}
