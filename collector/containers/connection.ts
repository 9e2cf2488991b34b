import type { ContainerEngine, ContainerMetadata } from '../event/container-metadata.ts';
import type { ContainerRequest } from '../event/container-table.ts';
import type { EngineClient, EngineListener } from './engine.ts';
import type { EngineSocket } from './sockets.ts';

const FIRST_RETRY_MILLIS = 100;
const LONGEST_RETRY_MILLIS = 5000;

export interface ConnectionListener extends EngineListener {
  readonly onConnected: () => void;
  /** Once for each time that it was connected, and once if it never was. */
  readonly onLost: (error: Error) => void;
}

/** Stays in touch with the engine behind a socket, until it is closed: what breaks is made again, ever more seldom. */
export class EngineConnection {
  readonly socket: EngineSocket;
  readonly #listener: ConnectionListener;
  #client: Promise<EngineClient> | undefined;
  #isConnected = false;
  #isForbidden = false;
  #toldLost = false;
  #connectedAt = Number.POSITIVE_INFINITY;
  #isClosed = false;
  #retryMillis = FIRST_RETRY_MILLIS;
  #wake: () => void = () => {};

  constructor(socket: EngineSocket, listener: ConnectionListener) {
    this.socket = socket;
    this.#listener = listener;
    void this.#stay();
  }

  /** True if this process may not speak to the engine: that waits for an administrator, and nothing should wait for that. */
  get isForbidden(): boolean {
    return this.#isForbidden;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** @throws Error if the engine cannot be asked now */
  async find(request: ContainerRequest): Promise<ContainerMetadata | undefined> {
    this.#wake();
    if (this.#client === undefined) throw new Error('the engine is away');
    return (await this.#client).find(request);
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
    this.#client?.then(
      (client) => client.close(),
      () => {}, // there is none to close
    );
  }

  async #stay(): Promise<void> {
    while (!this.#isClosed) {
      const error = await this.#follow().catch((reason: Error) => reason);
      this.#client = undefined;
      this.#isConnected = false;
      this.#isForbidden = /\b(?:EACCES|EPERM)\b/.test(error.message);
      if (this.#isClosed) return;
      // One that leaves again and again is not met ten times a second.
      if (performance.now() - this.#connectedAt > LONGEST_RETRY_MILLIS) this.#retryMillis = FIRST_RETRY_MILLIS;
      this.#connectedAt = Number.POSITIVE_INFINITY;
      if (!this.#toldLost) this.#listener.onLost(error);
      this.#toldLost = true;
      await this.#pause();
    }
  }

  async #follow(): Promise<never> {
    this.#client = createClient(this.socket.engine, this.socket.path);
    const client = await this.#client;
    try {
      return await client.follow(this.#listener, () => this.#connected());
    } finally {
      client.close();
    }
  }

  #connected(): void {
    this.#isConnected = true;
    this.#isForbidden = false;
    this.#toldLost = false;
    this.#connectedAt = performance.now();
    this.#listener.onConnected();
  }

  /** Until it is time, or somebody asks. */
  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#retryMillis);
    this.#wake = resolve;
    await promise;
    this.#wake = () => {};
    clearTimeout(timer);
    this.#retryMillis = Math.min(2 * this.#retryMillis, LONGEST_RETRY_MILLIS);
  }
}

/** Loaded when needed: a machine without containers does not carry the code in memory. */
async function createClient(engine: ContainerEngine, path: string): Promise<EngineClient> {
  if (engine === 'docker' || engine === 'podman') return new (await import('./docker.ts')).DockerClient(path, engine);
  if (engine === 'cri') return new (await import('./cri.ts')).CriClient(path);
  return new (await import('./containerd.ts')).ContainerdClient(path);
}
