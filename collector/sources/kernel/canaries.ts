import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import type { Interests, Probe, ProgramState } from '../../../native/index.ts';
import { ShikraError } from '../../errors.ts';
import {
  CALLED_PROGRAMS,
  type CanaryReport,
  type CanaryResult,
  type EventClass,
} from '../../telemetry/collector-stats.ts';
import { FAMILY_CANARIES, wantsOperations } from './canary-calls.ts';
import { HEADER } from './layout.ts';
import type { Memory } from './memory.ts';
import { resultName } from './numbers.ts';
import { OwnEvents } from './own-events.ts';

/**
 * In rounds in a row: one may be missed by chance, the second tells. One that was lost with other events says little: a flood may last. But who fills the rings is
 * not to keep it from being told that nothing is heard of a program.
 */
const WEIGHTS = { seen: 0, missed: 6, dropped: 1 } as const;
const WEIGHT_THAT_TELLS = 12;
const PROCESS_PROGRAMS = ['collect_fork', 'collect_exec', 'collect_exit'];
const OPERATION_PROGRAMS = ['submit_operation', 'complete_operation'];
const DISPATCHER = 'dispatch_sys_exit';
const NOTE_PATHS = 'note_paths';
/** Of which class of events each program's canary is; the dispatcher's is whichever comes through. */
const CLASSES: Readonly<Record<string, readonly EventClass[]>> = {
  collect_open: ['file'],
  collect_path: ['file'],
  collect_descriptor: ['file'],
  collect_socket: ['network'],
  collect_socketcall: ['network'],
  collect_scalar: ['other'],
  note_paths: ['file'],
  dispatch_sys_exit: ['file', 'network', 'other'],
  submit_operation: ['other'],
  complete_operation: ['other'],
  collect_fork: ['process'],
  collect_exec: ['process'],
  collect_exit: ['process'],
};
const CALL_PROGRAMS = [...FAMILY_CANARIES.map(({ program }) => program), DISPATCHER, NOTE_PATHS];
const INTERESTS = 'interests';
/** linux/seccomp.h, SECCOMP_MODE_FILTER: it answers calls that it does not know before a program at their beginning is asked. */
const SECCOMP_FILTER = /^Seccomp:\s*2$/m;
const BUSY = 'EBUSY';

interface Round {
  readonly own: OwnEvents;
  /** Programs that have been given something to tell. */
  readonly provoked: ReadonlySet<string>;
  /** Events that had been lost before, by class. */
  readonly lost: LostEvents;
}

type LostEvents = Readonly<Record<EventClass, number>>;

/**
 * Has every attached program tell of something again and again, and says which does not: calls by numbers that mean nothing, an operation of io_uring that does
 * nothing, a process that ends at once. A program that cannot be given something to tell is watched by its link alone.
 */
export class Canaries {
  readonly #probe: Probe;
  readonly #selfPid: number;
  readonly #pidNamespace: number;
  readonly #lostEvents: () => LostEvents;
  readonly #unseen = new Map<string, number>();
  /** What cannot be provoked here, and why. */
  readonly #impossible = new Map<string, string>();
  #wanted: Interests & { readonly families: number };
  #round: Round | undefined;
  #turn = 0;
  #notes: string[] = [];

  /**
   * @param wanted as the probe has them; it is attached already
   * @param lostEvents how many did not arrive since the start
   */
  constructor(probe: Probe, wanted: Interests & { readonly families: number }, lostEvents: () => LostEvents) {
    this.#probe = probe;
    this.#lostEvents = lostEvents;
    this.#wanted = wanted;
    this.#selfPid = probe.processes(process.pid).readUInt32LE(HEADER.pid);
    this.#pidNamespace = Number(/\d+/.exec(readlinkSync('/proc/self/ns/pid_for_children'))?.[0]);
    if (SECCOMP_FILTER.test(readFileSync('/proc/thread-self/status', 'utf8')))
      this.#cannot([NOTE_PATHS], 'a seccomp filter answers first');
  }

  /** From now on the programs go by these. */
  want(wanted: Interests & { readonly families: number }): void {
    this.#wanted = wanted;
  }

  /** Takes a record that may be of the agent's own making. @returns true if it is: no rule is shown it */
  take(type: number, memory: Memory, at: number): boolean {
    return this.#round?.own.take(type, memory, at) ?? false;
  }

  /** What became of the last round; mends what can be mended, and begins the next. */
  next(): CanaryReport {
    const states = this.#probe.programs();
    const canaries = this.#round === undefined ? [] : this.#judge(this.#round, states);
    if (canaries.every(({ outcome }) => outcome === 'seen')) this.#turn++; // else the same processor again: a ring that tells nothing is found out
    this.#mend(states, canaries);
    this.#begin(states);
    const notes = this.#notes;
    this.#notes = [];
    return { canaries, programs: counted(states), notes };
  }

