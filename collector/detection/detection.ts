import type { Priority } from './priority.ts';

/** What a rule field can hold. 64-bit numbers that a double cannot hold exactly are bigint. */
export type FieldValue = string | number | bigint | boolean | readonly string[];

/**
 * One detection: Falco's alert keys with Falco's meaning, `uuid`, and what the log record needs beyond them.
 * A plain object, so that it crosses the thread boundary and goes to disk as it is.
 */
export interface Detection {
  /**
   * The idempotency key of every delivery (`log.record.uid`). A UUIDv7, fixed when the detection is made; of an event that may be read twice (an audit log), a
   * UUIDv8 that is the same each time.
   */
  readonly uuid: string;
  /** When the event happened, RFC 3339 UTC with nine decimals. */
  readonly time: string;
  /** When the agent saw it, same format. Fixed when the detection is made, so that a replay is byte-identical. */
  readonly observed_time: string;
  readonly rule: string;
  readonly priority: Priority;
  /** `syscall`, `k8s_audit` or `internal`; of what others detected, whatever they say. */
  readonly source: string;
  readonly tags: readonly string[];
  readonly hostname: string;
  /** The rule's output with its fields filled in; a missing value is `<NA>`. */
  readonly output: string;
  /** The fields that the output names, and `evt.time`; a missing value is null. */
  readonly output_fields: Readonly<Record<string, FieldValue | null>>;
  /**
   * Facts about the event's subject, by rule field name (`proc.pid`, `fd.name`, `container.id`, ...), whether or not the output
   * names them. Missing values are absent. The log record's attributes are made from these.
   */
  readonly evidence: Readonly<Record<string, FieldValue>>;
  /** The rule's `desc`. */
  readonly description: string;
  /** The file that the rule came from, as a name without folder and extension. */
  readonly ruleset: string;
}
