import { constants } from 'node:os';
import type { FieldValue } from '../../../collector/detection/detection.ts';

/** What the values of an event are compared with: none of it comes from the event. */
export interface Truth {
  /** A file of this scene alone, which is there before. */
  readonly at: string;
  /** What the call returned; -errno if it failed. */
  readonly result: number;
  /** Of the program. */
  readonly pid: number;
  /** How many events had been delivered with this one. */
  readonly count: number;
  /** The time around the call, in nanoseconds since 1970. */
  readonly fromNs: bigint;
  readonly toNs: bigint;
}

/** A value that is only known to be between others. */
export interface Condition {
  readonly holds: (value: FieldValue | undefined, truth: Truth) => boolean;
}

/** A value, how it is found out beside the event, or what holds of it. */
export type Expected = FieldValue | undefined | Condition | ((truth: Truth) => FieldValue | undefined);

/** One call, and what its event says of it. */
export interface Scene {
  readonly type: string;
  /** Where a type has several. */
  readonly what?: string;
  /** Arguments of test/fixtures/trigger.c. */
  readonly call: (at: string) => readonly (string | number)[];
  /** Numbers of calls are x86-64's. */
  readonly arch?: 'x64';
  readonly prepare?: (at: string) => void;
  readonly fields: Readonly<Record<string, Expected>>;
}

const ERRORS = new Map(Object.entries(constants.errno).map(([name, number]) => [-number, name]));

/** `SUCCESS`, or the error's name. */
export function errorOf({ result }: Truth): string {
  return result < 0 ? ERRORS.get(result)! : 'SUCCESS';
}

/** As a list of arguments has it: what the call said, whatever that is on this machine. */
export function resultOf(truth: Truth): string {
  return truth.result < 0 ? `${truth.result}(${errorOf(truth)})` : String(truth.result);
}

export function isCondition(expected: Expected): expected is Condition {
  return typeof expected === 'object' && 'holds' in expected;
}