  /** Takes the end of the last round's process. */
  reap(): void {
    this.#probe.reap();
  }

  #judge({ own, provoked, lost: before }: Round, states: readonly ProgramState[]): CanaryResult[] {
    const attached = states.filter((state) => state.attached || own.seen.has(state.name) || provoked.has(state.name));
    const now = this.#lostEvents();
    const ofPrograms = attached.map(({ name, lost: isDetached }): CanaryResult => {
      const isSeen = !isDetached && (!provoked.has(name) || own.seen.has(name));
      const hasLoss = !isDetached && CLASSES[name]?.some((each) => now[each] > before[each]);
      const outcome = isSeen ? 'seen' : hasLoss ? 'dropped' : 'missed';
      return { name, outcome, missing: this.#weigh(name, outcome) >= WEIGHT_THAT_TELLS || isDetached };
    });
    const isIntact = this.#probe.interests().equals(this.#wanted.interests);
    return [...ofPrograms, { name: INTERESTS, outcome: isIntact ? 'seen' : 'missed', missing: !isIntact }];
  }

  #weigh(name: string, outcome: CanaryResult['outcome']): number {
    const weight = outcome === 'seen' ? 0 : (this.#unseen.get(name) ?? 0) + WEIGHTS[outcome];
    this.#unseen.set(name, weight);
    return weight;
  }

  #mend(states: readonly ProgramState[], canaries: readonly CanaryResult[]): void {
    try {
      if (states.some(({ lost }) => lost)) this.#probe.mend();
      if (canaries.some(({ name, missing }) => name === INTERESTS && missing)) this.#probe.want(this.#wanted);
    } catch (error) {
      if (!(error instanceof ShikraError)) throw error;
      this.#notes.push(error.message);
    }
  }

  #begin(states: readonly ProgramState[]): void {
    const token = (randomBytes(4).readUInt32LE() | 0x80000000) >>> 0;
    const attached = new Set(states.filter((state) => state.attached).map(({ name }) => name));
    const programs = this.#provokable(attached);
    const families = FAMILY_CANARIES.filter(({ program }) => programs.has(program));
    const lost = this.#lostEvents();
    const provoked = this.#probe.provoke({
      token,
      turn: this.#turn,
      families: families.reduce((bits, { bit }) => bits | bit, 0),
      operation: OPERATION_PROGRAMS.some((program) => programs.has(program)),
      process: PROCESS_PROGRAMS.some((program) => programs.has(program)),
    });
    this.#failed(CALL_PROGRAMS, provoked.calls, programs);
    this.#failed(PROCESS_PROGRAMS, provoked.child, programs);
    this.#failed(OPERATION_PROGRAMS, provoked.operation, programs);
    const [selfPid, pidNamespace] = [this.#selfPid, this.#pidNamespace];
    const own = new OwnEvents({ token, child: provoked.child, selfPid, pidNamespace });
    this.#round = { own, provoked: programs, lost };
  }

  #provokable(attached: ReadonlySet<string>): Set<string> {
    const { families, interests } = this.#wanted;
    const called = FAMILY_CANARIES.filter(({ bit }) => attached.has(DISPATCHER) && (families & bit) !== 0);
    const programs = [
      ...called.map(({ program }) => program),
      ...(called.length > 0 ? [DISPATCHER] : []),
      ...(called.some(({ program }) => program === 'collect_path') ? [NOTE_PATHS] : []),
      ...PROCESS_PROGRAMS,
      ...(wantsOperations(interests) ? OPERATION_PROGRAMS : []),
    ];
    const isCollected = new Set(called.map(({ program }) => program)); // these are reached by the dispatcher
    return new Set(
      programs.filter((name) => (attached.has(name) || isCollected.has(name)) && !this.#impossible.has(name)),
    );
  }

  /** @param result below 0: -errno. They are not expected then, and if it will be no other next time, not provoked any more */
  #failed(names: readonly string[], result: number, programs: Set<string>): void {
    if (result >= 0 || names.every((name) => !programs.has(name))) return;
    for (const name of names) programs.delete(name);
    const code = resultName(result);
    if (code !== BUSY) this.#cannot(names, code);
  }

  #cannot(names: readonly string[], why: string): void {
    for (const name of names) this.#impossible.set(name, why);
    this.#notes.push(`${names.join(', ')}: no canary here (${why}); only whether they are attached is watched`);
  }
}

function counted(states: readonly ProgramState[]): CanaryReport['programs'] {
  const called = states.filter(({ name }) => CALLED_PROGRAMS.includes(name));
  return called.map(({ name, missedRuns, runs, runNanos }) => ({ name, missedRuns, runs, runSeconds: runNanos / 1e9 }));
}
