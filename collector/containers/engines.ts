import type { ContainerEngine, ContainerMetadata } from '../event/container-metadata.ts';
import type { ContainerRequest } from '../event/container-table.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { EngineSockets } from './config.ts';
import { type ConnectionListener, EngineConnection } from './connection.ts';
import { boundedLabels } from './labels.ts';
import type { ContainerNews } from './news.ts';
import { findSockets } from './sockets.ts';

/** Sockets come and go: an engine that is installed or started later is met within this. */
const LOOK_MILLIS = 1000;

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
  readonly #listener: ConnectionListener;
  readonly #early: ContainerRequest[] = [];
  #timer: NodeJS.Timeout | undefined;
  #present: boolean | undefined;

  constructor(options: EnginesOptions) {
    this.#options = options;
    const { logger, metrics, onNews } = options;
    this.#listener = {
      onContainer: (metadata) => onNews({ type: 'known', metadata: this.#bounded(metadata) }),
      onGone: (request) => onNews({ type: 'gone', request }),
      onConnected: ({ engine, path }) => {
        metrics.containerEngines.set({ engine }, this.#connected(engine));
        logger.info({ component: 'containers', engine, socket: path }, 'a container engine tells about its containers');
      },
      onLost: ({ engine, path }, error) => {
        metrics.containerEngines.set({ engine }, this.#connected(engine));
        const text = 'a container engine does not answer: its containers have no names until it does';
        logger.warn({ component: 'containers', engine, socket: path, err: error }, text);
      },
    };
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
    const connections = [...this.#connections.values()].filter((each) => mayHave(each.socket.engine, request));
    const answers = await Promise.all(connections.map((connection) => this.#ask(connection, request)));
    const found = answers.find((answer) => typeof answer === 'object');
    if (found !== undefined) this.#options.onNews({ type: 'known', metadata: this.#bounded(found) });
    // One that did not answer may have it: then waiting goes on.
    else if (answers.every((answer) => answer === 'not_found')) this.#options.onNews({ type: 'unknown', request });
  }

  close(): void {
    clearInterval(this.#timer);
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  async #ask(
    connection: EngineConnection,
    request: ContainerRequest,
  ): Promise<ContainerMetadata | 'not_found' | 'failed'> {
    const { engine } = connection.socket;
    let answer: ContainerMetadata | 'not_found' | 'failed';
    try {
      answer = (await connection.find(request)) ?? 'not_found';
    } catch (error) {
      this.#options.logger.debug(
        { component: 'containers', engine, err: error },
        'a container could not be asked about',
      );
      answer = 'failed';
    }
    this.#options.metrics.containerLookups.inc({ engine, outcome: typeof answer === 'object' ? 'found' : answer });
    return answer;
  }

  #look(): void {
    const found = new Map(
      findSockets(this.#options.sockets).map((socket) => [`${socket.path} ${socket.inode}`, socket]),
    );
    for (const [key, connection] of this.#connections) {
      if (found.has(key)) continue;
      connection.close();
      this.#connections.delete(key);
      this.#options.metrics.containerEngines.set(
        { engine: connection.socket.engine },
        this.#connected(connection.socket.engine),
      );
    }
    for (const [key, socket] of found)
      if (!this.#connections.has(key)) this.#connections.set(key, new EngineConnection(socket, this.#listener));
    const present = this.#connections.size > 0;
    if (present !== this.#present) this.#options.onNews({ type: 'engines', present });
    this.#present = present;
  }

  #connected(engine: ContainerEngine): number {
    return [...this.#connections.values()].filter((each) => each.socket.engine === engine && each.isConnected).length;
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

/** Only containerd has namespaces, in which a container may have any name. */
function mayHave(engine: ContainerEngine, { namespace }: ContainerRequest): boolean {
  return namespace === undefined || engine === 'containerd';
}
