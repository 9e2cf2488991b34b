import { candidateOf, containerOf } from './container.ts';
import type { ContainerMetadata } from './container-metadata.ts';

/** Falco's name for what is in no container. */
const HOST = 'host';
/** Digits of a container id that people read. */
const SHORT_ID = 12;
const LONG_ID = /^[0-9a-f]{64}$/;
/** Layouts of runtimes that cannot be asked. */
const MUTE = new Set(['lxc', 'libvirt-lxc', 'bpm']);
/** Containers that are gone stay known: the last events of one come after its end, and one may be started again. */
const MOST_GONE = 256;
const MOST_ENTRIES = 16_384;
/** Cgroups whose container is found without reading the path. */
const MOST_PATHS = 1024;
const FIRST_RETRY_MILLIS = 1000;
const LONGEST_RETRY_MILLIS = 60_000;
/** What no process was in, twice in a row, is forgotten. */
const SWEEP_MILLIS = 5000;

/**
 * Where the metadata of a container is. `pending`: on its way; `known`; `late`: it did not come in time; `unknown`: no engine has the container;
 * `unreachable`: there is no engine to ask.
 */
export type MetadataState = 'pending' | 'known' | 'late' | 'unknown' | 'unreachable';

/** What is asked about a container, and what it is known by. */
export interface ContainerRequest {
  readonly id: string;
  /** Of containerd; without one, any. */
  readonly namespace?: string;
  /**
   * The user in whose slice it is: whoever may make cgroups there may give them any name. So only this user's own engines are asked, and are asked about nothing
   * else. Absent for what is root's.
   */
  readonly owner?: number | undefined;
}

/** A container as processes refer to it: one object from the first process on, filled in when an engine has told about it. */
export class Container {
  /** All of it; `host` outside containers. */
  id: string;
  shortId: string;
  /** By the cgroup's layout. */
  readonly runtime: string | undefined;
  metadata: ContainerMetadata | undefined;
  /** True while metadata is on its way. */
  pending = false;
  state: MetadataState;
  /** Set by every look at metadata that is on its way: what was decided by it may be decided otherwise later. */
  asked = false;
  /** Looks at metadata that was not there for good. */
  missed = 0;
  /** Without a process when it was last looked. */
  isEmpty = false;
  /** For {@link ContainerTable}. */
  readonly request: ContainerRequest;
  forgotten = false;
  gone = false;
  retryAt = Number.POSITIVE_INFINITY;
  retryMillis = FIRST_RETRY_MILLIS;

  /** @param isContainer false for one that only an engine can tell from the host */
  constructor(request: ContainerRequest, runtime: string | undefined, isContainer: boolean, state: MetadataState) {
    this.request = request;
    this.id = HOST;
    this.shortId = HOST;
    this.runtime = runtime;
    this.state = state;
    this.pending = state === 'pending';
    if (isContainer) this.confirm();
  }

  get isHost(): boolean {
    return this.id === HOST;
  }

  /** False while it may still turn out to be a container. */
  get isDecided(): boolean {
    return !this.isHost || !this.pending;
  }

  confirm(): void {
    const { id } = this.request;
    this.id = id;
    this.shortId = LONG_ID.test(id) ? id.slice(0, SHORT_ID) : id;
  }

  /** The metadata; notes the look if there is none. */
  look(): ContainerMetadata | undefined {
    if (this.metadata === undefined) {
      if (this.pending) this.asked = true;
      else this.missed++;
    }
    return this.metadata;
  }
}

/** What is in no container. */
export const HOST_CONTAINER = new Container({ id: HOST }, undefined, true, 'known');

export interface ContainerTableOptions {
  /** Whether there is an engine to ask. */
  readonly hasEngines: boolean;
  /** The engines are to be asked. */
  readonly onWanted: (request: ContainerRequest) => void;
  /** Something that was the host turned out to be a container, or will not any more. */
  readonly onDecided: (container: Container) => void;
}

