export interface ContainerName {
  /** All 64 hexadecimal digits; LXC's and BPM's own names. */
  readonly id: string;
  /** `docker`, `containerd`, `cri-o`, `podman`, `nerdctl`, `lxc`, `libvirt-lxc`, `bpm`; absent where the layout is used by several. */
  readonly runtime?: string;
}

/** A name that may be a container's or anything else's: only a runtime can tell. */
export interface ContainerCandidate {
  readonly id: string;
  /** containerd's namespace, where the path has one. */
  readonly namespace?: string;
}

const ID = '([0-9a-f]{64})';

/**
 * How container runtimes name the cgroup of a container (Falco's matchers, with the runtime where the prefix tells it). A name of other
 * length, or under no known layout, is the host's unless a runtime says otherwise: a wrong container id is worse than none.
 */
const LAYOUTS: readonly (readonly [runtime: string | undefined, pattern: RegExp])[] = [
  ['podman', new RegExp(`/libpod-(?:payload-)?${ID}(?:\\.scope)?(?:/container)?$`)],
  ['docker', new RegExp(`/docker-${ID}\\.scope$`)],
  ['docker', new RegExp(`/docker/${ID}$`)],
  ['cri-o', new RegExp(`/crio-${ID}(?:\\.scope)?$`)],
  ['containerd', new RegExp(`/cri-containerd-${ID}\\.scope$`)],
  ['containerd', new RegExp(`:cri-containerd:${ID}$`)],
  ['nerdctl', new RegExp(`/nerdctl-${ID}\\.scope$`)],
  // cgroupfs driver of kubelet, containerd's namespaces and others: the id alone is the folder's name.
  [undefined, new RegExp(`/(?:kubepods[^/]*(?:/[^/]+)*|default|k8s\\.io|moby|ecs/[^/]+|garden)/${ID}$`)],
  ['libvirt-lxc', /\/([^/]+)\.libvirt-lxc$/],
  // systemd writes a hyphen of a name as \x2d: machine-lxc\x2dPID\x2dNAME.scope
  ['libvirt-lxc', /-lxc\\x2d(?:\d+\\x2d)?([^/]+)\.scope(?:\/libvirt)?$/],
  ['libvirt-lxc', /\/libvirt\/lxc\/([^/]+)$/],
  ['lxc', /\/lxc(?:\.payload)?\/([^/]+)$/],
  ['lxc', /\/lxc\.payload\.([^/]+)$/],
  ['bpm', /\/bpm-([A-Za-z0-9._-]+)\.scope$/],
];

/** The container that a cgroup path belongs to. Processes of a container may sit in cgroups of their own below it. */
export function containerOf(cgroupPath: string): ContainerName | undefined {
  const path = cgroupPath.replace(/^.*?(?=\/|:cri)/, '');
  for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
    const found = match(path.slice(0, end));
    if (found !== undefined) return found;
  }
  return undefined;
}

function match(path: string): ContainerName | undefined {
  for (const [runtime, pattern] of LAYOUTS) {
    const id = pattern.exec(path)?.[1];
    if (id !== undefined) return { id, ...(runtime !== undefined && { runtime }) };
  }
  return undefined;
}

/** A runtime may be told to put containers below any cgroup (`docker run --cgroup-parent`). */
const BARE_ID = new RegExp(`^.*/${ID}(?:/|$)`);
/** containerd without systemd: `/NAMESPACE/ID`, where both are any text. */
const NAMESPACED = /^\/([A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*)\/([A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*)(?:\/|$)/;
const UNIT = /\.(?:service|slice|scope|mount|socket)$/;

/** What a runtime has to be asked about, of a path that {@link containerOf} knows nothing of. */
export function candidateOf(cgroupPath: string): ContainerCandidate | undefined {
  const id = BARE_ID.exec(cgroupPath)?.[1];
  if (id !== undefined) return { id };
  const [, namespace, name] = NAMESPACED.exec(cgroupPath) ?? [];
  if (namespace === undefined || name === undefined || UNIT.test(namespace) || UNIT.test(name)) return undefined;
  return { id: name, namespace };
}
