import { ShikraError } from '../errors.ts';
import type { Component } from './component.ts';
import { formatProblem, type Problem } from './problem.ts';
import type { K8sAuditReceiverConfig, KernelReceiverConfig } from './receivers.ts';
import { logsPipelines, type ServiceConfig } from './service.ts';

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

/** The receivers that some pipeline of detections starts with, each once. */
export function receiversInUse(config: Config): Component[] {
  const ids = logsPipelines(config.service.pipelines).flatMap(([, { receivers }]) => receivers);
  return [...new Set(ids)].map((id) => config.receivers[id]!);
}

/** The kernel receiver that a pipeline starts with, if one does. */
export function kernelReceiver(config: Config): KernelReceiverConfig | undefined {
  return receiversInUse(config).find(({ type }) => type === 'kernel')?.config as KernelReceiverConfig | undefined;
}

/** The receiver of Kubernetes audit events that a pipeline starts with, if one does. */
export function k8sAuditReceiver(config: Config): K8sAuditReceiverConfig | undefined {
  return receiversInUse(config).find(({ type }) => type === 'k8s_audit')?.config as K8sAuditReceiverConfig | undefined;
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
