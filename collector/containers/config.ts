import { z } from 'zod';
import type { ContainerEngine } from '../event/container-metadata.ts';
import { duration } from '../pipeline/units.ts';

/** Where engines listen unless they are told otherwise. `*` stands for the number of a user. */
export const DEFAULT_SOCKETS: Readonly<Record<ContainerEngine, readonly string[]>> = {
  docker: ['/run/docker.sock', '/run/user/*/docker.sock'],
  podman: ['/run/podman/podman.sock', '/run/user/*/podman/podman.sock'],
  containerd: [
    '/run/containerd/containerd.sock',
    '/run/k3s/containerd/containerd.sock',
    '/run/host-containerd/containerd.sock',
  ],
  cri: ['/run/crio/crio.sock'],
};

const WHAT: Readonly<Record<ContainerEngine, string>> = {
  docker: 'Docker',
  podman: 'Podman',
  containerd: 'containerd, of the pods of Kubernetes too',
  cri: 'engines that speak the Container Runtime Interface, version 1, and nothing else: CRI-O',
};

function socketsOf(engine: ContainerEngine) {
  return z
    .array(z.string().regex(/^\//, 'expected a path from the root, such as /run/docker.sock'))
    .default([...DEFAULT_SOCKETS[engine]])
    .describe(
      `Sockets of ${WHAT[engine]}; those that are there are used, now or later. \`*\` stands for one folder's name. Empty: none is asked.`,
    );
}

export const containersConfigSchema = z.strictObject({
  hold: duration()
    .prefault('500ms')
    .describe(
      'How long an event waits for the metadata of its container, if a rule asks for it or fires. Then it goes on without, and says so. `0s`: never.',
    ),
  docker: socketsOf('docker'),
  podman: socketsOf('podman'),
  containerd: socketsOf('containerd'),
  cri: socketsOf('cri'),
});

/** `hold` in milliseconds. */
export type ContainersConfig = z.infer<typeof containersConfigSchema>;

export type EngineSockets = Pick<ContainersConfig, ContainerEngine>;
