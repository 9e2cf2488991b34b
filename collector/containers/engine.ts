import type { ContainerMetadata } from '../event/container-metadata.ts';
import type { ContainerRequest } from '../event/container-table.ts';

/** What an engine says by itself. */
export interface EngineListener {
  /** A container is there, or something about it has changed. */
  readonly onContainer: (metadata: ContainerMetadata) => void;
  readonly onGone: (request: ContainerRequest) => void;
}

/** One container engine behind one socket. */
export interface EngineClient {
  /**
   * Connects, tells of every container that there is, then of those that come and go. Settles only when that is over: with an error, always.
   * @param onConnected the engine has answered
   */
  follow(listener: EngineListener, onConnected: () => void): Promise<never>;
  /** @returns undefined if the engine does not have it @throws Error if it cannot be asked */
  find(request: ContainerRequest): Promise<ContainerMetadata | undefined>;
  /** Ends {@link follow}, and all calls. */
  close(): void;
}

/** An answer that takes longer is taken for none. */
export const ANSWER_MILLIS = 5000;
/** So many containers are asked about at once when an engine is met: engines lock. */
const AT_ONCE = 8;

export async function eachOf<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const worker = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Tells about containers one step after the other: what is learnt of a container first is told first, its end last. */
export class Teller {
  readonly #client: Pick<EngineClient, 'find'>;
  readonly #listener: EngineListener;
  readonly #running = new Map<string, Promise<void>>();

  constructor(client: Pick<EngineClient, 'find'>, listener: EngineListener) {
    this.#client = client;
    this.#listener = listener;
  }

  /**
   * Asks about a container, and tells. An engine that cannot be asked says so in another way.
   * @param fallback what is known without asking, of a container that was gone too soon
   */
  tell(request: ContainerRequest, fallback?: ContainerMetadata): Promise<void> {
    return this.#next(request, async () => {
      const metadata = (await this.#client.find(request).catch(() => undefined)) ?? fallback;
      if (metadata !== undefined) this.#listener.onContainer(metadata);
    });
  }

  gone(request: ContainerRequest): void {
    void this.#next(request, async () => this.#listener.onGone(request));
  }

  #next({ id }: ContainerRequest, act: () => Promise<void>): Promise<void> {
    const step = (this.#running.get(id) ?? Promise.resolve()).then(act);
    this.#running.set(id, step);
    void step.then(() => {
      if (this.#running.get(id) === step) this.#running.delete(id);
    });
    return step;
  }
}
