import { field, KEY_REQUIRED } from './field.ts';

const MOUNT = { argument: 'required', argumentKind: 'key' } as const;

/** Fields of the container and of its pod. */
export const CONTAINER_FIELDS = [
  field('container.id', 'CHARBUF', 'first 12 characters of the container id; host outside containers'),
  field('container.full_id', 'CHARBUF', 'container id'),
  field('container.name', 'CHARBUF', 'container name'),
  field('container.image', 'CHARBUF', 'image as the runtime names it'),
  field('container.image.id', 'CHARBUF', 'image id'),
  field('container.image.repository', 'CHARBUF', 'image without its tag'),
  field('container.image.tag', 'CHARBUF', 'image tag'),
  field('container.image.digest', 'CHARBUF', 'image digest'),
  field('container.type', 'CHARBUF', 'container runtime: docker, containerd, cri-o, podman, ...'),
  field('container.privileged', 'BOOL', 'the container is privileged'),
  field('container.mounts', 'CHARBUF', 'mounts as source:dest:mode:rdrw:propagation joined by commas'),
  field('container.mount', 'CHARBUF', 'one mount, by number or by its source: a glob', MOUNT),
  field('container.mount.source', 'CHARBUF', 'source of a mount, by number or by its destination: a glob', MOUNT),
  field('container.mount.dest', 'CHARBUF', 'destination of a mount, by number or by its source: a glob', MOUNT),
  field('container.mount.mode', 'CHARBUF', 'mode of a mount, by number or by its source: a glob', MOUNT),
  field('container.mount.rdwr', 'CHARBUF', 'whether a mount is writable, by number or by its source: a glob', MOUNT),
  field('container.mount.propagation', 'CHARBUF', 'propagation of a mount, by number or by its source: a glob', MOUNT),
  field('container.healthcheck', 'CHARBUF', 'health check of the container'),
  field('container.liveness_probe', 'CHARBUF', 'liveness probe of the container'),
  field('container.readiness_probe', 'CHARBUF', 'readiness probe of the container'),
  field('container.start_ts', 'ABSTIME', 'start of the container, nanoseconds since 1970'),
  field('container.duration', 'RELTIME', 'nanoseconds since the container started'),
  field('container.ip', 'CHARBUF', 'address of the container'),
  field('container.cni.json', 'CHARBUF', 'network result of the pod as JSON'),
  field('container.host_pid', 'BOOL', 'the container shares the pid namespace of the host'),
  field('container.host_network', 'BOOL', 'the container shares the network namespace of the host'),
  field('container.host_ipc', 'BOOL', 'the container shares the ipc namespace of the host'),
  field('container.label', 'CHARBUF', 'one label of the container', KEY_REQUIRED),
  field('container.labels', 'CHARBUF', 'all labels of the container'),
  field('proc.is_container_healthcheck', 'BOOL', 'the process is the health check of its container'),
  field('proc.is_container_liveness_probe', 'BOOL', 'the process is the liveness probe of its container'),
  field('proc.is_container_readiness_probe', 'BOOL', 'the process is the readiness probe of its container'),
];

/** Whether the fields that only a container engine tells are known. */
export const METADATA_FIELD = field(
  'shikra.container.metadata',
  'CHARBUF',
  'whether the engine told of the container: known, late, unknown, unreachable',
);

/** Fields of the Kubernetes objects that a container belongs to. */
export const K8S_FIELDS = [
  field('k8s.pod.name', 'CHARBUF', 'pod name'),
  field('k8s.pod.id', 'CHARBUF', 'pod id'),
  field('k8s.pod.uid', 'CHARBUF', 'pod uid'),
  field('k8s.pod.sandbox_id', 'CHARBUF', 'first 12 characters of the sandbox id'),
  field('k8s.pod.full_sandbox_id', 'CHARBUF', 'sandbox id'),
  field('k8s.pod.label', 'CHARBUF', 'one label of the pod', KEY_REQUIRED),
  field('k8s.pod.labels', 'CHARBUF', 'all labels of the pod'),
  field('k8s.pod.ip', 'CHARBUF', 'address of the pod'),
  field('k8s.pod.cni.json', 'CHARBUF', 'network result of the pod as JSON'),
  field('k8s.ns.name', 'CHARBUF', 'namespace of the pod'),
  ...['ns', 'rc', 'svc', 'rs', 'deployment'].flatMap((kind) => [
    ...(kind === 'ns' ? [] : [field(`k8s.${kind}.name`, 'CHARBUF', `${kind} name; no value in current runtimes`)]),
    field(`k8s.${kind}.id`, 'CHARBUF', `${kind} id; no value in current runtimes`),
    field(`k8s.${kind}.label`, 'CHARBUF', `one label of the ${kind}; no value in current runtimes`, KEY_REQUIRED),
    field(`k8s.${kind}.labels`, 'CHARBUF', `all labels of the ${kind}; no value in current runtimes`),
  ]),
];
