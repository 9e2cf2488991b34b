import type { IncomingMessage } from 'node:http';
import type { ContainerMetadata, ContainerMount, PodMetadata } from '../event/container-metadata.ts';
import type { ContainerRequest } from '../event/container-table.ts';
import { http } from '../node-http.ts';
import { ANSWER_MILLIS, type EngineClient, type EngineListener, eachOf, Teller } from './engine.ts';
import { imageParts } from './image-reference.ts';
import { podOfLabels } from './pod.ts';

const NOT_FOUND = 404;
const MOST_IMAGES = 128;
/** A line of the event stream, or an answer, that is longer is no engine's. */
const MOST_BYTES = 32 * 1024 * 1024;
/** `remove` is podman's word for `destroy`. */
const GONE = new Set(['destroy', 'remove']);
const CHANGED = new Set(['create', 'start', 'rename', 'update', 'connect']);

/** The parts of `GET /containers/ID/json` that are read; Docker's API and podman's alike. */
interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly Image: string;
  readonly State?: { readonly StartedAt?: string };
  readonly Config?: {
    readonly Image?: string;
    readonly Labels?: Record<string, string> | null;
    readonly Healthcheck?: { readonly Test?: readonly string[] } | null;
  };
  readonly HostConfig?: {
    readonly Privileged?: boolean;
    readonly PidMode?: string;
    readonly NetworkMode?: string;
    readonly IpcMode?: string;
  };
  readonly Mounts?: readonly {
    readonly Source?: string;
    readonly Destination?: string;
    readonly Mode?: string;
    readonly RW?: boolean;
    readonly Propagation?: string;
  }[];
  readonly NetworkSettings?: {
    readonly IPAddress?: string;
    readonly GlobalIPv6Address?: string;
    readonly Networks?: Record<string, { readonly IPAddress?: string; readonly GlobalIPv6Address?: string }> | null;
  };
}

interface InspectedImage {
  readonly RepoTags?: readonly string[] | null;
  readonly RepoDigests?: readonly string[] | null;
}

interface ContainerEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
}

/** Docker's HTTP API (https://docs.docker.com/reference/api/engine), which podman speaks too. */
export class DockerClient implements EngineClient {
  readonly #socketPath: string;
  readonly #type: 'docker' | 'podman';
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  readonly #images = new Map<string, InspectedImage>();
  readonly #closed = new AbortController();

  constructor(socketPath: string, type: 'docker' | 'podman') {
    this.#socketPath = socketPath;
    this.#type = type;
  }

