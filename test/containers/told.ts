/** What the engines are to say of the containers in which the tests read a secret: names of fields as rules write them. */
import type { FieldValue } from '../../collector/detection/detection.ts';
import { IMAGE } from './secrets.ts';

type Told = Readonly<Record<string, FieldValue | null>>;

export const MOUNTED = { source: '/usr/share', target: '/mnt/share' } as const;

/** Of every container of the tests: what nothing in it is made for. */
const OF_ANY: Told = {
  'shikra.container.metadata': 'known',
  'container.image': `${IMAGE}:1.2`,
  'container.image.repository': IMAGE,
  'container.image.tag': '1.2',
  'container.image.digest': null,
  'container.mount.dest[0]': MOUNTED.target,
  'container.mount.source[/mnt/*]': MOUNTED.source,
  'container.mount.rdwr[/usr/s*]': 'false',
  'container.label.team': 'payments',
  'container.labels': 'team:payments',
  'container.healthcheck': null,
  'container.ip': null,
  'container.host_ipc': false,
  'proc.is_container_healthcheck': false,
  'shikra.proc.is_host_program': false,
};

/** Of a privileged container that Docker runs with the host's processes and the mount read-only. */
export const BY_DOCKER: Told = {
  ...OF_ANY,
  'container.name': 'shop',
  'container.type': 'docker',
  'container.privileged': true,
  'container.host_network': false,
  'container.host_pid': true,
  'container.mounts': '/usr/share:/mnt/share:ro:false:rprivate',
  'container.mount[0]': '/usr/share:/mnt/share:ro:false:rprivate',
  'container.mount.mode[0]': 'ro',
  'container.mount.propagation[0]': 'rprivate',
  'k8s.pod.name': null,
  'k8s.ns.name': null,
  'k8s.pod.uid': null,
  'k8s.pod.id': null,
  'k8s.pod.sandbox_id': null,
  'k8s.pod.full_sandbox_id': null,
  'k8s.pod.label[app]': null,
  'k8s.pod.labels': null,
};

export interface PodTruth {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly sandboxId: string;
}

/** Of a privileged container of a pod with the host's network, as CRI tells of it. */
export function byCri(id: string, pod: PodTruth): Told {
  return {
    ...OF_ANY,
    'container.id': id.slice(0, 12),
    'container.full_id': id,
    'container.name': 'app',
    'container.type': 'containerd',
    'container.privileged': true,
    'container.host_network': true,
    'container.host_pid': false,
    'container.mounts': '/usr/share:/mnt/share::false:private',
    'container.mount[0]': '/usr/share:/mnt/share::false:private',
    'container.mount.mode[0]': '',
    'container.mount.propagation[0]': 'private',
    'k8s.pod.name': pod.name,
    'k8s.ns.name': pod.namespace,
    'k8s.pod.uid': pod.uid,
    'k8s.pod.id': pod.uid,
    'k8s.pod.sandbox_id': pod.sandboxId.slice(0, 12),
    'k8s.pod.full_sandbox_id': pod.sandboxId,
    'k8s.pod.label[app]': 'web',
    'k8s.pod.labels': 'app:web,pod-template-hash:abc',
  };
}

/** What the same tests look at otherwise: only limits of it are known, or it takes another container. */
export const TOLD_OTHERWISE: readonly string[] = [
  'container.image.id',
  'container.image.digest',
  'container.start_ts',
  'container.duration',
  'container.healthcheck',
];
