import { hostname } from 'node:os';
import type { FieldValue } from '../../collector/detection/detection.ts';
import { DomainNames } from '../../collector/event/domain-names.ts';
import type { EventView } from '../../collector/sources/kernel/event-view.ts';
import { truncatedFields, uncertainFields } from '../../collector/sources/kernel/fields/gaps.ts';
import { KernelFields } from '../../collector/sources/kernel/fields/index.ts';
import { HEADER } from '../../collector/sources/kernel/layout.ts';
import type { ResolvedPaths } from '../../collector/sources/kernel/path-links.ts';
import { KernelSource, type KernelSourceOptions } from '../../collector/sources/kernel/source.ts';
import { allOf, COLLECTED_EVENT_TYPES } from '../../collector/sources/kernel/system-calls.ts';
import { Probe } from '../../native/index.ts';
import { findField } from '../../rules/index.ts';

export type Fields = Readonly<Record<string, FieldValue | undefined>>;

export interface CapturedEvent {
  readonly type: string;
  readonly pid: number;
  /** How many had been delivered with this one. */
  readonly count: number;
  /** Where links in its paths led. */
  readonly resolved: ResolvedPaths;
  readonly spellings: readonly string[];
  readonly unreadable: number;
  readonly truncated: number;
  readonly truncatedFields: readonly string[] | undefined;
  readonly uncertainFields: readonly string[] | undefined;
  readonly abi: number;
  /** Values of the fields that the capture was asked for. */
  readonly fields: Fields;
}

type CaptureOptions = Partial<KernelSourceOptions> & { readonly eventTypes?: readonly string[] };

/** The kernel source of the agent, on the real kernel, in this process: what a trigger caused is looked at when the trigger has ended. */
export class Capture {
  readonly source: KernelSource;
  readonly domainNames = new DomainNames();
  readonly #resolver: KernelFields;
  #visit: (event: EventView) => void = () => {};
  #watch: ((event: EventView) => void) | undefined;
  #count = 0;

  private constructor(options: CaptureOptions) {
    this.source = new KernelSource({
      ringPreset: 4,
      cpusPerRing: 1,
      processTableEntries: 65_536,
      captureEnv: [],
      ...options,
    });
    const { table, clock, users, groups } = this.source;
    this.#resolver = new KernelFields({
      table,
      clock,
      users,
      groups,
      hostname: hostname(),
      domainNames: this.domainNames,
    });
  }

  static async start(options: CaptureOptions = {}): Promise<Capture> {
    const capture = new Capture(options);
    capture.source.open(await Probe.load());
    capture.source.want(allOf(options.eventTypes ?? COLLECTED_EVENT_TYPES));
    capture.source.start(
      (event) => {
        capture.#count++;
        capture.#visit(event);
        capture.#watch?.(event);
      },
      () => {},
    );
    return capture;
  }

  /** Runs `act`, then returns the events that were caused by the process whose pid it returns. */
  of<Result extends { pid: number }>(
    act: () => Result,
    names: readonly string[] = [],
  ): { result: Result; events: CapturedEvent[] } {
    this.drain();
    const result = act();
    return { result, events: this.waiting(result.pid, names) };
  }

  /** Runs `act`, then returns the events of all processes since. */
  all(act: () => unknown, names: readonly string[] = []): CapturedEvent[] {
    this.drain();
    act();
    return this.#rest(names);
  }

  /** The same of something that takes its time. */
  async during(act: () => Promise<unknown>, names: readonly string[] = []): Promise<CapturedEvent[]> {
    this.drain();
    await act();
    return this.#rest(names);
  }

  #rest(names: readonly string[]): CapturedEvent[] {
    const events: CapturedEvent[] = [];
    this.#visit = (event) => events.push(this.#copy(event, names));
    this.drain();
    this.#visit = () => {};
    return events;
  }

  /** Shows every event besides, as the agent sees it. */
  watch(look: ((event: EventView) => void) | undefined): void {
    this.#watch = look;
  }

  /** The events of a process that wait in the rings. */
  waiting(pid: number, names: readonly string[] = []): CapturedEvent[] {
    const events: CapturedEvent[] = [];
    this.#visit = (event) => {
      if (event.u32(HEADER.pid) === pid) events.push(this.#copy(event, names));
    };
    this.drain();
    this.#visit = () => {};
    return events;
  }

  drain(): void {
    this.source.drainAll();
  }

  close(): void {
    this.source.close();
    this.domainNames.close();
  }

  #copy(event: EventView, names: readonly string[]): CapturedEvent {
    return {
      type: event.typeName,
      pid: event.u32(HEADER.pid),
      count: this.#count,
      resolved: event.resolved, // one of the spellings once it is asked for
      spellings: event.paths.slice(0, event.spellings).map(({ text }) => text),
      unreadable: event.memory.bytes[event.at + HEADER.unreadable]!,
      truncated: event.memory.bytes[event.at + HEADER.truncated]!,
      truncatedFields: truncatedFields(event),
      uncertainFields: uncertainFields(event),
      abi: event.memory.bytes[event.at + HEADER.abi]!,
      fields: Object.fromEntries(names.map((name) => [name, this.#value(event, name)])),
    };
  }

  #value(event: EventView, text: string): FieldValue | undefined {
    const [, name, argument] = /^([^[]+)(?:\[(.*)\])?$/.exec(text)!;
    const found = findField(name!, argument);
    if (found === undefined) throw new Error(`no field ${text}`);
    return this.#resolver.getter(found.reference, event.typeName)?.(event);
  }
}
