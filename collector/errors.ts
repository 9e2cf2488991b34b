/**
 * The errors that a user can meet, in one table: a code that stays the same for ever, the message, and what to do.
 * `docs/errors.md` lists the same codes; a test keeps the two equal. Retired codes are never used again.
 */

/** Exit codes of the command line: 0 done, 1 failed, 2 bad usage or configuration. */
export type ExitCode = 1 | 2;

interface ErrorKind {
  /** `%s` stands for the details given where the error is raised. */
  readonly message: string;
  readonly remedy: string;
  readonly exitCode: ExitCode;
}

export const ERRORS = {
  CONFIG_INVALID: {
    message: 'the configuration has mistakes: %s',
    remedy: 'correct the lines named above; `shikra run --help` names the schema',
    exitCode: 2,
  },
  CONFIG_UNREADABLE: {
    message: 'the configuration file %s',
    remedy: 'check the path given with -c and that it may be read',
    exitCode: 2,
  },
  RULES_INVALID: {
    message: 'the rules have mistakes: %s',
    remedy: 'correct the lines named above; nothing was started',
    exitCode: 2,
  },
  PROBE_PRIVILEGE: {
    message: 'the kernel refused to load the probe: %s',
    remedy: 'run as root, or grant CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH',
    exitCode: 1,
  },
  PROBE_NO_BTF: {
    message: 'this kernel publishes no type information (%s)',
    remedy: 'use a kernel built with CONFIG_DEBUG_INFO_BTF=y (5.18 or newer; every current distribution has it)',
    exitCode: 1,
  },
  PROBE_LOCKDOWN: {
    message: 'this kernel is locked down: %s',
    remedy: 'boot with lockdown=integrity or none; confidentiality mode forbids reading kernel memory from BPF',
    exitCode: 1,
  },
  PROBE_LOAD: {
    message: 'the probe did not load: %s',
    remedy: 'run `shikra doctor`; it says which program the kernel refuses and why',
    exitCode: 1,
  },
  PROBE_RING_MEMORY: {
    message: 'there is not enough memory for the rings between the kernel and Shikra: %s',
    remedy: 'set a smaller receivers.kernel.ring_preset or a larger cpus_per_ring; `shikra doctor` says what they take',
    exitCode: 1,
  },
  PROBE_NOT_BUILT: {
    message: 'the native part is missing: %s',
    remedy: 'run `npm start` or `npm test` once as root: both build it',
    exitCode: 1,
  },
  COLLECTOR_DIED: {
    message: 'the collector thread stopped: %s',
    remedy: 'nothing is left attached to the kernel; start again and report the message',
    exitCode: 1,
  },
  STORE_UNUSABLE: {
    message: 'the detection store cannot be used: %s',
    remedy: 'check service.store.path, its permissions and the free space',
    exitCode: 1,
  },
  STORE_IN_USE: {
    message: 'another agent works with the detection store %s',
    remedy: 'stop it, or give this one a store of its own: service.store.path',
    exitCode: 1,
  },
  RECORDING_UNWRITABLE: {
    message: 'the recording cannot be written: %s',
    remedy: 'check the path given with -o, its permissions and the free space',
    exitCode: 1,
  },
  RECORDING_UNREADABLE: {
    message: 'the recording cannot be read: %s',
    remedy: 'give a file that `shikra record` wrote, and a copy of it that is whole',
    exitCode: 1,
  },
  RECORDING_INCOMPATIBLE: {
    message: 'the recording is of another build of Shikra: %s',
    remedy: 'replay it with the version that recorded it, or record again with this one',
    exitCode: 1,
  },
  AGENT_UNREACHABLE: {
    message: 'there are no metrics of an agent: %s',
    remedy: 'start it with `shikra run`, or say with --url where its prometheus exporter listens',
    exitCode: 1,
  },
  ADDRESS_IN_USE: {
    message: 'cannot listen on %s',
    remedy: 'stop what listens there or set another endpoint',
    exitCode: 1,
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** An error meant for the user: printed as message and remedy, never with a stack trace. */
export class ShikraError extends Error {
  readonly code: ErrorCode;
  /** What was found, as given: with `code` enough to make the error again on the other side of a thread boundary. */
  readonly detail: string;
  readonly remedy: string;
  readonly exitCode: ExitCode;

  /**
   * @param code a key of {@link ERRORS}
   * @param detail what was found; takes the place of `%s` in the message
   */
  constructor(code: ErrorCode, detail: string, options?: ErrorOptions) {
    const kind: ErrorKind = ERRORS[code];
    super(
      kind.message.replace('%s', () => detail),
      options,
    );
    this.name = 'ShikraError';
    this.code = code;
    this.detail = detail;
    this.remedy = kind.remedy;
    this.exitCode = kind.exitCode;
  }
}
