import { ERRORS, ShikraError } from '../../collector/errors.ts';
import { CALLED_PROGRAMS } from '../../collector/telemetry/collector-stats.ts';
import type { ProgramTest, RunningProgram } from '../../native/index.ts';
import { absent, type Check, notOk, ok } from './check.ts';

/** BPF_OBJ_NAME_LEN of linux/bpf.h, without the NUL: so much of a name the kernel keeps. */
const NAME_CHARACTERS = 15;
const MISSED_RUNS = 'missed runs';

/** Loads each program once and lets it go: only the kernel knows what it accepts. Then asks it about those of agents that run. */
export async function checkProbe(): Promise<Check[]> {
  try {
    const { probeSelfTest, runningPrograms } = await import('../../native/index.ts');
    // First those that run: the test's own would be among them for a moment.
    const running = runningPrograms();
    return [...probeSelfTest().map(checkProgram), ...checkMissedRuns(running)];
  } catch (error) {
    return [probeError(error)];
  }
}

export function checkProgram({ program, ok: loads, detail, verifiedInstructions }: ProgramTest): Check {
  if (!loads) return notOk(`program ${program}`, detail, ERRORS.PROBE_LOAD.remedy);
  if (detail !== '') return absent(`program ${program}`, detail);
  const instructions = verifiedInstructions.toLocaleString('en');
  return ok(`program ${program}`, `loads; the verifier looked at ${instructions} instructions`);
}

/** What the programs of running agents have not been run for. Nothing where none runs. */
export function checkMissedRuns(running: readonly RunningProgram[]): Check[] {
  const ours = CALLED_PROGRAMS.map((name) => ({
    name,
    programs: running.filter((program) => program.name === name.slice(0, NAME_CHARACTERS)),
  })).filter(({ programs }) => programs.length > 0);
  const agents = Math.max(0, ...ours.map(({ programs }) => programs.length));
  if (agents === 0) return [];
  const missed = ours.map(({ name, programs }) => ({
    name,
    count: programs.reduce((sum, { missedRuns }) => sum + missedRuns, 0),
  }));
  const those = missed.filter(({ count }) => count > 0);
  const whose = agents === 1 ? 'the agent that runs' : `the ${agents} agents that run`;
  if (those.length === 0) return [ok(MISSED_RUNS, `none, of ${ours.length} programs of ${whose}`)];
  const detail = those.map(({ name, count }) => `${name} ${count.toLocaleString('en')}`).join(', ');
  const remedy = 'these events were not told: look at shikra_probe_missed_runs_total; it must not rise';
  return [absent(MISSED_RUNS, `${detail}, of ${whose}`, remedy)];
}

function probeError(error: unknown): Check {
  if (error instanceof ShikraError) return notOk('probe', error.message, error.remedy);
  const { message } = error as Error;
  return notOk('probe', `not built: ${message}`, ERRORS.PROBE_NOT_BUILT.remedy);
}
