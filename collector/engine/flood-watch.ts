import type { Detection, FieldValue } from '../detection/detection.ts';
import { INTERNAL_RULES, internalDetection } from '../detection/internal.ts';
import type { Container } from '../event/container-table.ts';
import { EVENT_CLASSES, type EventClass, type Refusals } from '../telemetry/collector-stats.ts';

/** A flood is over when nothing of its cgroup was refused for so long. */
const QUIET_MILLIS = 5000;
/** Of one that goes on it is told again after so long. */
const REPEAT_MILLIS = 10_000;
/** Whoever may make cgroups could make a flood of these detections out of them: so many are told at a look, the others at the next ones. */
const MOST_AT_A_LOOK = 10;
/** As many as the kernel tells of. What is refused of further ones is in the metrics alone. */
const MOST_FLOODS = 1024;
const MOST_REMEMBERED = 4096;

/** Who floods. */
export interface Flooder {
  /** Undefined: it is gone, and nothing is known of it but its number. */
  readonly cgroupPath: string | undefined;
  readonly container: Container | undefined;
}

interface Flood {
  readonly cgroupId: number;
  readonly startedMillis: number;
  /** When something was refused last. */
  lastMillis: number;
  readonly refused: Record<EventClass, number>;
  who: Flooder | undefined;
  toldMillis: number | undefined;
  toldTotal: number;
}

type State = 'begun' | 'goes_on' | 'over';

/** Makes detections of what the kernel refuses: when a flood begins, every ten seconds as long as it goes on, and when it is over. */
export class FloodWatch {
  readonly #describe: (cgroupId: number) => Flooder;
  readonly #floods = new Map<number, Flood>();
  readonly #before = new Map<number, Refusals['counts']>();

  constructor(describe: (cgroupId: number) => Flooder) {
    this.#describe = describe;
  }

  /**
   * @param refusals as the kernel counts them now
   * @param nowMillis of any clock that only goes forward
   * @param isLast the agent ends: whatever was not told yet is told now
   */
  look(refusals: readonly Refusals[], nowMillis: number, isLast = false): Detection[] {
    for (const each of refusals) this.#note(each, nowMillis);
    return [...this.#floods.values()]
      .flatMap((flood) => {
        const state = stateOf(flood, nowMillis, isLast);
        return state === undefined ? [] : [{ flood, state }];
      })
      .sort((a, b) => totalOf(b.flood) - totalOf(a.flood))
      .slice(0, MOST_AT_A_LOOK)
      .map(({ flood, state }) => this.#tell(flood, state, nowMillis));
  }

  #note({ cgroupId, counts }: Refusals, nowMillis: number): void {
    const before = this.#before.get(cgroupId);
    const isAnew = before === undefined || EVENT_CLASSES.some((each) => counts[each] < before[each]);
    this.#remember(cgroupId, counts);
    const grown = EVENT_CLASSES.map((each) => (isAnew ? counts[each] : counts[each] - before[each]));
    if (grown.every((count) => count === 0)) return;
    const flood = this.#floods.get(cgroupId) ?? this.#begin(cgroupId, nowMillis);
    if (flood === undefined) return;
    flood.lastMillis = nowMillis;
    EVENT_CLASSES.forEach((each, index) => {
      flood.refused[each] += grown[index]!;
    });
  }

  /** Also of those that the kernel did not tell of this time: its list may miss one that is there while it changes. */
  #remember(cgroupId: number, counts: Refusals['counts']): void {
    this.#before.delete(cgroupId);
    if (this.#before.size >= MOST_REMEMBERED) this.#before.delete(this.#before.keys().next().value!);
    this.#before.set(cgroupId, counts);
  }

  #begin(cgroupId: number, nowMillis: number): Flood | undefined {
    if (this.#floods.size >= MOST_FLOODS) return undefined;
    const flood: Flood = {
      cgroupId,
      startedMillis: nowMillis,
      lastMillis: nowMillis,
      refused: Object.fromEntries(EVENT_CLASSES.map((each) => [each, 0])) as Record<EventClass, number>,
      who: undefined,
      toldMillis: undefined,
      toldTotal: 0,
    };
    this.#floods.set(cgroupId, flood);
    return flood;
  }

  #tell(flood: Flood, state: State, nowMillis: number): Detection {
    // asked while it lasts: afterwards the cgroup may be gone; asked again, as an engine may have told of the container meanwhile
    if (state !== 'over' || flood.who === undefined) flood.who = this.#describe(flood.cgroupId);
    if (state === 'over') this.#floods.delete(flood.cgroupId);
    flood.toldMillis = nowMillis;
    flood.toldTotal = totalOf(flood);
    return detectionOf(flood, flood.who, state);
  }
}

/** What is to be told of a flood now; undefined: nothing. */
function stateOf(flood: Flood, nowMillis: number, isLast: boolean): State | undefined {
  if (nowMillis - flood.lastMillis >= QUIET_MILLIS) return 'over';
  if (flood.toldMillis === undefined) return 'begun';
  const isDue = isLast || nowMillis - flood.toldMillis >= REPEAT_MILLIS;
  return isDue && totalOf(flood) > flood.toldTotal ? 'goes_on' : undefined;
}

function totalOf({ refused }: Flood): number {
  return EVENT_CLASSES.reduce((sum, each) => sum + refused[each], 0);
}

function detectionOf(flood: Flood, who: Flooder, state: State): Detection {
  const seconds = Math.round((flood.lastMillis - flood.startedMillis) / 1000);
  const refused = totalOf(flood);
  const classes = EVENT_CLASSES.filter((each) => flood.refused[each] > 0).map(
    (each) => `${each} ${flood.refused[each]}`,
  );
  const what = `events of it that were refused: ${refused} (${classes.join(', ')})`;
  const name = nameOf(who, flood.cgroupId);
  const outputs: Record<State, string> = {
    begun: `${name} floods: it has filled its share of a ring that is nearly full; ${what}`,
    goes_on: `${name} still floods, after ${seconds} s; ${what}`,
    over: `${name} floods no more, after ${seconds} s; ${what}; detections of it may be missing`,
  };
  return internalDetection(INTERNAL_RULES.flood, state === 'over' ? 'Notice' : 'Warning', outputs[state], {
    'shikra.flood.state': state,
    'shikra.flood.refused': refused,
    'shikra.flood.seconds': seconds,
    'thread.cgroups': who.cgroupPath ?? null,
    ...containerFields(who.container),
  });
}

function nameOf({ cgroupPath, container }: Flooder, cgroupId: number): string {
  if (container !== undefined && !container.isHost) {
    const { metadata, shortId } = container;
    const more = [metadata?.name, metadata?.image].filter((each) => each !== undefined);
    return `Container ${shortId}${more.length === 0 ? '' : ` (${more.join(', ')})`}`;
  }
  return cgroupPath === undefined ? `A cgroup that is gone (number ${cgroupId})` : `The cgroup ${cgroupPath}`;
}

function containerFields(container: Container | undefined): Record<string, FieldValue | null> {
  if (container === undefined) return {};
  const { id, metadata } = container;
  return {
    'container.id': container.shortId,
    'container.full_id': id,
    'container.name': metadata?.name ?? null,
    'container.image.repository': metadata?.imageRepository ?? null,
    'container.image.tag': metadata?.imageTag ?? null,
    'k8s.pod.name': metadata?.pod?.name ?? null,
    'k8s.ns.name': metadata?.pod?.namespace ?? null,
  };
}
