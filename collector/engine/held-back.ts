import type { Container, ContainerTable } from '../event/container-table.ts';
import type { EventView } from '../sources/kernel/event-view.ts';
import { HeldEvents } from '../sources/kernel/held-events.ts';
import { HELD_OUTCOMES, type HeldOutcome } from '../telemetry/collector-stats.ts';
import type { Engine } from './engine.ts';

export interface HeldBackOptions {
  readonly containers: ContainerTable;
  readonly holdMillis: number;
  /** The rules in force. */
  readonly engine: () => Engine<EventView>;
  readonly evaluate: (event: EventView) => void;
  /** False while no detection can be taken: then nothing is let go. */
  readonly hasRoom: () => boolean;
  /** The clock of waiting, in milliseconds. */
  readonly now: () => number;
  /** {@link HeldBack.release} is to be called in so many milliseconds at the latest. Undefined: no more because of the time. */
  readonly wakeIn: (millis: number | undefined) => void;
}

/**
 * Events that wait for the metadata of their container. Only those wait that it matters for: a rule asked for the metadata on the way to its verdict, or a
 * rule fires, whose detection shall tell of the container. What was decided without it is decided.
 *
 * They go on in their order, each after its time at the latest. Rules over several events depend on the order of all events, so as long as something waits,
 * whatever concerns such a rule queues up behind it.
 */
export class HeldBack {
  /** True if events wait: then {@link see} has to know of every event, not only of those in containers that are pending. */
  isWaiting = false;
  readonly #options: HeldBackOptions;
  readonly #held = new HeldEvents();
  readonly #outcomes = Object.fromEntries(HELD_OUTCOMES.map((outcome) => [outcome, 0])) as Record<HeldOutcome, number>;

  constructor(options: HeldBackOptions) {
    this.#options = options;
  }

  /** Events that waited, by how that ended. */
  get outcomes(): Readonly<Record<HeldOutcome, number>> {
    return { ...this.#outcomes };
  }

  /** Evaluates an event now, or later. For events of a container that is pending; for all while something waits. */
  see(event: EventView): void {
    const { container } = event.process.image;
    const engine = this.#options.engine();
    const { pending } = container;
    if (!pending && !engine.hasMemory) {
      this.#options.evaluate(event);
      return;
    }
    container.asked = false;
    const foresight = engine.foresee(event);
    const waits = pending && this.#options.holdMillis > 0 && (container.asked || foresight !== 'nothing');
    const queues = this.#held.size > 0 && foresight === 'remember';
    if (waits || queues) this.#hold(event);
    else if (foresight !== 'nothing') this.#options.evaluate(event);
  }

  /** Lets go what waits no longer. Call it when containers have become known. */
  release(): void {
    const now = this.#options.now();
    this.#options.wakeIn(undefined);
    while (this.#held.size > 0) {
      const { process, sinceMillis } = this.#held.head!;
      const { container } = process.image;
      const dueMillis = sinceMillis + this.#options.holdMillis;
      if (container.pending && dueMillis > now) {
        this.#options.wakeIn(dueMillis - now);
        return;
      }
      if (!this.#options.hasRoom()) return;
      this.#letGo(container, outcomeOf(container));
    }
  }

  /** At the end: nothing is waited for any more. */
  releaseAll(): void {
    while (this.#held.size > 0) this.#letGoFirst('timeout');
    this.#options.wakeIn(undefined);
  }

  #hold(event: EventView): void {
    const isFirst = this.#held.size === 0;
    while (!this.#held.hold(event, this.#options.now())) this.#letGoFirst('no_room');
    this.isWaiting = true;
    if (isFirst) this.#options.wakeIn(this.#options.holdMillis);
  }

  #letGoFirst(outcome: HeldOutcome): void {
    const { container } = this.#held.head!.process.image;
    this.#letGo(container, container.pending ? outcome : outcomeOf(container));
  }

  #letGo(container: Container, outcome: HeldOutcome): void {
    this.#outcomes[outcome]++;
    if (container.pending) this.#options.containers.settle(container, 'late');
    const event = this.#held.take();
    this.isWaiting = this.#held.size > 0;
    this.#options.evaluate(event);
  }
}

function outcomeOf({ state, isHost }: Container): HeldOutcome {
  if (isHost || state === 'known') return 'known';
  return state === 'pending' || state === 'late' ? 'timeout' : 'unknown';
}
