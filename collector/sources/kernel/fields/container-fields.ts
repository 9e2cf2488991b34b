import { globMatch } from '../../../../rules/runtime.ts';
import type { FieldValue } from '../../../detection/detection.ts';
import type { ContainerMetadata, ContainerMount, PodMetadata } from '../../../event/container-metadata.ts';
import type { Container } from '../../../event/container-table.ts';
import type { EventView } from '../event-view.ts';
import { HEADER } from '../layout.ts';
import type { Process } from '../process.ts';
import { type ArgumentGetter, type FieldContext, type FieldTable, type Getter, plain } from './context.ts';

const SHORT_ID = 12;
const HOST = 'host';
/** Falco has one name for all that containerd runs. */
const TYPES: Readonly<Record<string, string>> = { nerdctl: 'containerd' };
/** The first process of a pid namespace. */
const INIT = 1;

type Of<T> = (from: T) => FieldValue | undefined;

/** Something that the cgroup's layout tells already. */
function always(read: Of<Container>): ArgumentGetter {
  return plain((event) => {
    if (!event.process.known) return undefined;
    const { container } = event.process.image;
    if (!container.isDecided) container.asked = true;
    return read(container);
  });
}

function metadata(event: EventView): ContainerMetadata | undefined {
  const { container } = event.process.image;
  if (container.isHost && container.isDecided) return undefined;
  return container.look();
}

/** Something that only the engine tells. */
function told(read: Of<ContainerMetadata>): ArgumentGetter {
  return plain((event) => {
    const found = metadata(event);
    return found && read(found);
  });
}

function pod(read: Of<PodMetadata>): ArgumentGetter {
  return told(({ pod: found }) => found && read(found));
}

/** The same on the host as Falco has it. */
function toldOrHost(read: Of<ContainerMetadata>): ArgumentGetter {
  return plain((event) => {
    const { container } = event.process.image;
    if (container.isHost && container.isDecided) return event.process.known ? HOST : undefined;
    const found = container.look();
    return found && read(found);
  });
}

const typeOf: Getter = (event) => {
  const { container, known } = { container: event.process.image.container, known: event.process.known };
  if (!known) return undefined;
  if (container.isHost && container.isDecided) return HOST;
  return container.metadata?.type ?? layoutType(container) ?? container.look()?.type;
};

function layoutType({ runtime }: Container): string | undefined {
  return runtime === undefined ? undefined : (TYPES[runtime] ?? runtime);
}

function label(labelsOf: (found: ContainerMetadata) => Readonly<Record<string, string>> | undefined): ArgumentGetter {
  return (argument) => {
    if (argument === undefined) return undefined;
    return (event) => {
      const found = metadata(event);
      const labels = found && labelsOf(found);
      return labels && Object.hasOwn(labels, argument) ? labels[argument] : undefined;
    };
  };
}

function joined(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1)) // engines give them in any order
    .map(([key, value]) => `${key}:${value}`)
    .join(',');
}

/** A mount by its number, or by a path of its other side in which `*`, `?` and `[...]` stand for what they stand for in a shell. */
function mount(key: 'source' | 'destination', read: Of<ContainerMount>): ArgumentGetter {
  return (argument) => {
    if (argument === undefined) return undefined;
    const number = /^\d+$/.test(argument) ? Number(argument) : undefined;
    return (event) => {
      const mounts = metadata(event)?.mounts;
      const found = number === undefined ? mounts?.find((each) => globMatch(argument, each[key])) : mounts?.[number];
      return found && read(found);
    };
  };
}

function mountText({ source, destination, mode, writable, propagation }: ContainerMount): string {
  return [source, destination, mode, writable, propagation].join(':');
}

/** The process of the container that the event's process comes from, and all others that were not put into it later. */
function firstInContainer({ process }: EventView): Process {
  let first = process;
  for (let at = process.parent; at?.image.container === process.image.container; at = at.parent) first = at;
  return first;
}

/**
 * Nanoseconds since 1970. The start of the container's first process, if the event's process comes from it; else what the engine says; where it says nothing
 * yet, the start of the first process that is known.
 */
function startNs(event: EventView, context: FieldContext): bigint | undefined {
  const { container } = event.process.image;
  if (container.isHost) return undefined;
  const first = firstInContainer(event);
  if (first.vpid === INIT) return context.clock.wallNs(first.startTimeNs);
  return container.look()?.startedNs || context.clock.wallNs(first.startTimeNs);
}

