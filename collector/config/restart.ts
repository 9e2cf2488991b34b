import { ShikraError } from '../errors.ts';
import type { Component } from './component.ts';
import { type Config, receiversInUse } from './config.ts';

export interface Takeable {
  /** The new configuration, with the old values where only a restart brings the new ones. */
  readonly config: Config;
  /** Where that is. */
  readonly held: readonly string[];
}

/** Of the kernel receiver these are taken while it runs: rules are swapped. All else is what the probe was loaded with. */
const KERNEL_TAKEN = new Set(['rules_files', 'rules']);

/**
 * What of a new configuration can be taken while the agent runs.
 * @throws ShikraError CONFIG_INVALID if the kernel receiver came, went or has another name: nothing can be taken then
 */
export function takeable(old: Config, next: Config): Takeable {
  const kernel = takeableKernel(kernelOf(old), kernelOf(next));
  const held = [...kernel.held];
  for (const part of ['store', 'telemetry'] as const)
    held.push(...changedKeys(old.service[part], next.service[part]).map((key) => `service.${part}.${key}`));
  const receivers = kernel.receiver === undefined ? {} : { [kernel.receiver.id]: kernel.receiver };
  const { store, telemetry } = old.service;
  return {
    config: {
      ...next,
      receivers: { ...next.receivers, ...receivers },
      service: { ...next.service, store, telemetry },
    },
    held,
  };
}

function takeableKernel(old: Component | undefined, next: Component | undefined) {
  if (old?.id !== next?.id) {
    const change = `from ${old?.id ?? 'none'} to ${next?.id ?? 'none'}`;
    throw new ShikraError('CONFIG_INVALID', `the receiver of system calls changes ${change}: this needs a restart`);
  }
  if (old === undefined || next === undefined) return { receiver: undefined, held: [] };
  const before = old.config as Record<string, unknown>;
  const keys = changedKeys(before, next.config as Record<string, unknown>).filter((key) => !KERNEL_TAKEN.has(key));
  const kept = Object.fromEntries(keys.map((key) => [key, before[key]]));
  return {
    receiver: { ...next, config: { ...(next.config as object), ...kept } },
    held: keys.map((key) => `receivers.${old.id}.${key}`),
  };
}

function kernelOf(config: Config): Component | undefined {
  return receiversInUse(config).find(({ type }) => type === 'kernel');
}

function changedKeys(old: object, next: object): string[] {
  const [before, after] = [old, next] as [Record<string, unknown>, Record<string, unknown>];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
}
