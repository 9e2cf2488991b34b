import { ShikraError } from '../errors.ts';
import type { Component } from './component.ts';
import { formatProblem, type Problem } from './problem.ts';
import type { KernelReceiverConfig } from './receivers.ts';
import type { ServiceConfig } from './service.ts';

/** A checked configuration: every default is in it, every reference leads somewhere. A plain object. */
export interface Config {
  /** The file that it was read from; undefined for the defaults. */
  readonly file: string | undefined;
  /** By id, in the order of the file; so are the two below. */
  readonly receivers: Readonly<Record<string, Component>>;
  readonly processors: Readonly<Record<string, Component>>;
  readonly exporters: Readonly<Record<string, Component>>;
  readonly service: ServiceConfig;
}

/** The kernel receiver that the logs pipeline starts with, if it does. */
export function kernelReceiver(config: Config): KernelReceiverConfig | undefined {
  const inUse = config.service.pipelines.logs.receivers.map((id) => config.receivers[id]);
  return inUse.find((receiver) => receiver?.type === 'kernel')?.config as KernelReceiverConfig | undefined;
}

/** All mistakes of a configuration in one error. */
export class ConfigError extends ShikraError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('CONFIG_INVALID', problems.map((problem) => `\n  ${formatProblem(problem)}`).join(''));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}
