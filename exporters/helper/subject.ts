import { createHash } from 'node:crypto';
import type { Detection } from '../../collector/detection/detection.ts';

/**
 * What repeats of a detection have in common, in few words: bounded by rules, hosts and workloads, never by processes, pods, files, or names that grow
 * with every rollout (replica sets, jobs, containers that a runtime named).
 */
export interface Subject {
  readonly rule: string;
  readonly source: string;
  readonly host: string;
  readonly namespace?: string;
  /** Deployment and the like, else the container as its pod names it, else its image. */
  readonly workload?: string;
}

const NAMESPACE = ['k8s.ns.name', 'ka.target.namespace'];
const WORKLOAD = [
  'k8s.deployment.name',
  'k8s.statefulset.name',
  'k8s.daemonset.name',
  'k8s.cronjob.name',
  'k8s.container.name',
  'container.image.repository',
];

export function subjectOf(detection: Detection): Subject {
  const namespace = firstOf(detection, NAMESPACE);
  const workload = firstOf(detection, WORKLOAD);
  return {
    rule: detection.rule,
    source: detection.source,
    host: detection.hostname,
    ...(namespace !== undefined && { namespace }),
    ...(workload !== undefined && { workload }),
  };
}

/** The same for every repeat: what incidents, threads and alerts are joined by. 32 hexadecimal digits. */
export function fingerprint(detection: Detection): string {
  return createHash('sha256')
    .update(JSON.stringify(subjectOf(detection)))
    .digest('hex')
    .slice(0, 32);
}

/** The first of the fields that has a value, as text. */
export function firstOf({ evidence, output_fields }: Detection, fields: readonly string[]): string | undefined {
  for (const field of fields) {
    const value = evidence[field] ?? output_fields[field];
    if (value === undefined || value === null || value === '' || value === '<NA>' || value === 'host') continue;
    return Array.isArray(value) ? value.join(' ') : String(value);
  }
  return undefined;
}

const NOT_SHOWN = new Set(['evt.time', 'evt.time.iso8601', 'evt.rawtime']);

/** The fields that the rule's output names and that have a value, as text, in the order of the output. */
export function shownFields({ output_fields }: Detection): [name: string, value: string][] {
  return Object.entries(output_fields).flatMap(([name, value]) =>
    value === null || value === '' || NOT_SHOWN.has(name)
      ? []
      : [[name, Array.isArray(value) ? value.join(' ') : String(value)] as [string, string]],
  );
}