  async follow(listener: EngineListener, onConnected: () => void): Promise<never> {
    const teller = new Teller(this, listener);
    const events = await this.#open('/events', { filters: JSON.stringify({ type: ['container', 'network'] }) });
    // From here on nothing is missed: what happens before the list has been read waits in the stream.
    const containers = (await this.#get('/containers/json', { all: '1' })) as { Id: string }[];
    if (!Array.isArray(containers)) throw new Error('/containers/json: expected a list of containers');
    onConnected();
    const following = readLines(events, (line) => this.#hear(JSON.parse(line) as ContainerEvent, teller));
    await Promise.race([following, eachOf(containers, ({ Id }) => teller.tell({ id: Id }))]);
    await following;
    throw new Error('the engine ended the stream of events');
  }

  async find({ id }: ContainerRequest): Promise<ContainerMetadata | undefined> {
    const container = (await this.#get(`/containers/${encodeURIComponent(id)}/json`)) as Inspected | undefined;
    // A name or a part of an id would be found too.
    if (container?.Id !== id) return undefined;
    return this.#metadata(container, await this.#image(container.Image));
  }

  close(): void {
    this.#closed.abort(new Error('the agent is being stopped'));
    this.#agent.destroy();
  }

  #hear({ Type, Action = '', Actor: { ID, Attributes = {} } = {} }: ContainerEvent, teller: Teller): void {
    const id = Type === 'network' ? Attributes.container : ID;
    if (id === undefined) return;
    if (Type === 'container' && GONE.has(Action)) teller.gone({ id });
    else if (CHANGED.has(Action))
      void teller.tell({ id }, Type === 'container' ? this.#told(id, Attributes) : undefined);
  }

  /** What the event itself tells: name, image, and the labels, all as one list. */
  #told(id: string, { name = '', image = '', ...labels }: Readonly<Record<string, string>>): ContainerMetadata {
    const told: Inspected = { Id: id, Name: name, Image: '', Config: { Image: image, Labels: labels } };
    return {
      ...this.#metadata(told, {}),
      privileged: undefined,
      hostPid: undefined,
      hostNetwork: undefined,
      hostIpc: undefined,
    };
  }

  #metadata(container: Inspected, image: InspectedImage): ContainerMetadata {
    const { Config = {}, HostConfig = {}, State = {} } = container;
    const named = Config.Image ?? '';
    const parts = imageParts({ named, tags: image.RepoTags ?? [], digests: image.RepoDigests ?? [] });
    const labels = Config.Labels ?? {};
    return {
      id: container.Id,
      namespace: undefined,
      type: this.#type,
      name: container.Name.replace(/^\//, ''),
      image: named || undefined,
      imageId: container.Image.replace(/^sha256:/, '') || undefined,
      imageRepository: parts.repository,
      imageTag: parts.tag,
      imageDigest: parts.digest,
      privileged: HostConfig.Privileged ?? false,
      hostPid: HostConfig.PidMode === 'host',
      hostNetwork: HostConfig.NetworkMode === 'host',
      hostIpc: HostConfig.IpcMode === 'host',
      mounts: (container.Mounts ?? []).map(mountOf),
      ip: addressOf(container.NetworkSettings),
      cniJson: undefined,
      healthcheck: healthcheckOf(Config.Healthcheck?.Test),
      startedNs: timeOf(State.StartedAt),
      labels,
      pod: podOfLabels(labels, {}) satisfies PodMetadata | undefined,
    };
  }

  /** An image never changes under its id. */
  async #image(id: string): Promise<InspectedImage> {
    const known = this.#images.get(id);
    if (known !== undefined) return known;
    const image = ((await this.#get(`/images/${encodeURIComponent(id)}/json`)) as InspectedImage | undefined) ?? {};
    if (this.#images.size >= MOST_IMAGES) this.#images.clear();
    this.#images.set(id, image);
    return image;
  }

  /** @returns undefined for what is not there */
  async #get(path: string, query: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const response = await this.#open(path, query, ANSWER_MILLIS);
    if (response === undefined) return undefined;
    const text = await readAll(response);
    if (response.statusCode === NOT_FOUND) return undefined;
    return JSON.parse(text);
  }

  /** @param limitMillis for the whole answer; a stream has none, but its beginning has */
  #open(path: string, query: Readonly<Record<string, string>>, limitMillis?: number): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const call = http.request({
      socketPath: this.#socketPath,
      path: `${path}?${new URLSearchParams(query)}`,
      headers: { host: 'localhost' },
      agent: limitMillis === undefined ? false : this.#agent,
      signal: this.#closed.signal,
    });
    const timer = setTimeout(() => call.destroy(new Error(`${path}: no answer in time`)), limitMillis ?? ANSWER_MILLIS);
    call.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    call.on('response', (response) => {
      response.on('error', () => {}); // who reads it is told; nobody may have begun to
      if (limitMillis === undefined) clearTimeout(timer);
      else response.on('close', () => clearTimeout(timer));
      const { statusCode = 0 } = response;
      if (statusCode < 300 || statusCode === NOT_FOUND) resolve(response);
      else {
        response.resume();
        reject(new Error(`${path}: HTTP status ${statusCode}`));
      }
    });
    call.end();
    return promise;
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function readLines(response: IncomingMessage, onLine: (line: string) => void): Promise<void> {
  let rest = '';
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    if (rest.length > MOST_BYTES) throw new Error('a line of the event stream is too long');
    for (const line of lines) if (line.trim() !== '') onLine(line);
  }
}

function mountOf({
  Source = '',
  Destination = '',
  Mode = '',
  RW = false,
  Propagation = '',
}: NonNullable<Inspected['Mounts']>[number]): ContainerMount {
  return { source: Source, destination: Destination, mode: Mode, writable: RW, propagation: Propagation };
}

function addressOf(settings: Inspected['NetworkSettings']): string | undefined {
  const networks = Object.values(settings?.Networks ?? {});
  return [settings, ...networks].map((each) => each?.IPAddress || each?.GlobalIPv6Address).find(Boolean);
}

/** `["CMD", ...]`, `["CMD-SHELL", "text"]` or `["NONE"]`. */
function healthcheckOf(test: readonly string[] | undefined): readonly string[] | undefined {
  const [kind, ...rest] = test ?? [];
  if (kind === undefined) return undefined;
  if (kind === 'NONE') return ['NONE'];
  return kind === 'CMD-SHELL' ? ['/bin/sh', '-c', ...rest] : rest;
}

/** RFC 3339 with nanoseconds; year 1 means never. */
export function timeOf(text: string | undefined): bigint {
  const millis = Date.parse(text ?? '');
  if (Number.isNaN(millis) || millis <= 0) return 0n;
  const fraction = /\.(\d+)/.exec(text!)?.[1] ?? '';
  return BigInt(Math.floor(millis / 1000)) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0') || '0');
}
