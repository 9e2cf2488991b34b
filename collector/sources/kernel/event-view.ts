import { DESCRIPTOR, EVENT_TYPE_NAMES, EVENT_TYPES, HEADER, OPEN, PATH, SOCKET } from './layout.ts';
import { Memory } from './memory.ts';
import type { PathResolver, ResolvedPaths } from './path-links.ts';
import { PathJoiner, tidyPath, withoutOwnRoot } from './paths.ts';
import { type Process, unknownProcess } from './process.ts';
import { CachedString, NO_STRING, StringCache } from './string-cache.ts';
import { familyOf } from './system-calls.ts';

const NO_MEMORY = new Memory(new ArrayBuffer(64));
const NO_PROCESS = unknownProcess(0, 0, 0);

const NOTHING_RESOLVED: ResolvedPaths = { path: undefined, path2: undefined };

/** Which part of the record's fixed layout holds what, by event type number: so that a look needs no branch on names. */
type Shape = 'open' | 'path' | 'descriptor' | 'socket' | 'scalar' | 'process';
const SHAPES: readonly Shape[] = EVENT_TYPE_NAMES.map((name) => familyOf(name) ?? 'process');

/**
 * The event that rules look at: one object, moved from record to record. It reads the ring in place, and makes strings only when a
 * field is asked for. Nothing of it may be kept past the event.
 */
export class EventView {
  memory: Memory = NO_MEMORY;
  /** Offset of the record. */
  at = 0;
  process: Process = NO_PROCESS;
  type = 0;
  shape: Shape = 'process';
  /** Number of the event since start, from 1. */
  number = 0;
  /** Distinct spellings of the event's (first) path; the one in force is `paths[spelling]`. */
  readonly paths: [CachedString, CachedString, CachedString, CachedString, CachedString] = [
    NO_STRING,
    NO_STRING,
    NO_STRING,
    NO_STRING,
    NO_STRING,
  ];
  spelling = 0;
  /** The path as the caller wrote it, with what is known of it. */
  written: CachedString = NO_STRING;
  readonly #strings = new StringCache();
  readonly #joiner = new PathJoiner();
  readonly #resolver: PathResolver | undefined;
  #spellings = 0;
  #written2: CachedString = NO_STRING;
  #path2: CachedString = NO_STRING;
  /** Undefined until it is asked for. */
  #resolved: ResolvedPaths | undefined = NOTHING_RESOLVED;
  /** The spelling that is where links lead; -1: there is none. */
  #resolvedSpelling = -1;
  /** Whether somebody has looked at a path of this event: where links lead matters only then. */
  #isAsked = false;

  /** @param resolver finds out where links lead; without one they are told as they were written, or as {@link select} is told */
  constructor(resolver?: PathResolver) {
    this.#resolver = resolver;
  }

