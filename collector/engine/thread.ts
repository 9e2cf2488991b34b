import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { ShikraError } from '../errors.ts';
import type { CollectorOptions, FromCollector, ReloadOutcome, ToCollector } from './messages.ts';

type MessageOf<Type extends FromCollector['type']> = Extract<FromCollector, { type: Type }>;

interface Listeners {
  readonly onDetections: (message: MessageOf<'detections'>) => void;
  readonly onStats: (message: MessageOf<'stats'>) => void;
  readonly onCanaries: (message: MessageOf<'canaries'>) => void;
  readonly onDomainNames: (message: MessageOf<'domain_names'>) => void;
  readonly onContainersWanted: (message: MessageOf<'wanted'>) => void;
  /** The thread ended without being asked to. */
  readonly onDeath: (error: Error) => void;
}

/**
 * The collector's thread as the main thread sees it. It loads its code as soon as it is made, before it knows what to do: made first thing, it
 * is ready when the configuration is read.
 */
export class CollectorThread {
  readonly #worker: Worker;
  readonly #ready = Promise.withResolvers<MessageOf<'ready'>>();
  readonly #stopped = Promise.withResolvers<number | undefined>();
  #state: 'starting' | 'running' | 'stopped' | 'dead' = 'starting';
  #listeners: Listeners | undefined;
  /** Messages so far. */
  #heard = 0;
  /** What it said before there was someone to tell: a Worker does not keep it. */
  readonly #early: FromCollector[] = [];
  #onAdopted: (outcome: ReloadOutcome) => void = () => {};

  constructor() {
    // A flag goes before the limit of a thread, and the process was started with one (main.ts). For the main thread it is settled by now.
    setFlagsFromString('--max-semi-space-size=0');
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), {
      name: 'collector',
      // Its objects die at once, but in a flood those that are being sent.
      resourceLimits: { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 6 },
    });
    this.#worker.on('message', (message: FromCollector) => {
      if (this.#listeners === undefined) this.#early.push(message);
      else this.#receive(message);
    });
    this.#worker.on('error', (error) => this.#ended(error as Error));
    this.#worker.on('exit', (code) => this.#ended(new Error(`it exited with code ${code}`)));
    this.#ready.promise.catch(() => {}); // start() tells; before it, nobody waits for it
  }

  /** Tells it what to do. Once. */
  begin(options: CollectorOptions): void {
    this.send({ type: 'begin', options });
  }

  /** @throws ShikraError what kept the collector from starting */
  start(listeners: Listeners): Promise<MessageOf<'ready'>> {
    this.#listeners = listeners;
    for (const message of this.#early.splice(0)) this.#receive(message);
    return this.#ready.promise;
  }

  /** The process may end while it runs. */
  unref(): void {
    this.#worker.unref();
  }

  /** The process goes on while it runs: so it is from the beginning. */
  ref(): void {
    this.#worker.ref();
  }

  send(message: ToCollector): void {
    this.#worker.postMessage(message);
  }

  /**
   * Swaps the rules between two events. One at a time.
   * @param rules for `decodeRules`; they are gone from this thread then
   */
  adopt(rules: Uint8Array<ArrayBuffer>): Promise<ReloadOutcome> {
    const { promise, resolve } = Promise.withResolvers<ReloadOutcome>();
    this.#onAdopted = resolve;
    this.#worker.postMessage({ type: 'adopt', rules } satisfies ToCollector, [rules.buffer]);
    return promise;
  }

  /**
   * @param limitMillis what the thread has for its rings
   * @param graceMillis how long it may be silent after that; what it sent before its answer may still have to be worked through here
   * @param mostMillis when it is given up even so
   * @returns the bytes of events that it had no time for; undefined if it did not answer
   */
  async stop(limitMillis: number, graceMillis: number, mostMillis: number): Promise<number | undefined> {
    if (this.#state !== 'running') return this.#state === 'stopped' ? 0 : undefined;
    this.send({ type: 'stop', limitMillis });
    const started = performance.now();
    let heard = this.#heard;
    const giveUp = (): void => {
      const isSilent = heard === this.#heard;
      heard = this.#heard;
      if (isSilent || performance.now() - started > mostMillis) this.#stopped.resolve(undefined);
      else timer = setTimeout(giveUp, graceMillis);
    };
    let timer = setTimeout(() => {
      heard = this.#heard;
      timer = setTimeout(giveUp, graceMillis);
    }, limitMillis);
    const leftBytes = await this.#stopped.promise;
    clearTimeout(timer);
    await this.terminate();
    return leftBytes;
  }

  async terminate(): Promise<void> {
    if (this.#state !== 'dead') this.#state = 'stopped';
    await this.#worker.terminate();
  }

  readiness(): { ready: boolean; parts: Record<string, string> } {
    return { ready: this.#state === 'running', parts: { collector: this.#state === 'running' ? 'ok' : this.#state } };
  }

  #receive(message: FromCollector): void {
    this.#heard++;
    switch (message.type) {
      case 'detections':
        this.#listeners?.onDetections(message);
        break;
      case 'stats':
        this.#listeners?.onStats(message);
        break;
      case 'canaries':
        this.#listeners?.onCanaries(message);
        break;
      case 'domain_names':
        this.#listeners?.onDomainNames(message);
        break;
      case 'wanted':
        this.#listeners?.onContainersWanted(message);
        break;
      case 'adopted':
        this.#onAdopted(message.outcome);
        break;
      case 'ready':
        this.#state = 'running';
        this.#ready.resolve(message);
        break;
      case 'failed':
        this.#ready.reject(new ShikraError(message.code, message.detail));
        break;
      case 'stopped':
        this.#listeners?.onStats({ type: 'stats', stats: message.stats });
        this.#state = 'stopped';
        this.#stopped.resolve(message.leftBytes);
    }
  }

  #ended(error: Error): void {
    if (this.#state === 'stopped' || this.#state === 'dead') return;
    const wasRunning = this.#state === 'running';
    this.#state = 'dead';
    this.#stopped.resolve(undefined);
    this.#ready.reject(new ShikraError('COLLECTOR_DIED', error.message, { cause: error }));
    if (wasRunning) this.#listeners?.onDeath(error);
  }
}
