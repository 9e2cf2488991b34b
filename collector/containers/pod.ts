import type { PodMetadata } from '../event/container-metadata.ts';

/** The labels that kubelet gives to every container; engines keep them. */
const POD_NAME = 'io.kubernetes.pod.name';
const POD_NAMESPACE = 'io.kubernetes.pod.namespace';
const POD_UID = 'io.kubernetes.pod.uid';
const CONTAINER_NAME = 'io.kubernetes.container.name';
const SANDBOX_ID = 'io.kubernetes.sandbox.id';

/** The pod that the labels of a container tell of. */
export function podOfLabels(
  labels: Readonly<Record<string, string>>,
  podLabels: Readonly<Record<string, string>>,
): PodMetadata | undefined {
  const name = labels[POD_NAME];
  if (name === undefined) return undefined;
  return {
    name,
    namespace: labels[POD_NAMESPACE] ?? '',
    uid: labels[POD_UID] ?? '',
    sandboxId: labels[SANDBOX_ID],
    labels: podLabels,
    containerName: labels[CONTAINER_NAME],
  };
}
