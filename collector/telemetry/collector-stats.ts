/** Why an event, or a part of one, was lost in the kernel. Same order as `enum drop_reason` in native/bpf/event.h. */
export const DROP_REASONS = [
  'ring_full',
  'scratch_busy',
  'read_failed',
  'event_too_large',
  'cgroup_over_share',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** Families of events for loss accounting. Same order as `enum event_class` in native/bpf/event.h. */
export const EVENT_CLASSES = ['process', 'file', 'network', 'other'] as const;
export type EventClass = (typeof EVENT_CLASSES)[number];

/** The programs of the probe, as they are called in native/bpf/. */
export const PROGRAMS = [
  'dispatch_sys_exit',
  'collect_open',
  'collect_path',
  'collect_descriptor',
  'collect_socket',
  'collect_socketcall',
  'collect_scalar',
  'collect_exec',
  'collect_fork',
  'collect_exit',
  'iterate_processes',
  'note_paths',
  'submit_operation',
  'complete_operation',
  'overflow_operation',
] as const;

const BEHIND_DISPATCHER: readonly string[] = ['open', 'path', 'descriptor', 'socket', 'socketcall', 'scalar'].map(
  (family) => `collect_${family}`,
);

/** Those that the kernel calls: what it counts of them includes the programs that the dispatcher goes on to. */
export const CALLED_PROGRAMS: readonly string[] = PROGRAMS.filter((name) => !BEHIND_DISPATCHER.includes(name));

/** The task iterator runs only when it is asked, and whoever asks sees that it does not. */
const ATTACHED = PROGRAMS.filter((name) => name !== 'iterate_processes');

/** What must show again and again that it is there: the attached programs, the table of interests that they go by, the collector's thread. */
export const CANARIES: readonly string[] = [...ATTACHED, 'interests', 'collector'];

/** What came of one canary in one round. */
export interface CanaryResult {
  /** One of {@link CANARIES}. */
  readonly name: string;
  /** `dropped`: not seen, while events of its class were lost: it may be one of them. */
  readonly outcome: 'seen' | 'missed' | 'dropped';
  /** Not seen for longer than chance has it, or known to be gone. */
  readonly missing: boolean;
}

/** After a round of canaries. */
export interface CanaryReport {
  /** Of those that were expected; empty after the first. */
  readonly canaries: readonly CanaryResult[];
  /** Cumulative, of {@link CALLED_PROGRAMS}. Runs and their time are 0 unless the kernel counts them. */
  readonly programs: readonly {
    readonly name: string;
    readonly missedRuns: number;
    readonly runs: number;
    readonly runSeconds: number;
  }[];
  /** For the log. */
  readonly notes: readonly string[];
}

/** What a ring holds. Same order as `enum ring_kind` in native/bpf/event.h. */
export const RING_KINDS = ['calls', 'processes'] as const;
export type RingKind = (typeof RING_KINDS)[number];

/** Events of a cgroup that were refused because it had filled more than its share of a ring that was nearly full. */
export interface Refusals {
  /** The number that the kernel knows it by. */
  readonly cgroupId: number;
  /** Cumulative. The kernel forgets the cgroups that were refused longest ago; one that comes again begins at 0. */
  readonly counts: Readonly<Record<EventClass, number>>;
}

/** Upper bounds, in seconds, of the latency histogram's buckets; the last bucket (+Inf) is beyond them. */
export const LATENCY_BUCKETS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

/** What one rule did, and what that cost. */
export interface RuleStats {
  /** Times that it fired. */
  readonly matches: number;
  /** Events that its conditions were evaluated on, and how long that took: estimates from one event in a thousand. */
  readonly evaluations: number;
  readonly seconds: number;
  /** Of a rule over several events: keys remembered now, and those pushed out before their time. */
  readonly memory: { readonly keys: number; readonly evicted: number } | undefined;
}

/**
 * What the collector thread knows of itself. Every count is cumulative since start; the main thread turns differences into metrics.
 */
export interface CollectorStats {
  /** Events that reached user space, by event type name. */
  readonly events: Readonly<Record<string, number>>;
  /** Events or reads lost in the kernel, by cause, class and CPU. `read_failed` marks an event that arrived with a gap. */
  readonly drops: readonly {
    readonly reason: DropReason;
    readonly class: EventClass;
    readonly cpu: number;
    readonly count: number;
  }[];
  /** By rule name; rules that a reload took away keep what they had. */
  readonly rules: Readonly<Record<string, RuleStats>>;
  readonly rings: readonly {
    /** The first of those that share it. */
    readonly cpu: number;
    readonly kind: RingKind;
    readonly capacityBytes: number;
    readonly usedBytes: number;
  }[];
  readonly processTable: {
    readonly size: number;
    readonly capacity: number;
    /** Entries found stale (start time or exec generation differ) and read again. */
    readonly healed: number;
    /** Entries pushed out because the table was full. */
    readonly evicted: number;
    /** Events whose process was not in the table. */
    readonly missed: number;
  };
  /** From kernel time of an event to its detection leaving the collector thread; counts per bucket, not cumulated, one more than bounds. */
  readonly latency: { readonly counts: readonly number[]; readonly sumSeconds: number };
  /** Names that rules name: those with an address now, and those without; lookups by outcome. */
  readonly domainNames?: {
    readonly resolved: number;
    readonly unresolved: number;
    readonly lookups: { readonly resolved: number; readonly failed: number };
  };
  /** Of a source that knows containers. */
  readonly containers?: {
    /** Running now, with metadata and without. */
    readonly known: number;
    readonly missing: number;
    /** Events that waited for the metadata of a container. */
    readonly held: Readonly<Record<HeldOutcome, number>>;
    readonly detectionsWithout: Readonly<Record<MissingReason, number>>;
    /** Times that a condition or an output asked for metadata that was not there. */
    readonly looksWithout: number;
  };
}

/** Why there is no metadata of a container: it did not come in time, no engine has the container, there is no engine to ask. */
export const MISSING_REASONS = ['late', 'unknown', 'unreachable'] as const;
export type MissingReason = (typeof MISSING_REASONS)[number];

/** How waiting for it ended: with it; no engine has the container; the time was over; newer events needed the room. */
export const HELD_OUTCOMES = ['known', 'unknown', 'timeout', 'no_room'] as const;
export type HeldOutcome = (typeof HELD_OUTCOMES)[number];

/** Why a part of the audit log was no event: no JSON, too long, nested too deeply, something else, without a time; not readable; or the rules failed on it. */
export const AUDIT_REJECTIONS = [
  'malformed',
  'too_large',
  'too_deep',
  'not_audit',
  'no_time',
  'unreadable',
  'failed',
] as const;
export type AuditRejection = (typeof AUDIT_REJECTIONS)[number];

/** What the receiver of Kubernetes audit events knows of itself, cumulative since start. */
export interface AuditStats {
  readonly events: number;
  readonly rejected: Readonly<Record<AuditRejection, number>>;
  /** As in {@link CollectorStats}. */
  readonly rules: CollectorStats['rules'];
}