/** The containers of this machine, by id: those that processes are in, and those that engines told about. Of bounded size. */
export class ContainerTable {
  readonly #entries = new Map<string, Container>();
  /** The longest gone first. */
  readonly #gone = new Set<Container>();
  readonly #byPath = new Map<string, Container>();
  readonly #options: ContainerTableOptions;
  #hasEngines: boolean;
  #missedBefore = 0;
  #sweepAt = 0;

  constructor(options: ContainerTableOptions) {
    this.#options = options;
    this.#hasEngines = options.hasEngines;
  }

  /** Looks of rules at metadata that was missing for good. */
  get missed(): number {
    let missed = this.#missedBefore;
    for (const container of this.#entries.values()) missed += container.missed;
    return missed;
  }

  /** Containers that run, by whether their metadata is known. */
  count(): { known: number; missing: number } {
    const counts = { known: 0, missing: 0 };
    for (const { isHost, gone, metadata } of this.#entries.values())
      if (!isHost && !gone) counts[metadata === undefined ? 'missing' : 'known']++;
    return counts;
  }

  /** The container of a cgroup. */
  of(cgroupPath: string): Container {
    const known = this.#byPath.get(cgroupPath);
    if (known !== undefined && !known.forgotten) return known;
    const container = this.#ofPath(cgroupPath);
    if (this.#byPath.size >= MOST_PATHS) this.#byPath.clear();
    this.#byPath.set(cgroupPath, container);
    return container;
  }

  #ofPath(cgroupPath: string): Container {
    const owner = ownerOf(cgroupPath);
    const name = containerOf(cgroupPath);
    if (name !== undefined) return this.#find({ id: name.id, ...owner }, name.runtime, true);
    const candidate = candidateOf(cgroupPath);
    return candidate === undefined ? HOST_CONTAINER : this.#find({ ...candidate, ...owner }, undefined, false);
  }

  /** There is an engine now, or there is none any more. */
  engines(present: boolean): void {
    this.#hasEngines = present;
    if (present) return;
    for (const container of this.#entries.values()) if (container.pending) this.settle(container, 'unreachable');
  }

  /** What an engine told, of a container that may have no process yet; a user's engine only of those that were found in the user's slice. */
  apply(metadata: ContainerMetadata, owner?: number): void {
    const { id, namespace } = metadata;
    const request = { id, ...(namespace !== undefined && { namespace }), ...(owner !== undefined && { owner }) };
    const container = this.#known(request) ?? (owner === undefined ? this.#create(request) : undefined);
    if (container === undefined) return;
    container.metadata = metadata;
    container.gone = false;
    this.#gone.delete(container);
    container.retryAt = Number.POSITIVE_INFINITY;
    const wasHost = container.isHost;
    if (wasHost) container.confirm();
    container.state = 'known';
    container.pending = false;
    if (wasHost) this.#options.onDecided(container);
  }

  /** No engine has it. */
  unknown(request: ContainerRequest): void {
    const container = this.#known(request);
    if (container?.pending) this.settle(container, 'unknown');
  }

  /** It has been removed. What is known of it stays for its last events. */
  remove(request: ContainerRequest): void {
    const container = this.#known(request);
    if (container === undefined || container.gone) return;
    container.gone = true;
    this.#gone.add(container);
    if (this.#gone.size > MOST_GONE) this.#forgetFirst(this.#gone);
  }

  /** Its metadata is waited for no longer. */
  settle(container: Container, state: Exclude<MetadataState, 'pending' | 'known'>): void {
    const isDecided = container.isDecided;
    container.pending = false;
    container.state = state;
    container.retryAt = 0;
    if (!isDecided) this.#options.onDecided(container);
  }

  /**
   * Asks again about those without metadata that still have processes, ever more seldom.
   * @param nowMillis of performance.now()
   * @param alive the containers of processes; called only if something is due
   */
  retry(nowMillis: number, alive: () => ReadonlySet<Container>): void {
    if (!this.#hasEngines) return;
    const due = [...this.#entries.values()].filter((each) => this.#isDue(each, nowMillis));
    if (due.length === 0) return;
    const living = alive();
    for (const container of due) {
      container.retryAt = nowMillis + container.retryMillis;
      container.retryMillis = Math.min(2 * container.retryMillis, LONGEST_RETRY_MILLIS);
      if (living.has(container)) this.#options.onWanted(container.request);
    }
  }

  /**
   * Forgets what no process is in any more and no engine told about: nobody will say that it has been removed.
   * @param nowMillis of performance.now()
   * @param alive the containers of processes; called every few seconds
   * @returns true if there were some
   */
  sweep(nowMillis: number, alive: () => ReadonlySet<Container>): boolean {
    if (nowMillis < this.#sweepAt) return false;
    this.#sweepAt = nowMillis + SWEEP_MILLIS;
    const living = alive();
    const before = this.#entries.size;
    for (const container of this.#entries.values()) {
      const wasEmpty = container.isEmpty;
      container.isEmpty = !living.has(container) && container.metadata === undefined && !container.pending;
      if (wasEmpty && container.isEmpty) this.#forget(container);
    }
    if (this.#entries.size === before) return false;
    for (const [path, { forgotten }] of this.#byPath) if (forgotten) this.#byPath.delete(path);
    return true;
  }

  /** What is decided to be the host's is not asked about again: an engine tells by itself of a container that it makes. */
  #isDue({ isHost, isDecided, metadata, retryAt, runtime }: Container, nowMillis: number): boolean {
    const isOpen = metadata === undefined && !(isHost && isDecided);
    return isOpen && retryAt <= nowMillis && !MUTE.has(runtime ?? '');
  }

  #find(request: ContainerRequest, runtime: string | undefined, isContainer: boolean): Container {
    const known = this.#known(request);
    if (known !== undefined) return known;
    const isMute = runtime !== undefined && MUTE.has(runtime);
    const state = isMute ? 'unknown' : this.#hasEngines ? 'pending' : 'unreachable';
    const container = new Container(request, runtime, isContainer, state);
    this.#add(container);
    container.retryAt = performance.now() + FIRST_RETRY_MILLIS;
    if (state === 'pending') this.#options.onWanted(request);
    return container;
  }

  #create(request: ContainerRequest): Container {
    const container = new Container(request, undefined, true, 'known');
    this.#add(container);
    return container;
  }

  #add(container: Container): void {
    if (this.#entries.size >= MOST_ENTRIES) this.#forgetFirst(this.#entries.values());
    this.#entries.set(keyOf(container.request), container);
  }

  #known(request: ContainerRequest): Container | undefined {
    return this.#entries.get(keyOf(request));
  }

  #forgetFirst(containers: Iterable<Container>): void {
    for (const container of containers) {
      this.#forget(container);
      return;
    }
  }

  #forget(container: Container): void {
    this.#missedBefore += container.missed;
    container.forgotten = true;
    this.#entries.delete(keyOf(container.request));
    this.#gone.delete(container);
  }
}

/** An id of 64 digits is one container's, whatever its namespace. */
function keyOf({ id, namespace, owner }: ContainerRequest): string {
  const key = namespace === undefined || LONG_ID.test(id) ? id : `${namespace}/${id}`;
  return owner === undefined ? key : `${owner}:${key}`;
}

/** systemd puts all that a user runs below the user's slice, and rootless engines put their containers there. */
const USER_SLICE = /(?:^|\/)user-(\d+)\.slice(?:\/|$)/;

function ownerOf(cgroupPath: string): Pick<ContainerRequest, 'owner'> {
  const uid = Number(USER_SLICE.exec(cgroupPath)?.[1] ?? 0);
  return uid === 0 ? {} : { owner: uid };
}
