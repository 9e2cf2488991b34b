import type { ContainerMetadata, ContainerMount, PodMetadata } from '../event/container-metadata.ts';
import type { ContainerRequest } from '../event/container-table.ts';
import { encode, Message } from '../protobuf.ts';
import { ANSWER_MILLIS, type EngineClient, type EngineListener, eachOf, Teller } from './engine.ts';
import { GRPC_STATUS, GrpcChannel, GrpcError } from './grpc.ts';
import { type ImageReference, imageParts, parseImageReference } from './image-reference.ts';
import { podOfLabels } from './pod.ts';

/** Kubernetes' Container Runtime Interface, version 1. Field numbers: k8s.io/cri-api/pkg/apis/runtime/v1/api.proto. */
const RUNTIME = 'runtime.v1.RuntimeService';
const IMAGES = 'runtime.v1.ImageService';
const CONTAINER_DELETED = 3n;
const NAMESPACE_OF_NODE = 2n;
const PROPAGATIONS = ['private', 'rslave', 'rshared'];
/** Where an engine has no events (CRI-O before 1.26), its list is read so often. */
const POLL_MILLIS = 1000;
const MOST_IMAGES = 128;

/** What engines add in verbose answers, as JSON: containerd's and CRI-O's. */
interface ContainerInfo {
  readonly sandboxID?: string;
  readonly privileged?: boolean;
  readonly config?: {
    readonly image?: { readonly image?: string; readonly user_specified_image?: string };
    readonly linux?: { readonly security_context?: { readonly privileged?: boolean } };
  };
  readonly runtimeSpec?: { readonly annotations?: Readonly<Record<string, string>> };
}

interface SandboxInfo {
  readonly image?: string;
  readonly cniResult?: unknown;
  readonly runtimeSpec?: { readonly annotations?: Readonly<Record<string, string>> };
}

interface Image extends ImageReference {
  readonly id: string | undefined;
}

interface Sandbox {
  readonly pod: PodMetadata;
  readonly annotatedImage: string;
  readonly startedNs: bigint;
  readonly shared: Pick<ContainerMetadata, 'hostPid' | 'hostNetwork' | 'hostIpc' | 'ip' | 'cniJson'>;
}

/** Asks an engine by CRI about one container or sandbox. */
export class CriLookup {
  readonly #channel: GrpcChannel;
  readonly #images = new Map<string, Image>();
  #type: string | undefined;

  constructor(channel: GrpcChannel) {
    this.#channel = channel;
  }

