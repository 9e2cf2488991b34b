import { readFileSync } from 'node:fs';
import { arch, hostname, release } from 'node:os';
import { join } from 'node:path';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { nowNanos } from '../detection/time.ts';
import { uuidv7 } from '../detection/uuid.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface AgentIdentity {
  readonly version: string;
  readonly environment?: Environment;
  /** Where the host's file system is mounted. Default `/`. */
  readonly hostRoot?: string;
}

/**
 * Who sends: the agent and its node. Nothing of the agent's own pod or container, whose names would hide those of the process that a
 * detection is about (Loki renames a record's `k8s.pod.name` if the resource has one too).
 */
export function createResource({ version, environment = process.env, hostRoot = '/' }: AgentIdentity): Resource {
  const given = resourceAttributes(environment.OTEL_RESOURCE_ATTRIBUTES ?? '');
  const machineId = read(join(hostRoot, 'etc/machine-id'));
  const nodeName = environment.K8S_NODE_NAME || environment.NODE_NAME;
  return resourceFromAttributes({
    'service.name': 'shikra',
    'service.version': version,
    'service.instance.id': machineId ?? uuidv7(nowNanos()),
    'host.name': read(join(hostRoot, 'etc/hostname')) ?? hostname(),
    ...(machineId !== undefined && { 'host.id': machineId }),
    'host.arch': arch() === 'x64' ? 'amd64' : arch(),
    'os.type': 'linux',
    'os.version': release(),
    ...(nodeName && { 'k8s.node.name': nodeName }),
    ...given,
    ...(environment.OTEL_SERVICE_NAME && { 'service.name': environment.OTEL_SERVICE_NAME }),
  });
}

/** `key=value,key=value`, percent-encoded where needed, as OpenTelemetry's specification has it. */
function resourceAttributes(text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.split('='));
  const valid = pairs.filter((parts): parts is [string, string] => parts.length === 2 && parts[0]!.trim() !== '');
  return Object.fromEntries(valid.map(([key, value]) => [key.trim(), decode(value.trim())]));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
