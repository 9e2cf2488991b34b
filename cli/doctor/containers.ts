import { statSync } from 'node:fs';
import { absent, type Check, ok } from './check.ts';

const SOCKETS = [
  '/run/containerd/containerd.sock',
  '/run/docker.sock',
  '/run/crio/crio.sock',
  '/run/podman/podman.sock',
  '/run/k3s/containerd/containerd.sock',
] as const;

/** The container runtimes of this machine. None is fine: there may be no containers. */
export function checkContainers(sockets: readonly string[] = SOCKETS): Check[] {
  const found = sockets.filter(isSocket);
  if (found.length === 0) return [absent('containers', 'no runtime socket found')];
  return found.map((socket) => ok('containers', socket));
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}
