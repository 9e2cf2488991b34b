import type { ContainerEngine, ContainerMetadata } from '../event/container-metadata.ts';
import type { ContainerRequest } from '../event/container-table.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { EngineSockets } from './config.ts';
import { EngineConnection } from './connection.ts';
import { boundedLabels } from './labels.ts';
import type { ContainerNews } from './news.ts';
import { type EngineSocket, findSockets } from './sockets.ts';

/** Sockets come and go: an engine that is installed or started later is met within this. */
const LOOK_MILLIS = 1000;

const ANSWERS = ['found', 'not_found', 'failed'] as const;
type Answer = (typeof ANSWERS)[number];

export interface EnginesOptions {
  readonly sockets: EngineSockets;
  readonly metrics: Pick<Metrics, 'containerLookups' | 'containerEngines'>;
  readonly logger: Logger;
  readonly onNews: (news: ContainerNews) => void;
}

/** The container engines of this machine: met when their sockets appear, followed, asked, met again when they were away. */
export class ContainerEngines {
  readonly #options: EnginesOptions;
  readonly #connections = new Map<string, EngineConnection>();
  readonly #early: ContainerRequest[] = [];
  #timer: NodeJS.Timeout | undefined;
  #present: boolean | undefined;

  constructor(options: EnginesOptions) {
    this.#options = options;
  }

  /** Looks for sockets, now and from time to time. What speaks to an engine is loaded when the first one is there. */
  start(): void {
    this.#look();
    this.#timer = setInterval(() => this.#look(), LOOK_MILLIS).unref();
    this.ask(this.#early.splice(0));
  }

  /** Tells by `onNews` what engines know of containers. What is asked before {@link start} is answered then. */
  ask(requests: readonly ContainerRequest[]): void {
    if (this.#timer === undefined) this.#early.push(...requests);
    else for (const request of requests) void this.#find(request);
  }

  async #find(request: ContainerRequest): Promise<void> {
    const all = [...this.#connections.values()];
    const connections = all.filter(({ socket, isForbidden }) => !isForbidden && mayHave(socket, request));
    const answers = await Promise.all(connections.map((connection) => this.#ask(connection, request)));
    // One that did not answer may have it: then waiting goes on.
    if (answers.every((answer) => answer === 'not_found')) this.#options.onNews({ type: 'unknown', request });
  }

  close(): void {
    clearInterval(this.#timer);
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  /** Tells what is found at once: another engine may take its time. */
  async #ask(connection: EngineConnection, request: ContainerRequest): Promise<Answer> {
    const { socket } = connection;
    const { engine } = socket;
    const { logger, metrics } = this.#options;
    let outcome: Answer = 'not_found';
    try {
      const metadata = await connection.find(request);
      if (metadata !== undefined) {
        outcome = 'found';
        this.#known(socket, metadata);
      }
    } catch (error) {
      logger.debug({ component: 'containers', engine, err: error }, 'a container could not be asked about');
      outcome = 'failed';
    }
    metrics.containerLookups.inc({ engine, outcome });
    return outcome;
  }

  #known(socket: EngineSocket, metadata: ContainerMetadata): void {
    this.#options.onNews({ type: 'known', metadata: this.#bounded(metadata), ...ownerOf(socket) });
  }

  #connect(socket: EngineSocket): EngineConnection {
    const { logger, metrics, onNews } = this.#options;
    const { engine, path } = socket;
    for (const outcome of ANSWERS) metrics.containerLookups.inc({ engine, outcome }, 0);
    const what = { component: 'containers', engine, socket: path };
    return new EngineConnection(socket, {
      onContainer: (metadata) => this.#known(socket, metadata),
      onGone: (request) => onNews({ type: 'gone', request: { ...request, ...ownerOf(socket) } }),
      onConnected: () => {
        this.#count(engine);
        logger.info(what, 'a container engine tells about its containers');
      },
      onLost: (error) => {
        this.#count(engine);
        const text = 'a container engine does not answer: its containers have no names until it does';
        logger.warn({ ...what, err: error }, text);
      },
    });
  }

  #look(): void {
    const found = new Map(
      findSockets(this.#options.sockets).map((socket) => [`${socket.path} ${socket.inode}`, socket]),
    );
    for (const [key, connection] of this.#connections) {
      if (found.has(key)) continue;
      connection.close();
      this.#connections.delete(key);
      this.#count(connection.socket.engine);
    }
    for (const [key, socket] of found)
      if (!this.#connections.has(key)) this.#connections.set(key, this.#connect(socket));
    const present = this.#connections.size > 0;
    if (present !== this.#present) this.#options.onNews({ type: 'engines', present });
    this.#present = present;
  }

  #count(engine: ContainerEngine): void {
    const all = [...this.#connections.values()];
    const count = all.filter(({ socket, isConnected }) => socket.engine === engine && isConnected).length;
    this.#options.metrics.containerEngines.set({ engine }, count);
  }

  #bounded(metadata: ContainerMetadata): ContainerMetadata {
    const labels = boundedLabels(metadata.labels);
    const podLabels = metadata.pod && boundedLabels(metadata.pod.labels);
    if (labels === metadata.labels && podLabels === metadata.pod?.labels) return metadata;
    const text = 'a container has more labels than are kept: the longest were cut';
    this.#options.logger.warn({ component: 'containers', container: metadata.id }, text);
    return { ...metadata, labels, ...(metadata.pod && podLabels && { pod: { ...metadata.pod, labels: podLabels } }) };
  }
}

function ownerOf({ uid }: EngineSocket): { readonly owner: number | undefined } {
  return { owner: uid === 0 ? undefined : uid };
}

/** Only containerd has namespaces, in which a container may have any name. A user's engine is believed about the user's containers, and no other engine is. */
function mayHave({ engine, uid }: EngineSocket, { namespace, owner = 0 }: ContainerRequest): boolean {
  return uid === owner && (namespace === undefined || engine === 'containerd');
}
