import type { ContainerMetadata, ContainerMount } from '../event/container-metadata.ts';
import type { ContainerRequest } from '../event/container-table.ts';
import { encode, Message } from '../protobuf.ts';
import { CriLookup, isNotFound } from './cri.ts';
import { ANSWER_MILLIS, type EngineClient, type EngineListener, eachOf, Teller } from './engine.ts';
import { GRPC_STATUS, GrpcChannel, GrpcError } from './grpc.ts';
import { parseImageReference } from './image-reference.ts';
import { podOfLabels } from './pod.ts';

/** containerd's own services. Field numbers: github.com/containerd/containerd, api/services. */
const CONTAINERS = 'containerd.services.containers.v1.Containers';
const NAMESPACES = 'containerd.services.namespaces.v1.Namespaces';
const IMAGES = 'containerd.services.images.v1.Images';
const EVENTS = 'containerd.services.events.v1.Events';
const NAMESPACE_HEADER = 'containerd-namespace';

/** Where containerd's CRI service has what Kubernetes runs. */
const KUBERNETES = 'k8s.io';
/** The CRI service marks its own: others may put theirs into the same namespace. */
const CRI_KIND = 'io.cri-containerd.kind';
/** Docker's containers, of which only Docker knows more than the id. */
const MOBY = 'moby';

const CREATED = '/containers/create';
const UPDATED = '/containers/update';
const DELETED = '/containers/delete';
const TASK_CREATED = '/tasks/create';
const TASK_STARTED = '/tasks/start';
const TOPICS = [CREATED, UPDATED, DELETED, TASK_CREATED, TASK_STARTED];

/** CRI knows a container some milliseconds after containerd does, a sandbox when it runs. */
const CRI_DELAYS_MILLIS = [0, 20, 40, 80, 120, 160];

/** The parts of the OCI runtime specification that are read. */
interface RuntimeSpec {
  readonly process?: { readonly capabilities?: { readonly bounding?: readonly string[] } };
  readonly mounts?: readonly {
    readonly destination?: string;
    readonly type?: string;
    readonly source?: string;
    readonly options?: readonly string[];
  }[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: {
    readonly namespaces?: readonly { readonly type?: string; readonly path?: string }[];
    readonly maskedPaths?: readonly string[];
    readonly readonlyPaths?: readonly string[];
  };
}

/** containerd: its own API for containers of any namespace, CRI on the same socket for those of Kubernetes. */
export class ContainerdClient implements EngineClient {
  readonly #channel: GrpcChannel;
  readonly #cri: CriLookup;
  readonly #running = new Map<string, Promise<ContainerMetadata | undefined>>();
  #hasCri = true;

  constructor(socketPath: string) {
    this.#channel = new GrpcChannel(socketPath);
    this.#cri = new CriLookup(this.#channel);
  }

  async follow(listener: EngineListener, onConnected: () => void): Promise<never> {
    const teller = new Teller(this, listener);
    const filters = TOPICS.map((topic) => `topic=="${topic}"`);
    const events = this.#channel.stream(`${EVENTS}/Subscribe`, encode({ 1: filters }), {}, (bytes) =>
      this.#hear(new Message(bytes), teller),
    );
    const known = await this.#list();
    onConnected();
    await Promise.race([events.ended, eachOf(known, (request) => teller.tell(request))]);
    throw (await events.ended) ?? new Error('the engine ended the stream of events');
  }