  /** Moves to a record. The caller says whose it is, and where its paths lead if that was found out before. */
  select(memory: Memory, at: number, process: Process, resolved?: ResolvedPaths): void {
    const type = memory.u16[(at + HEADER.type) >>> 1]!;
    const shape = SHAPES[type]!;
    this.at = at;
    this.type = type;
    this.number++;
    this.spelling = 0;
    this.#spellings = 0;
    this.#isAsked = false;
    this.#resolvedSpelling = -1;
    // What a field that lives long refers to is noted for the collector of garbage, which takes longer than to see that it is as it was.
    if (this.memory !== memory) this.memory = memory;
    if (this.process !== process) this.process = process;
    if (this.shape !== shape) this.shape = shape;
    if (this.#resolved !== NOTHING_RESOLVED) this.#resolved = NOTHING_RESOLVED;
    switch (shape) {
      case 'open':
        this.#readOpen();
        break;
      case 'path':
        this.#readPaths();
        if (this.#resolver !== undefined) this.#note(this.#resolver);
        this.#resolved = resolved ?? (this.#resolver === undefined ? NOTHING_RESOLVED : undefined);
        if (resolved !== undefined) this.#addResolved(resolved);
        break;
      case 'descriptor':
        this.#onlyPath(this.#cached(DESCRIPTOR.path));
        break;
      case 'socket':
        this.#onlyPath(this.#cached(SOCKET.unix_path));
        break;
      default:
        this.#onlyPath(NO_STRING);
    }
  }

  /** As the caller wrote it. '' if there is none. */
  get pathRaw(): string {
    return this.written.text;
  }

  get path2Raw(): string {
    return this.#written2.text;
  }

  get typeName(): string {
    return EVENT_TYPE_NAMES[this.type]!;
  }

  /** Where links lead is one of them only once somebody has looked at a path: rules that never do need it for nothing. */
  get spellings(): number {
    if (this.#isAsked && this.#resolved === undefined) this.#resolve();
    return this.#spellings;
  }

  /** The path in force; undefined if the event has none. */
  get path(): string | undefined {
    this.#isAsked = true;
    return this.#spellings === 0 ? undefined : this.paths[this.spelling]!.text;
  }

  /** The same with what is known of it. */
  get cachedPath(): CachedString | undefined {
    this.#isAsked = true;
    return this.#spellings === 0 ? undefined : this.paths[this.spelling];
  }

  /** The second path of rename and link, the target of symlink, made absolute (a symlink's target is left alone). '' if there is none. */
  get path2(): string {
    this.#isAsked = true;
    if (this.spelling === this.#resolvedSpelling) return this.#resolved?.path2 ?? this.#path2.text;
    return this.#path2.text;
  }

  /** Where the event's paths lead by links, as far as that can be known: for whoever keeps the event. */
  get resolved(): ResolvedPaths {
    return this.#resolved ?? this.#resolve();
  }

  /** The caller's memory said something else at the end of the call than at its beginning, or the caller had a page of it held back until the kernel asked. */
  get raced(): boolean {
    if (this.shape !== 'path') return false;
    const isOther = this.u16(PATH.path_before + 2) !== 0 || this.u16(PATH.path_before2 + 2) !== 0;
    return isOther || this.u32(PATH.held) !== 0;
  }

  u16(offset: number): number {
    return this.memory.u16[(this.at + offset) >>> 1]!;
  }

  u32(offset: number): number {
    return this.memory.u32[(this.at + offset) >>> 2]!;
  }

  i32(offset: number): number {
    return this.memory.i32[(this.at + offset) >>> 2]!;
  }

  u64(offset: number): number {
    return this.memory.u64(this.at + offset);
  }

  get result(): number {
    return this.memory.i64(this.at + HEADER.result);
  }

  /** Its number in {@link ABIS}: the convention that the call was made by. */
  get abi(): number {
    return this.memory.bytes[this.at + HEADER.abi]!;
  }

  /** Its number in {@link FILE_KINDS}: of the file that was opened, or that the call's descriptor leads to. */
  get kind(): number {
    return this.memory.bytes[this.at + HEADER.kind]!;
  }

  /** A string by the offset of its str_ref. */
  string(offset: number): string {
    return this.#cached(offset).text;
  }

  #cached(offset: number): CachedString {
    const ref = (this.at + offset) >>> 1;
    const length = this.memory.u16[ref + 1]!;
    return length === 0 ? NO_STRING : this.#strings.get(this.memory, this.at + this.memory.u16[ref]!, length);
  }

  #onlyPath(path: CachedString): void {
    this.#noSecond();
    if (this.written !== NO_STRING) this.written = NO_STRING;
    this.#addSpelling(path);
  }

  #noSecond(): void {
    if (this.#path2 !== NO_STRING) this.#path2 = NO_STRING;
    if (this.#written2 !== NO_STRING) this.#written2 = NO_STRING;
  }

  #addSpelling(path: CachedString): void {
    if (path === NO_STRING || path.text === '') return;
    for (let i = 0; i < this.#spellings; i++) if (this.paths[i]!.text === path.text) return;
    const place = this.#spellings++;
    if (this.paths[place] !== path) this.paths[place] = path;
  }

  #readOpen(): void {
    const resolved = this.#cached(OPEN.path);
    // Mostly a file is opened by its resolved path: the probe then has one string for both.
    const written = this.u32(OPEN.path) === this.u32(OPEN.path_raw) ? resolved : this.#cached(OPEN.path_raw);
    this.#noSecond();
    if (this.written !== written) this.written = written;
    this.#addSpelling(resolved);
    if (written !== resolved && written.text !== '') this.#addWritten(written.text, resolved);
    this.#addSpelling(this.#cached(OPEN.path_inside));
  }

  /** The spelling of the caller. A relative one without a directory lies where the resolved path says. */
  #addWritten(written: string, resolved: CachedString): void {
    const directory = this.string(OPEN.directory);
    if (directory !== '' || written.charCodeAt(0) === SLASH) this.#addSpelling(this.#joiner.join(directory, written));
    else if (resolved.text === '') this.#addSpelling(new CachedString(written));
  }

  #absolute(path: string, directoryRef: number): CachedString {
    if (path === '') return NO_STRING;
    const directory = this.string(directoryRef);
    if (directory === '' && path.charCodeAt(0) !== SLASH) return new CachedString(tidyPath(path));
    return this.#joiner.join(directory, path);
  }

  /** Where a path leads that goes through the root of the process itself. A relative one does if it starts in /proc. */
  #throughOwnRoot(path: string, directoryRef: number): CachedString {
    if (!path.includes('root')) return NO_STRING;
    const isAbsolute = path.charCodeAt(0) === SLASH;
    const directory = this.string(directoryRef);
    const own = withoutOwnRoot(isAbsolute ? path : `${directory}/${path}`, this.#isOwnFolder);
    if (own === undefined) return NO_STRING;
    return isAbsolute ? this.#joiner.join(directory, own) : new CachedString(own);
  }

