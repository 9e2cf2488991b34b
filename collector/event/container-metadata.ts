/** The container engines that can be asked. */
export const CONTAINER_ENGINES = ['docker', 'podman', 'containerd', 'cri'] as const;
export type ContainerEngine = (typeof CONTAINER_ENGINES)[number];

export interface ContainerMount {
  readonly source: string;
  readonly destination: string;
  /** As the engine has it: `ro`, `rw,z`; often empty. */
  readonly mode: string;
  readonly writable: boolean;
  readonly propagation: string;
}

export interface PodMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  /** All digits. */
  readonly sandboxId: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** The container's name in the pod's specification. */
  readonly containerName: string | undefined;
}

/**
 * What a container engine tells of a container. Plain, as it crosses from the thread that asks to the one that evaluates rules. What an engine does
 * not tell is undefined.
 */
export interface ContainerMetadata {
  readonly id: string;
  /** containerd's namespace. */
  readonly namespace: string | undefined;
  /** `docker`, `podman`, `containerd`, `cri-o`. */
  readonly type: string;
  readonly name: string | undefined;
  /** As whoever started it named it. */
  readonly image: string | undefined;
  readonly imageId: string | undefined;
  readonly imageRepository: string | undefined;
  readonly imageTag: string | undefined;
  readonly imageDigest: string | undefined;
  readonly privileged: boolean | undefined;
  readonly hostPid: boolean | undefined;
  readonly hostNetwork: boolean | undefined;
  readonly hostIpc: boolean | undefined;
  readonly mounts: readonly ContainerMount[];
  readonly ip: string | undefined;
  /** The result of the network plugins, as JSON. */
  readonly cniJson: string | undefined;
  /** The command line of its health check; `NONE` if one of the image is switched off. */
  readonly healthcheck: readonly string[] | undefined;
  /** Nanoseconds since 1970; 0 before the start. */
  readonly startedNs: bigint;
  readonly labels: Readonly<Record<string, string>>;
  readonly pod: PodMetadata | undefined;
}
