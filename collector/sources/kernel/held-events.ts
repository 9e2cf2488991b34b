import { EventView } from './event-view.ts';
import { HEADER } from './layout.ts';
import { Memory } from './memory.ts';
import type { ResolvedPaths } from './path-links.ts';
import type { Process } from './process.ts';

/** Some thousand events. Only what is used of it takes memory. */
const BYTES = 4 * 1024 * 1024;
/** Records begin at multiples of it. */
const ALIGNMENT = 8;

interface HeldEvent {
  readonly at: number;
  readonly bytes: number;
  readonly number: number;
  readonly process: Process;
  readonly resolved: ResolvedPaths;
  readonly sinceMillis: number;
}

/** Copies of events that wait for something, in the order of their coming. What the ring had of them is given back meanwhile. */
export class HeldEvents {
  #memory: Memory | undefined;
  #view: EventView | undefined;
  #events: HeldEvent[] = [];
  /** Where in the list the oldest stands. */
  #first = 0;
  #writeAt = 0;

  get size(): number {
    return this.#events.length - this.#first;
  }

  /** The oldest. */
  get head(): Pick<HeldEvent, 'process' | 'sinceMillis'> | undefined {
    return this.#events[this.#first];
  }

  /** @returns false if there is no room: the oldest have to go first */
  hold(event: EventView, nowMillis: number): boolean {
    const bytes = event.u16(HEADER.size);
    const at = this.#place((bytes + ALIGNMENT - 1) & -ALIGNMENT);
    if (at === undefined) return false;
    this.#memory ??= new Memory(new ArrayBuffer(BYTES));
    event.memory.bytes.copy(this.#memory.bytes, at, event.at, event.at + bytes);
    this.#writeAt = at + ((bytes + ALIGNMENT - 1) & -ALIGNMENT);
    const { number, process, resolved } = event;
    this.#events.push({ at, bytes, number, process, resolved, sinceMillis: nowMillis });
    return true;
  }

  /** Takes the oldest out. The view is good until the next call. */
  take(): EventView {
    const { at, number, process, resolved } = this.#events[this.#first]!;
    this.#first++;
    if (this.#first === this.#events.length) {
      this.#events = [];
      this.#first = 0;
    } else if (this.#first > 1024) {
      this.#events = this.#events.slice(this.#first);
      this.#first = 0;
    }
    this.#view ??= new EventView();
    this.#view.number = number - 1; // select() counts
    this.#view.select(this.#memory!, at, process, resolved);
    return this.#view;
  }

  /** The memory is a circle: from the oldest event's start to the place that is written next it is in use. */
  #place(bytes: number): number | undefined {
    const oldest = this.#events[this.#first]?.at;
    if (oldest === undefined) return 0;
    if (this.#writeAt > oldest) {
      if (this.#writeAt + bytes <= BYTES) return this.#writeAt;
      return bytes < oldest ? 0 : undefined;
    }
    return this.#writeAt + bytes < oldest ? this.#writeAt : undefined;
  }
}
