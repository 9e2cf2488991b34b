import type { ContainersConfig } from '../containers/config.ts';
import { ContainerEngines } from '../containers/engines.ts';
import { tellContainers } from '../engine/detector.ts';
import { gathered } from '../engine/gathered.ts';
import type { ContainerRequest } from '../event/container-table.ts';
import { DomainNames } from '../event/domain-names.ts';
import type { Probe } from '../sources/kernel/probe.ts';
import { KernelSource, type KernelSourceOptions } from '../sources/kernel/source.ts';
import { allOf } from '../sources/kernel/system-calls.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { RecordingSummary } from './header.ts';
import { Recorder } from './recorder.ts';

const TICK_MILLIS = 1000;

export interface RecordingOptions {
  readonly path: string;
  /** In place of a file that is there. */
  readonly force: boolean;
  /** Of Shikra. */
  readonly version: string;
  readonly eventTypes: readonly string[];
  /** Those that rules name: what they stand for is recorded, too. */
  readonly domainNames: Iterable<string>;
  readonly source: Omit<KernelSourceOptions, 'tap' | 'onContainerWanted' | 'hasContainerEngines'> & {
    readonly hasContainerEngines: boolean;
  };
  readonly containers: ContainersConfig;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface RecordingProgress {
  readonly events: number;
  readonly bytes: number;
}

/** Records what happens on this machine, from {@link start} to {@link stop}. */
export class Recording {
  readonly #options: RecordingOptions;
  readonly #recorder: Recorder;
  readonly #source: KernelSource;
  readonly #engines: ContainerEngines;
  readonly #domainNames = new DomainNames();
  readonly #failed = Promise.withResolvers<never>();
  #ticker: NodeJS.Timeout | undefined;
  #turnPlanned = false;
  #ended = false;

  constructor(options: RecordingOptions) {
    this.#options = options;
    this.#domainNames.ask(options.domainNames);
    const { source, containers, path, force, version, eventTypes, metrics, logger } = options;
    this.#failed.promise.catch(() => {}); // whoever waits for it is told
    this.#recorder = new Recorder({
      path,
      force,
      version,
      eventTypes: [...eventTypes],
      captureEnv: [...source.captureEnv],
      processTableEntries: source.processTableEntries,
      hasContainerEngines: source.hasContainerEngines,
      containerHoldMillis: containers.hold,
    });
    this.#source = new KernelSource({
      ...source,
      tap: this.#recorder,
      onContainerWanted: gathered<ContainerRequest>((requests) => this.#engines.ask(requests)),
    });
    this.#engines = new ContainerEngines({
      sockets: containers,
      metrics,
      logger,
      onNews: (news) =>
        this.#guarded(() => {
          this.#recorder.news(news);
          tellContainers(this.#source.containers, news);
        }),
    });
  }

  /** Rejects if it cannot go on: the disk is full. What was written before is good. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  get progress(): RecordingProgress {
    return this.#recorder;
  }

  /** When the addresses of the domain names are known, or a second is over. */
  settled(): Promise<void> {
    return this.#domainNames.settled(TICK_MILLIS);
  }

  /** @param probe loaded; it is the recording's from now on @throws ShikraError PROBE_*, RECORDING_UNWRITABLE */
  start(probe: Probe): void {
    try {
      this.#source.open(probe);
      this.#source.want(allOf(this.#options.eventTypes));
      this.#recorder.begin(this.#source);
      this.#recorder.domainNames(this.#domainNames.all());
      this.#source.start(
        (event) => this.#recorder.event(event),
        () => this.#turn(),
      );
    } catch (error) {
      this.#recorder.close();
      probe.close();
      throw error;
    }
    this.#engines.start();
    const tick = (): void => {
      this.#recorder.domainNames(this.#domainNames.all());
      this.#source.tick();
    };
    this.#ticker = setInterval(() => this.#guarded(tick), TICK_MILLIS);
  }

  /** Detaches, writes what is left in the rings, and closes the file. @throws ShikraError RECORDING_UNWRITABLE */
  stop(): RecordingSummary {
    this.#end();
    try {
      this.#source.detach();
      this.#recorder.turn();
      this.#source.drainAll();
      return this.#recorder.end(this.#source.waitingBytes);
    } finally {
      this.#source.close();
    }
  }

  #turn(): void {
    this.#turnPlanned = false;
    this.#guarded(() => {
      this.#recorder.turn();
      if (this.#source.drain()) this.#planTurn();
    });
  }

  #planTurn(): void {
    if (this.#turnPlanned) return;
    this.#turnPlanned = true;
    setImmediate(() => this.#turn());
  }

  /** Nothing is thrown into a callback of the kernel's or of a timer. */
  #guarded(step: () => void): void {
    if (this.#ended) return;
    try {
      step();
    } catch (error) {
      this.#end();
      this.#source.close();
      this.#recorder.close();
      this.#failed.reject(error);
    }
  }

  #end(): void {
    this.#ended = true;
    clearInterval(this.#ticker);
    this.#engines.close();
    this.#domainNames.close();
  }
}
