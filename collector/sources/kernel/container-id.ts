/**
 * Which container a cgroup belongs to, by the layouts that runtimes are known to use (docker, containerd, CRI-O, podman, nerdctl).
 * A name that only looks like an id, under none of these layouts, is the host's.
 */

/** Between one of these beginnings of the last component and its end stand exactly 64 hexadecimal digits. */
const SCOPE = /^(?:libpod-payload-|libpod-|docker-|crio-|cri-containerd-|nerdctl-)([0-9a-f]{64})(?:\.scope)?$/;
const CRI_COLON = /:cri-containerd:([0-9a-f]{64})$/;
const BARE = /^[0-9a-f]{64}$/;
/** Parents under which a bare id is a container: docker with cgroupfs, Kubernetes pods with cgroupfs, nerdctl and ctr namespaces. */
const BARE_PARENT = /^(?:docker|podman|libpod_parent|default|moby|k8s\.io|buildkit|pod[0-9a-f-]{36}|kubepods.*)$/;

/** @returns all 64 digits of the id, or `host` */
export function containerIdOf(cgroup: string): string {
  const parts = cgroup.split('/');
  for (let i = parts.length - 1; i > 0; i--) {
    const part = parts[i]!;
    const id =
      SCOPE.exec(part)?.[1] ??
      CRI_COLON.exec(part)?.[1] ??
      (BARE.test(part) && BARE_PARENT.test(parts[i - 1]!) ? part : undefined);
    if (id !== undefined) return id;
  }
  return 'host';
}