  /** Of /proc. The first process of the machine has the root that everything on the host has. */
  readonly #isOwnFolder = (folder: string): boolean => {
    if (folder === 'self' || folder === 'thread-self') return true;
    if (folder === '1') return this.process.image.container.isHost;
    return folder === String(this.u32(HEADER.pid));
  };

  /** The directory is where the other text started from: it is this one's too if both are relative, or both are not. */
  #absoluteBefore(before: string): CachedString {
    const alike = (before.charCodeAt(0) === SLASH) === (this.pathRaw.charCodeAt(0) === SLASH);
    return alike ? this.#absolute(before, PATH.directory) : new CachedString(tidyPath(before));
  }

  #readPaths(): void {
    this.written = this.#cached(PATH.path_raw);
    this.#written2 = this.#cached(PATH.path_raw2);
    if (this.type === CHROOT) this.#addSpelling(this.#cached(PATH.directory2));
    this.#addSpelling(this.#throughOwnRoot(this.pathRaw, PATH.directory));
    this.#addSpelling(this.#absolute(this.pathRaw, PATH.directory));
    // Another thread writes there: either may be what the kernel read.
    const before = this.string(PATH.path_before);
    if (before !== '') this.#addSpelling(this.#absoluteBefore(before));
    if (TEXT_SECOND.has(this.type)) {
      this.#path2 = this.#cached(PATH.path_raw2);
      return;
    }
    const through = this.#throughOwnRoot(this.path2Raw, PATH.directory2);
    this.#path2 = through === NO_STRING ? this.#absolute(this.path2Raw, PATH.directory2) : through;
  }

  #resolve(): ResolvedPaths {
    const path = this.#resolvePath(this.pathRaw, PATH.directory, FOLLOWING.has(this.type));
    const path2 = TEXT_SECOND.has(this.type) ? undefined : this.#resolvePath(this.path2Raw, PATH.directory2, false);
    const resolved = path === undefined && path2 === undefined ? NOTHING_RESOLVED : { path, path2 };
    this.#resolved = resolved;
    this.#addResolved(resolved);
    return resolved;
  }

  #resolvePath(raw: string, directoryRef: number, isFollowed: boolean): string | undefined {
    if (raw === '' || this.type === CHROOT) return undefined; // that one's the kernel tells
    const directory = this.string(directoryRef);
    const isAbsolute = raw.charCodeAt(0) === SLASH;
    // A name alone lies in the folder that the kernel told.
    if (!isAbsolute && (directory === '' || !(isFollowed || raw.includes('/')))) return undefined;
    const path = isAbsolute ? raw : `${directory}/${raw}`;
    const base = isAbsolute && directory !== '/' ? directory : '';
    const found = this.#resolver!.resolve(this.process, base, path, isFollowed);
    if (found !== undefined) this.#resolver!.note(this.type, found);
    return found;
  }

  #note(resolver: PathResolver): void {
    if (this.result < 0) return;
    for (let i = 0; i < this.#spellings; i++) resolver.note(this.type, this.paths[i]!.text);
    if (this.#path2 !== NO_STRING) resolver.note(this.type, this.#path2.text);
    if (SYMLINKS.has(this.type)) resolver.linked(this.process, this.paths[0].text, this.path2Raw);
  }

  /** Both paths go together: what rules ask of the two is asked of what the kernel used. */
  #addResolved({ path, path2 }: ResolvedPaths): void {
    const { pathRaw } = this;
    if (path === undefined && (path2 === undefined || path2 === this.#path2.text)) return;
    const first = path === undefined ? this.#absolute(pathRaw, PATH.directory) : this.#joiner.join('', path);
    const before = this.#spellings;
    if (path2 === undefined) this.#addSpelling(first);
    else this.paths[this.#spellings++] = first;
    if (this.#spellings > before) this.#resolvedSpelling = before;
  }
}

const SLASH = 0x2f;
/** Calls that do what they do to what a link leads to. Those that are told to by a flag are not among them. */
const FOLLOWING = new Set(['chmod', 'fchmodat', 'truncate', 'chown', 'setxattr'].map((name) => EVENT_TYPES.get(name)!));
const SYMLINKS = new Set(['symlink', 'symlinkat'].map((name) => EVENT_TYPES.get(name)!));
const CHROOT = EVENT_TYPES.get('chroot')!;
/** Calls whose second string is no path to start from a directory: a link's target, a device, an attribute's name. */
const TEXT_SECOND = new Set(
  ['symlink', 'symlinkat', 'mount', 'setxattr', 'lsetxattr', 'setxattrat'].map((name) => EVENT_TYPES.get(name)!),
);
