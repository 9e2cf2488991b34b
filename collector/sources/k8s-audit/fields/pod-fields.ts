import type { AuditEvent } from '../audit-event.ts';
import { dig, fieldText, items, listOf, member } from '../json.ts';
import { listAt, select, textAt } from './audit-fields.ts';
import { type ArgumentGetter, type FieldTable, type Getter, plain } from './context.ts';

/** Values of one container; `pod` is the spec that it stands in. */
type ContainerFact = (container: unknown, pod: unknown) => readonly unknown[];

const of =
  (...keys: string[]): ContainerFact =>
  (container) => [dig(container, keys)];
const each =
  (...keys: string[]): ContainerFact =>
  (container) =>
    items(dig(container, keys));
/** As the kubelet decides: the container's own, else the pod's, else root. */
const effective =
  (key: string): ContainerFact =>
  (container, pod) => [dig(container, ['securityContext', key]) ?? dig(pod, ['securityContext', key]) ?? '0'];

/** The port of the node. On the network of the node the container's own is that. */
const hostPorts: ContainerFact = (container) =>
  items(member(container, 'ports')).map((port) => member(port, 'hostPort') ?? member(port, 'containerPort'));

/** An image without its digest and tag. The port of a registry is no tag: what follows it has a slash. */
export function repositoryOf(image: string): string {
  const name = image.split('@', 1)[0]!;
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
}

const repository: ContainerFact = (container) => {
  const image = fieldText(member(container, 'image'));
  return image === undefined ? [] : [repositoryOf(image)];
};

const CONTAINER_FACTS: Readonly<Record<string, ContainerFact>> = {
  args: each('args'),
  command: each('command'),
  name: of('name'),
  image: of('image'),
  'image.repository': repository,
  privileged: of('securityContext', 'privileged'),
  allow_privilege_escalation: of('securityContext', 'allowPrivilegeEscalation'),
  read_only_fs: of('securityContext', 'readOnlyRootFilesystem'),
  run_as_user: of('securityContext', 'runAsUser'),
  eff_run_as_user: effective('runAsUser'),
  run_as_group: of('securityContext', 'runAsGroup'),
  eff_run_as_group: effective('runAsGroup'),
  proc_mount: of('securityContext', 'procMount'),
  add_capabilities: each('securityContext', 'capabilities', 'add'),
  host_port: hostPorts,
};
/** Ephemeral containers have no ports. */
const CONTAINER_LISTS: readonly (readonly [list: string, facts: readonly string[]])[] = [
  ['containers', Object.keys(CONTAINER_FACTS)],
  ['initContainers', Object.keys(CONTAINER_FACTS)],
  ['ephemeralContainers', Object.keys(CONTAINER_FACTS).filter((fact) => fact !== 'host_port')],
];

function podOf({ audit }: AuditEvent): unknown {
  return dig(audit, ['requestObject', 'spec']);
}

function containerField(list: string, fact: ContainerFact): ArgumentGetter {
  return (argument) => (event) => {
    const pod = podOf(event);
    const containers = select(items(member(pod, list)), argument);
    return listOf(containers.flatMap((container) => fact(container, pod)));
  };
}

/** The first container's. */
function firstOf(fact: ContainerFact): ArgumentGetter {
  return plain((event) => fieldText(fact(items(member(podOf(event), 'containers'))[0], undefined)[0]));
}

const anyPrivileged: Getter = (event) => {
  const containers = items(member(podOf(event), 'containers'));
  if (containers.length === 0) return undefined;
  return String(containers.some((container) => dig(container, ['securityContext', 'privileged']) === true));
};

/** What is a volume of the pod other than its name. */
function volumeField(fact: (volume: unknown) => readonly unknown[]): ArgumentGetter {
  return (argument) => (event) =>
    listOf(select(items(member(podOf(event), 'volumes')), argument).flatMap((volume) => fact(volume)));
}

const hostPath = (volume: unknown): unknown => dig(volume, ['hostPath', 'path']);

/** Whether one of the volumes has the path; a `*` at its end stands for anything. */
const hasHostPath: ArgumentGetter = (argument) => {
  if (argument === undefined) return undefined;
  const prefix = argument.endsWith('*') ? argument.slice(0, -1) : undefined;
  const matches = (path: unknown) =>
    typeof path === 'string' && (prefix === undefined ? path === argument : path.startsWith(prefix));
  return (event) => {
    const volumes = items(member(podOf(event), 'volumes'));
    return volumes.length === 0 ? undefined : String(volumes.some((volume) => matches(hostPath(volume))));
  };
};

function keysBesideName(volume: unknown): readonly string[] {
  return typeof volume === 'object' && volume !== null ? Object.keys(volume).filter((key) => key !== 'name') : [];
}

/** What a request carries for a pod. */
export const POD_FIELDS: FieldTable = {
  ...Object.fromEntries(
    CONTAINER_LISTS.flatMap(([list, facts]) =>
      facts.map((fact) => [`ka.req.pod.${list}.${fact}`, containerField(list, CONTAINER_FACTS[fact]!)]),
    ),
  ),
  'ka.req.container.image': firstOf(of('image')),
  'ka.req.container.image.repository': firstOf(repository),
  'ka.req.container.host_network': textAt('requestObject', 'spec', 'hostNetwork'),
  'ka.req.container.privileged': plain(anyPrivileged),
  'ka.req.pod.host_ipc': textAt('requestObject', 'spec', 'hostIPC'),
  'ka.req.pod.host_network': textAt('requestObject', 'spec', 'hostNetwork'),
  'ka.req.pod.host_pid': textAt('requestObject', 'spec', 'hostPID'),
  'ka.req.pod.run_as_user': textAt('requestObject', 'spec', 'securityContext', 'runAsUser'),
  'ka.req.pod.run_as_group': textAt('requestObject', 'spec', 'securityContext', 'runAsGroup'),
  'ka.req.pod.fs_group': textAt('requestObject', 'spec', 'securityContext', 'fsGroup'),
  'ka.req.pod.supplemental_groups': listAt('requestObject', 'spec', 'securityContext', 'supplementalGroups'),
  'ka.req.pod.volumes.hostpath': volumeField((volume) => [hostPath(volume)]),
  'ka.req.pod.volumes.flexvolume_driver': volumeField((volume) => [dig(volume, ['flexVolume', 'driver'])]),
  'ka.req.pod.volumes.volume_type': volumeField(keysBesideName),
  'ka.req.volume.hostpath': hasHostPath,
};