  /** @returns undefined if it has no such container @throws GrpcError */
  async find(id: string): Promise<ContainerMetadata | undefined> {
    this.#type ??= (await this.#call('Version', encode({ 1: 'v1' }))).text(2);
    return (await this.#container(id)) ?? (await this.#sandboxAsContainer(id));
  }

  async ids(): Promise<string[]> {
    const containers = (await this.#call('ListContainers', Buffer.alloc(0))).messages(1);
    const sandboxes = (await this.#call('ListPodSandbox', Buffer.alloc(0))).messages(1);
    return [...containers, ...sandboxes].map((each) => each.text(1));
  }

  async #container(id: string): Promise<ContainerMetadata | undefined> {
    const answer = await this.#findCall('ContainerStatus', encode({ 1: id, 2: true }));
    const status = answer?.message(1);
    if (answer === undefined || status?.text(1) !== id) return undefined;
    const info = parseInfo<ContainerInfo>(answer);
    const sandboxId = info.sandboxID ?? (await this.#sandboxIdOf(id));
    const sandbox = sandboxId === undefined ? undefined : await this.#sandbox(sandboxId);
    const labels = status.map(12);
    const named = nameIn(status.message(8), info);
    const image = await this.#image(named, status.text(9));
    const name = status.message(2).text(1);
    return {
      id,
      namespace: undefined,
      type: this.#type ?? 'cri',
      name: name || undefined,
      image: (image.repository === undefined ? named : nameOf(image)) || undefined,
      imageId: image.id,
      imageRepository: image.repository,
      imageTag: image.tag,
      imageDigest: image.digest,
      privileged: isPrivileged(info),
      hostPid: sandbox?.shared.hostPid,
      hostNetwork: sandbox?.shared.hostNetwork,
      hostIpc: sandbox?.shared.hostIpc,
      mounts: status.messages(14).map(mountOf),
      ip: sandbox?.shared.ip,
      cniJson: sandbox?.shared.cniJson,
      healthcheck: undefined,
      startedNs: status.integer(5),
      labels,
      pod: sandbox === undefined ? podOfLabels(labels, {}) : { ...sandbox.pod, containerName: name || undefined },
    };
  }

  /** The pause container has the sandbox's id. */
  async #sandboxAsContainer(id: string): Promise<ContainerMetadata | undefined> {
    const sandbox = await this.#sandbox(id);
    if (sandbox === undefined) return undefined;
    const { pod, annotatedImage, startedNs, shared } = sandbox;
    const parts = imageParts({ named: annotatedImage, tags: [], digests: [] });
    return {
      id,
      namespace: undefined,
      type: this.#type ?? 'cri',
      name: pod.name,
      image: annotatedImage || undefined,
      imageId: undefined,
      imageRepository: parts.repository,
      imageTag: parts.tag,
      imageDigest: parts.digest,
      privileged: undefined,
      mounts: [],
      healthcheck: undefined,
      startedNs,
      labels: pod.labels,
      pod,
      ...shared,
    };
  }

  async #sandbox(id: string): Promise<Sandbox | undefined> {
    const answer = await this.#findCall('PodSandboxStatus', encode({ 1: id, 2: true }));
    const status = answer?.message(1);
    if (answer === undefined || status?.text(1) !== id) return undefined;
    const info = parseInfo<SandboxInfo>(answer);
    const metadata = status.message(2);
    const options = status.message(6).message(1).message(2);
    return {
      pod: {
        name: metadata.text(1),
        namespace: metadata.text(3),
        uid: metadata.text(2),
        sandboxId: id,
        labels: status.map(7),
        containerName: undefined,
      },
      annotatedImage: info.image ?? '',
      startedNs: status.integer(4),
      shared: {
        hostNetwork: options.integer(1) === NAMESPACE_OF_NODE,
        hostPid: options.integer(2) === NAMESPACE_OF_NODE,
        hostIpc: options.integer(3) === NAMESPACE_OF_NODE,
        ip: status.message(5).text(1) || undefined,
        cniJson: cniJsonOf(info),
      },
    };
  }

  async #sandboxIdOf(id: string): Promise<string | undefined> {
    const [container] = (await this.#call('ListContainers', encode({ 1: encode({ 1: id }) }))).messages(1);
    return container?.text(2) || undefined;
  }

  /** @param reference of the image that runs: its id, or its repository and digest */
  async #image(named: string, reference: string): Promise<Image> {
    const key = `${named} ${reference}`;
    const known = this.#images.get(key);
    if (known !== undefined) return known;
    const request = encode({ 1: encode({ 1: reference || named }) });
    const answer = await this.#channel.unary(`${IMAGES}/ImageStatus`, request, { timeoutMillis: ANSWER_MILLIS });
    const status = new Message(answer).message(1);
    const parts = imageParts({ named, tags: status.texts(2), digests: status.texts(3) });
    const image = { ...parts, id: status.text(1).replace(/^sha256:/, '') || undefined };
    if (this.#images.size >= MOST_IMAGES) this.#images.clear();
    this.#images.set(key, image);
    return image;
  }

  async #call(method: string, request: Buffer): Promise<Message> {
    return new Message(await this.#channel.unary(`${RUNTIME}/${method}`, request, { timeoutMillis: ANSWER_MILLIS }));
  }

  async #findCall(method: string, request: Buffer): Promise<Message | undefined> {
    try {
      return await this.#call(method, request);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

/** An engine that speaks CRI and nothing else: CRI-O. */
export class CriClient implements EngineClient {
  readonly #channel: GrpcChannel;
  readonly #lookup: CriLookup;

  constructor(socketPath: string) {
    this.#channel = new GrpcChannel(socketPath);
    this.#lookup = new CriLookup(this.#channel);
  }

  async follow(listener: EngineListener, onConnected: () => void): Promise<never> {
    const teller = new Teller(this, listener);
    const events = this.#channel.stream(`${RUNTIME}/GetContainerEvents`, Buffer.alloc(0), {}, (bytes) => {
      const event = new Message(bytes);
      const id = event.text(1);
      if (event.integer(2) === CONTAINER_DELETED) teller.gone({ id });
      else void teller.tell({ id });
    });
    const known = new Set(await this.#lookup.ids());
    onConnected();
    await eachOf([...known], (id) => teller.tell({ id }));
    const error = await events.ended;
    if (error?.status === GRPC_STATUS.unimplemented) return this.#poll(known, teller);
    throw error ?? new Error('the engine ended the stream of events');
  }

  find({ id }: ContainerRequest): Promise<ContainerMetadata | undefined> {
    return this.#lookup.find(id);
  }

  close(): void {
    this.#channel.close();
  }

  async #poll(known: ReadonlySet<string>, teller: Teller): Promise<never> {
    let before = known;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS).unref());
      const ids = new Set(await this.#lookup.ids());
      for (const id of before.difference(ids)) teller.gone({ id });
      await eachOf([...ids.difference(before)], (id) => teller.tell({ id }));
      before = ids;
    }
  }
}

