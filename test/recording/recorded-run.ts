import { hostname } from 'node:os';
import type { ContainerNews } from '../../collector/containers/news.ts';
import type { Detection } from '../../collector/detection/detection.ts';
import { nowNanos } from '../../collector/detection/time.ts';
import { uuidv7 } from '../../collector/detection/uuid.ts';
import { Detector } from '../../collector/engine/detector.ts';
import type { ContainerRequest } from '../../collector/event/container-table.ts';
import { DomainNames } from '../../collector/event/domain-names.ts';
import { Recorder } from '../../collector/recording/recorder.ts';
import { KernelSource } from '../../collector/sources/kernel/source.ts';
import { allOf, COLLECTED_EVENT_TYPES } from '../../collector/sources/kernel/system-calls.ts';
import { Probe } from '../../native/index.ts';
import { type CheckedRule, loadRules } from '../../rules/index.ts';

/** Rules as the agent has them. */
export function checkedRules(text: string): readonly CheckedRule[] {
  const { rules, problems } = loadRules([{ path: 'rules.yaml', text }]);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return rules.filter(({ source }) => source === 'syscall');
}

export interface RecordedRunOptions {
  readonly path: string;
  readonly rules: readonly CheckedRule[];
  readonly eventTypes?: readonly string[];
  readonly matching?: 'first' | 'all';
  readonly hasContainerEngines?: boolean;
  readonly processTableEntries?: number;
  readonly captureEnv?: readonly string[];
  readonly ringPreset?: number;
}

/** The events of this machine, from the real probe, at once evaluated as the agent does and recorded. */
export class RecordedRun {
  readonly source: KernelSource;
  readonly detections: Detection[] = [];
  /** Containers that an engine would be asked about. */
  readonly wanted: ContainerRequest[] = [];
  readonly #recorder: Recorder;
  readonly #domainNames = new DomainNames();
  readonly #detector: Detector;
  readonly #wanted: readonly string[];

  private constructor(options: RecordedRunOptions) {
    const { path, rules, matching = 'first', eventTypes = COLLECTED_EVENT_TYPES, captureEnv = [] } = options;
    const { hasContainerEngines = false, processTableEntries = 65_536, ringPreset = 5 } = options;
    this.#wanted = eventTypes;
    const facts = { captureEnv: [...captureEnv], processTableEntries, hasContainerEngines };
    this.#recorder = new Recorder({
      path,
      version: 'test',
      eventTypes: [...eventTypes],
      containerHoldMillis: 60_000,
      ...facts,
    });
    const onContainerWanted = (request: ContainerRequest) => this.wanted.push(request);
    this.source = new KernelSource({ ringPreset, cpusPerRing: 1, tap: this.#recorder, onContainerWanted, ...facts });
    const { table, clock, users, groups, containers } = this.source;
    this.#detector = new Detector({
      context: { table, clock, users, groups, hostname: hostname(), domainNames: this.#domainNames },
      containers,
      rules,
      matching,
      holdMillis: 60_000,
      now: () => this.#recorder.nowMillis,
      wakeIn: () => {},
      hasRoom: () => true,
      stamp: () => ({ uuid: uuidv7(nowNanos()), observedNs: nowNanos() }),
      onDetection: (detection) => this.detections.push(detection),
    });
  }

  static async start(options: RecordedRunOptions): Promise<RecordedRun> {
    const run = new RecordedRun(options);
    run.source.open(await Probe.load());
    run.source.want(allOf(run.#wanted));
    run.#recorder.begin(run.source);
    run.source.start(
      (event) => {
        run.#recorder.event(event);
        run.#detector.see(event);
      },
      () => {},
    );
    return run;
  }

  /** What the agent's thread does with what waits in the rings. */
  turn(): void {
    this.#recorder.turn();
    this.#detector.release();
    this.source.drain();
  }

  tick(): void {
    this.source.tick();
  }

  hear(news: ContainerNews): void {
    this.#recorder.news(news);
    this.#detector.hear(news);
  }

  /** What the names in the rules stand for, from now on. */
  tellDomainNames(addresses: Readonly<Record<string, readonly string[]>>): void {
    this.#recorder.domainNames(addresses);
    this.#domainNames.tell(addresses);
  }

  /** @returns how many events were lost */
  end(): number {
    this.source.detach();
    this.#recorder.turn();
    this.#detector.release();
    this.source.drainAll();
    this.#detector.releaseAll();
    const { losses } = this.#recorder.end(this.source.waitingBytes);
    this.source.close();
    return Object.entries(losses).reduce((sum, [reason, count]) => sum + (reason === 'read_failed' ? 0 : count), 0);
  }

  /** As if its process was killed: the file stays as it is. */
  kill(): void {
    this.source.close();
    this.#recorder.close();
  }
}

/** What live and replay must have in common: all but the names of the detection itself and when it was made. */
export function comparable({ uuid, observed_time, ...rest }: Detection): Omit<Detection, 'uuid' | 'observed_time'> {
  return rest;
}