  #hear(envelope: Message, teller: Teller): void {
    const namespace = envelope.text(2);
    const topic = envelope.text(3);
    // Each of these events has the container's id as its first field; that of a creation has the image as its second.
    const event = envelope.message(4).message(2);
    const id = event.text(1);
    if (namespace === MOBY || id === '') return;
    if (topic === DELETED) teller.gone({ id, namespace });
    else if (namespace === KUBERNETES && this.#hasCri) {
      // The CRI service knows it when its task has been made.
      if (topic !== CREATED) void teller.tell({ id, namespace });
    } else if (topic === CREATED) void teller.tell({ id, namespace }, created(id, namespace, event.text(2)));
    else if (topic === UPDATED) void teller.tell({ id, namespace });
  }

  find(request: ContainerRequest): Promise<ContainerMetadata | undefined> {
    const key = `${request.namespace ?? ''}/${request.id}`;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const finding = this.#find(request).finally(() => this.#running.delete(key));
    this.#running.set(key, finding);
    return finding;
  }

  close(): void {
    this.#channel.close();
  }

  async #find({ id, namespace }: ContainerRequest): Promise<ContainerMetadata | undefined> {
    const own = await this.#findOwn(id, namespace === undefined ? await this.#namespaces() : [namespace]);
    if (own?.namespace !== KUBERNETES || own.labels[CRI_KIND] === undefined) return own;
    for (const delay of CRI_DELAYS_MILLIS) {
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
      const found = await this.#findByCri(id);
      if (found !== undefined) return { ...found, namespace: KUBERNETES };
      if (!this.#hasCri) break;
    }
    return own;
  }

  /** @returns undefined if the CRI service does not know it, or not yet, or is not there */
  async #findByCri(id: string): Promise<ContainerMetadata | undefined> {
    if (!this.#hasCri) return undefined;
    try {
      return await this.#cri.find(id);
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      if (error.status === GRPC_STATUS.unimplemented) this.#hasCri = false;
      // While containerd starts, its CRI service refuses: containerd itself has answered, so that is all there is to know now.
      return undefined;
    }
  }

  async #findOwn(id: string, namespaces: readonly string[]): Promise<ContainerMetadata | undefined> {
    for (const namespace of namespaces) {
      if (namespace === MOBY) continue;
      const answer = await this.#get(`${CONTAINERS}/Get`, id, namespace);
      if (answer !== undefined) return this.#metadata(answer.message(1), namespace);
    }
    return undefined;
  }

  async #metadata(container: Message, namespace: string): Promise<ContainerMetadata> {
    const labels = container.map(2);
    const image = container.text(3);
    const spec = specOf(container.message(5).bytes(2));
    const { annotations = {}, linux = {} } = spec;
    const sandboxId = annotations['io.kubernetes.cri.sandbox-id'];
    const digest = image === '' ? '' : await this.#imageDigest(image, namespace);
    const parts = parseImageReference(image);
    const pod = podOfLabels(labels, sandboxId === undefined ? {} : await this.#labelsOf(sandboxId, namespace));
    const sharesWithHost = (type: string): boolean =>
      linux.namespaces !== undefined && !linux.namespaces.some((each) => each.type === type);
    return {
      id: container.text(1),
      namespace,
      type: 'containerd',
      name:
        labels['nerdctl/name'] ??
        pod?.containerName ??
        annotations['io.kubernetes.cri.container-name'] ??
        container.text(1),
      image: image || undefined,
      imageId: undefined,
      imageRepository: parts.repository,
      imageTag: parts.tag,
      imageDigest: parts.digest ?? (digest || undefined),
      privileged: isPrivileged(spec),
      hostPid: sharesWithHost('pid'),
      hostNetwork: sharesWithHost('network'),
      hostIpc: sharesWithHost('ipc'),
      mounts: (spec.mounts ?? []).filter(({ options = [] }) => options.some(isBind)).map(mountOf),
      ip: undefined,
      cniJson: undefined,
      healthcheck: undefined,
      startedNs: 0n,
      labels,
      pod: pod && { ...pod, sandboxId: pod.sandboxId ?? sandboxId },
    };
  }

  async #imageDigest(image: string, namespace: string): Promise<string> {
    const answer = await this.#get(`${IMAGES}/Get`, image, namespace);
    return answer?.message(1).message(3).text(2) ?? '';
  }

  async #labelsOf(id: string, namespace: string): Promise<Record<string, string>> {
    const answer = await this.#get(`${CONTAINERS}/Get`, id, namespace);
    return answer?.message(1).map(2) ?? {};
  }

  async #namespaces(): Promise<string[]> {
    const answer = await this.#call(`${NAMESPACES}/List`, Buffer.alloc(0));
    return answer.messages(1).map((namespace) => namespace.text(1));
  }

  async #list(): Promise<ContainerRequest[]> {
    const requests: ContainerRequest[] = [];
    for (const namespace of await this.#namespaces()) {
      if (namespace === MOBY) continue;
      const answer = await this.#call(`${CONTAINERS}/List`, Buffer.alloc(0), namespace);
      requests.push(...answer.messages(1).map((container) => ({ id: container.text(1), namespace })));
    }
    return requests;
  }

  /** Asks for one thing by its name. @returns undefined if it is not there */
  async #get(method: string, name: string, namespace: string): Promise<Message | undefined> {
    try {
      return await this.#call(method, encode({ 1: name }), namespace);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #call(method: string, request: Buffer, namespace?: string): Promise<Message> {
    const metadata = namespace === undefined ? {} : { [NAMESPACE_HEADER]: namespace };
    return new Message(await this.#channel.unary(method, request, { metadata, timeoutMillis: ANSWER_MILLIS }));
  }
}

/** What the event of a creation tells. */
function created(id: string, namespace: string, image: string): ContainerMetadata {
  const parts = parseImageReference(image);
  return {
    id,
    namespace,
    type: 'containerd',
    name: id,
    image: image || undefined,
    imageId: undefined,
    imageRepository: parts.repository,
    imageTag: parts.tag,
    imageDigest: parts.digest,
    privileged: undefined,
    hostPid: undefined,
    hostNetwork: undefined,
    hostIpc: undefined,
    mounts: [],
    ip: undefined,
    cniJson: undefined,
    healthcheck: undefined,
    startedNs: 0n,
    labels: {},
    pod: undefined,
  };
}

function specOf(bytes: Buffer | undefined): RuntimeSpec {
  try {
    return JSON.parse(bytes?.toString() ?? '{}') as RuntimeSpec;
  } catch {
    return {}; // a runtime of its own may have a specification of its own
  }
}

/** containerd keeps no such flag: this is what its clients do for it, and nothing less. */
function isPrivileged({ process, linux = {} }: RuntimeSpec): boolean {
  const isHidden = (paths: readonly string[] | undefined): boolean => (paths?.length ?? 0) > 0;
  return (
    (process?.capabilities?.bounding?.includes('CAP_SYS_ADMIN') ?? false) &&
    !isHidden(linux.maskedPaths) &&
    !isHidden(linux.readonlyPaths)
  );
}

const isBind = (option: string): boolean => option === 'bind' || option === 'rbind';

function mountOf({
  source = '',
  destination = '',
  options = [],
}: NonNullable<RuntimeSpec['mounts']>[number]): ContainerMount {
  return {
    source,
    destination,
    mode: options.filter((option) => option === 'ro' || option === 'rw').join(','),
    writable: !options.includes('ro'),
    propagation: options.find((option) => /^r?(?:private|shared|slave|unbindable)$/.test(option)) ?? '',
  };
}