export function isNotFound(error: unknown): boolean {
  if (!(error instanceof GrpcError)) return false;
  // Some versions of containerd answer about a sandbox with the status "unknown".
  return error.status === GRPC_STATUS.notFound || /not found/i.test(error.message);
}

/**
 * The image as the pod names it. An engine's own word for it is any of the names that the same image has, and kubelet asks for it by its id.
 */
function nameIn(image: Message, { config }: ContainerInfo): string {
  const names = [image.text(18), config?.image?.user_specified_image, config?.image?.image, image.text(1)];
  return names.find((name) => parseImageReference(name ?? '').repository !== undefined) ?? image.text(1);
}

function parseInfo<T extends object>(answer: Message): Partial<T> {
  try {
    return JSON.parse(answer.map(2).info ?? '{}') as Partial<T>;
  } catch {
    return {}; // it is for people to read: an engine may put anything there
  }
}

function isPrivileged(info: ContainerInfo): boolean | undefined {
  if (info.privileged !== undefined) return info.privileged;
  // containerd leaves out what is false
  if (info.config !== undefined) return info.config.linux?.security_context?.privileged ?? false;
  const annotated = info.runtimeSpec?.annotations?.['io.kubernetes.cri-o.PrivilegedRuntime'];
  return annotated === undefined ? undefined : annotated === 'true';
}

function cniJsonOf({ cniResult, runtimeSpec }: SandboxInfo): string | undefined {
  if (cniResult !== undefined && cniResult !== null) return JSON.stringify(cniResult);
  return runtimeSpec?.annotations?.['io.kubernetes.cri-o.CNIResult'];
}

function nameOf({ repository, tag, digest }: ImageReference): string {
  if (tag !== undefined) return `${repository}:${tag}`;
  return digest === undefined ? repository! : `${repository}@${digest}`;
}

function mountOf(mount: Message): ContainerMount {
  return {
    source: mount.text(2),
    destination: mount.text(1),
    mode: '',
    writable: !mount.flag(3),
    propagation: PROPAGATIONS[Number(mount.integer(5))] ?? '',
  };
}
