import assert from 'node:assert/strict';
import type { Capture, CapturedEvent } from './capture.ts';
import { trigger } from './trigger.ts';

/** Makes one system call and returns its event: there must be exactly one. */
export function oneEvent(
  capture: Capture,
  type: string,
  args: readonly (string | number)[],
  names: readonly string[],
  options: Parameters<typeof trigger>[1] = {},
): CapturedEvent & { result: number } {
  const { result, events } = capture.of(() => trigger(args.map(String), options), names);
  // before its execution stands what the test's process does in the child; the program is static, so no loader opens files after
  const started = events.findIndex((one) => one.type.startsWith('execve'));
  const found = events.slice(started).filter((one) => one.type === type);
  assert.equal(found.length, 1, `expected one ${type}, got ${events.map((one) => one.type).join(' ')}`);
  return { ...found[0]!, result: result.result };
}
