export interface ContainerName {
  /** All 64 hexadecimal digits. */
  readonly id: string;
  /** `docker`, `containerd`, `cri-o`, `podman`, `nerdctl`; absent where the layout is used by several. */
  readonly runtime?: string;
}

const ID = '([0-9a-f]{64})';

/**
 * How container runtimes name the cgroup of a container (Falco's matchers, with the runtime where the prefix tells it). A name of other
 * length, or under no known layout, is the host's: a wrong container id is worse than none.
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