/** True if the process is the health check of its container, or was started by it: engines run it beside the container's own processes. */
const isHealthcheck: Getter = (event) => {
  const command = metadata(event)?.healthcheck;
  if (command === undefined) return event.process.image.container.isHost ? undefined : false;
  const { vpid, image } = firstInContainer(event);
  const words = image.argv.join(' ');
  // A shell that has one command to run becomes that command.
  return vpid !== INIT && (words === command.join(' ') || words === command[2]);
};

export const CONTAINER_FIELDS: FieldTable = {
  'container.id': always(({ shortId }) => shortId),
  'container.full_id': always(({ id }) => id),
  'container.name': toldOrHost(({ name }) => name),
  'container.type': plain(typeOf),
  'container.image': told(({ image }) => image),
  'container.image.id': told(({ imageId }) => imageId?.slice(0, SHORT_ID)),
  'container.image.repository': told(({ imageRepository }) => imageRepository),
  'container.image.tag': told(({ imageTag }) => imageTag),
  'container.image.digest': told(({ imageDigest }) => imageDigest),
  'container.privileged': told(({ privileged }) => privileged),
  'container.mounts': told(({ mounts }) => mounts.map(mountText).join(',')),
  'container.mount': mount('source', mountText),
  'container.mount.source': mount('destination', ({ source }) => source),
  'container.mount.dest': mount('source', ({ destination }) => destination),
  'container.mount.mode': mount('source', ({ mode }) => mode),
  'container.mount.rdwr': mount('source', ({ writable }) => String(writable)),
  'container.mount.propagation': mount('source', ({ propagation }) => propagation),
  'container.healthcheck': told(({ healthcheck }) => healthcheck?.join(' ')),
  'container.start_ts': (_argument, context) => (event) => startNs(event, context),
  'container.duration': (_argument, context) => (event) => {
    const started = startNs(event, context);
    if (started === undefined) return undefined;
    // An engine notes the start a little after the first process has begun.
    return Math.max(0, Number(context.clock.wallNs(event.u64(HEADER.time_ns)) - started));
  },
  'container.ip': told(({ ip }) => ip),
  'container.cni.json': told(({ cniJson }) => cniJson),
  'container.host_pid': told(({ hostPid }) => hostPid),
  'container.host_network': told(({ hostNetwork }) => hostNetwork),
  'container.host_ipc': told(({ hostIpc }) => hostIpc),
  'container.label': label(({ labels }) => labels),
  'container.labels': told(({ labels }) => joined(labels)),
  'shikra.container.metadata': plain((event) => {
    const { container } = event.process.image;
    if (container.pending) container.asked = true;
    if (container.isHost) return undefined;
    return container.pending ? 'late' : container.state; // one that is waited for is evaluated again
  }),
  'proc.is_container_healthcheck': plain(isHealthcheck),
  'k8s.pod.name': pod(({ name }) => name),
  'k8s.pod.id': pod(({ uid }) => uid),
  'k8s.pod.uid': pod(({ uid }) => uid),
  'k8s.pod.sandbox_id': pod(({ sandboxId }) => sandboxId?.slice(0, SHORT_ID)),
  'k8s.pod.full_sandbox_id': pod(({ sandboxId }) => sandboxId),
  'k8s.pod.label': label(({ pod: found }) => found?.labels),
  'k8s.pod.labels': pod(({ labels }) => joined(labels)),
  'k8s.pod.ip': told(({ pod: found, ip }) => found && ip),
  'k8s.pod.cni.json': told(({ pod: found, cniJson }) => found && cniJson),
  'k8s.ns.name': pod(({ namespace }) => namespace),
  // For the log record only: no rule can name it.
  'k8s.container.name': pod(({ containerName }) => containerName),
};

/** The labels as a detection keeps them: `container.label.KEY` and `k8s.pod.label.KEY`. */
export function labelEvidence(event: EventView): Record<string, string> {
  const found = event.process.image.container.metadata;
  const evidence: Record<string, string> = {};
  for (const [key, value] of Object.entries(found?.labels ?? {})) evidence[`container.label.${key}`] = value;
  for (const [key, value] of Object.entries(found?.pod?.labels ?? {})) evidence[`k8s.pod.label.${key}`] = value;
  return evidence;
}
