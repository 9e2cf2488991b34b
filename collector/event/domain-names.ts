import { lookup } from 'node:dns/promises';

export interface DomainNamesOptions {
  /** @returns addresses as text. Default: what programs of this machine are told, /etc/hosts included. */
  readonly lookup?: (name: string) => Promise<readonly string[]>;
  /** Milliseconds. */
  readonly now?: () => number;
  /** Names that cannot be resolved, each told once until it can; and such that can be now. */
  readonly onTold?: (told: ToldName) => void;
}

export interface ToldName {
  readonly name: string;
  /** Undefined: it has addresses again. */
  readonly failure: string | undefined;
}

/** Counts of lookups are cumulative. */
export interface DomainNamesStats {
  readonly resolved: number;
  readonly unresolved: number;
  readonly lookups: { readonly resolved: number; readonly failed: number };
}

interface Asked {
  readonly name: string;
  /** When each was last in an answer. */
  readonly addresses: Map<string, number>;
  dueMillis: number;
  intervalMillis: number;
  isFailing: boolean;
}

/** As Falco has it: a name is asked for again after ten seconds, and after twice as long each time that nothing has changed. */
const FIRST_INTERVAL_MILLIS = 10_000;
const LONGEST_INTERVAL_MILLIS = 320_000;
/** Names of many machines tell a few of them at a time: an address that was in an answer counts for so long after the last. */
const KEPT_MILLIS = 3_600_000;
/** Lookups wait in threads that files are read and written in, too; half of the four may. */
const LOOKUPS_AT_ONCE = 2;
export const MOST_NAMES = 10_000;
const MOST_ADDRESSES_OF_A_NAME = 1000;

/** Of an address that no name has. Not empty: that such a one has another name is true. */
const NO_NAMES: readonly string[] = [''];

/**
 * The addresses of the domain names that rules name. They are resolved beside the events, again and again; what an event asks is answered at once, by what is known
 * by then.
 */
export class DomainNames {
  readonly #options: Required<DomainNamesOptions>;
  readonly #asked = new Map<string, Asked>();
  /** Names as rules write them, by address. */
  readonly #byAddress = new Map<string, readonly string[]>();
  readonly #lookups = { resolved: 0, failed: 0 };
  /** Names that were never answered for, or given up. */
  readonly #first = new Set<string>();
  #settled: (() => void)[] = [];
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: DomainNamesOptions = {}) {
    this.#options = { lookup: systemLookup, now: () => performance.now(), onTold: () => {}, ...options };
  }

  /** From now on these are resolved, and no others. What is known of those that were asked for before stays. */
  ask(names: Iterable<string>): void {
    const wanted = new Set(names);
    for (const [name, { addresses }] of this.#asked) {
      if (wanted.has(name)) continue;
      for (const address of addresses.keys()) this.#forget(address, name);
      this.#asked.delete(name);
      this.#first.delete(name);
    }
    for (const name of wanted) {
      if (this.#asked.has(name)) continue;
      const entry = { dueMillis: this.#options.now(), intervalMillis: FIRST_INTERVAL_MILLIS, isFailing: false };
      this.#asked.set(name, { name, addresses: new Map(), ...entry });
      this.#first.add(name);
    }
    this.#goOn();
  }

  /** When each name was looked up once, or the time is over. */
  async settled(limitMillis: number): Promise<void> {
    if (this.#first.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#settled.push(resolve);
    const timer = setTimeout(resolve, limitMillis);
    await promise;
    clearTimeout(timer);
  }

  /** The asked names that an address has; one empty text if it has none. Allocates nothing. */
  of(address: string): readonly string[] {
    return this.#byAddress.get(address) ?? NO_NAMES;
  }

  /** Every name that is asked for, with its addresses. */
  all(): Readonly<Record<string, readonly string[]>> {
    return Object.fromEntries([...this.#asked].map(([name, { addresses }]) => [name, [...addresses.keys()]]));
  }

  /** Takes what was found out elsewhere, for all names, instead of asking. */
  tell(addresses: Readonly<Record<string, readonly string[]>>): void {
    this.#byAddress.clear();
    for (const [name, all] of Object.entries(addresses)) for (const address of all) this.#know(address, name);
  }

  stats(): DomainNamesStats {
    let resolved = 0;
    for (const { addresses } of this.#asked.values()) if (addresses.size > 0) resolved++;
    return { resolved, unresolved: this.#asked.size - resolved, lookups: { ...this.#lookups } };
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#settle();
  }

  #goOn(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    const now = this.#options.now();
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#asked.values()) {
      if (entry.dueMillis <= now) {
        if (this.#underWay >= LOOKUPS_AT_ONCE) return; // the end of one goes on
        void this.#look(entry);
      }
      next = Math.min(next, entry.dueMillis);
    }
    if (next === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#goOn(), Math.max(0, next - now));
    this.#timer.unref();
  }

  async #look(entry: Asked): Promise<void> {
    this.#underWay++;
    entry.dueMillis = Number.POSITIVE_INFINITY;
    let failure: string | undefined;
    let found: readonly string[] = [];
    try {
      found = await this.#options.lookup(entry.name);
    } catch (error) {
      failure = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    }
    this.#underWay--;
    if (this.#isClosed) return;
    this.#lookups[failure === undefined ? 'resolved' : 'failed']++;
    if (this.#asked.get(entry.name) === entry) this.#take(entry, found, failure);
    if (this.#first.delete(entry.name) && this.#first.size === 0) this.#settle();
    this.#goOn();
  }

  #take(entry: Asked, found: readonly string[], failure: string | undefined): void {
    const now = this.#options.now();
    const hasChanged = failure === undefined && this.#update(entry, found, now);
    entry.intervalMillis = hasChanged
      ? FIRST_INTERVAL_MILLIS
      : Math.min(2 * entry.intervalMillis, LONGEST_INTERVAL_MILLIS);
    entry.dueMillis = now + entry.intervalMillis;
    const isFailing = failure !== undefined;
    if (isFailing !== entry.isFailing) this.#options.onTold({ name: entry.name, failure });
    entry.isFailing = isFailing;
  }

  /** An answer that does not come takes no address away. @returns whether an address is new, or gone */
  #update({ name, addresses }: Asked, found: readonly string[], now: number): boolean {
    let hasChanged = false;
    for (const text of found) {
      const address = plainAddress(text);
      if (addresses.has(address)) {
        addresses.delete(address); // those seen last stand last
      } else {
        this.#know(address, name);
        hasChanged = true;
      }
      addresses.set(address, now);
    }
    for (const [address, seenMillis] of addresses) {
      if (addresses.size <= MOST_ADDRESSES_OF_A_NAME && now - seenMillis < KEPT_MILLIS) break;
      addresses.delete(address);
      this.#forget(address, name);
      hasChanged = true;
    }
    return hasChanged;
  }

  #know(address: string, name: string): void {
    const names = this.#byAddress.get(address) ?? [];
    if (!names.includes(name)) this.#byAddress.set(address, [...names, name]);
  }

  #forget(address: string, name: string): void {
    const names = (this.#byAddress.get(address) ?? []).filter((one) => one !== name);
    if (names.length === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, names);
  }

  #settle(): void {
    for (const resolve of this.#settled.splice(0)) resolve();
  }
}

async function systemLookup(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => address);
}

/** As events have it: without the zone of a link-local address, an IPv4 address as one. */
function plainAddress(text: string): string {
  return text.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
}
