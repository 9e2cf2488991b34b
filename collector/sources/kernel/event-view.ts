import { DESCRIPTOR, EVENT_TYPE_NAMES, EVENT_TYPES, HEADER, OPEN, PATH, SOCKET } from './layout.ts';
import { Memory } from './memory.ts';
import { PathJoiner, tidyPath, withoutOwnRoot } from './paths.ts';
import { type Process, unknownProcess } from './process.ts';
import { CachedString, NO_STRING, StringCache } from './string-cache.ts';
import { familyOf } from './system-calls.ts';

const NO_MEMORY = new Memory(new ArrayBuffer(64));
const NO_PROCESS = unknownProcess(0, 0, 0);

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
  readonly paths: [CachedString, CachedString, CachedString, CachedString] = [
    NO_STRING,
    NO_STRING,
    NO_STRING,
    NO_STRING,
  ];
  spellings = 0;
  spelling = 0;
  /** As the caller wrote it. '' if there is none. */
  pathRaw = '';
  /** The same with what is known of it. Of events that open something. */
  written: CachedString = NO_STRING;
  /** The second path of rename and link, the target of symlink, made absolute (a symlink's target is left alone). */
  path2 = '';
  path2Raw = '';
  readonly #strings = new StringCache();
  readonly #joiner = new PathJoiner();

  /** Moves to a record. The caller says whose it is. */
  select(memory: Memory, at: number, process: Process): void {
    this.memory = memory;
    this.at = at;
    this.process = process;
    this.type = memory.u16[(at + HEADER.type) >>> 1]!;
    this.shape = SHAPES[this.type]!;
    this.number++;
    this.spelling = 0;
    this.spellings = 0;
    switch (this.shape) {
      case 'open':
        this.#readOpen();
        break;
      case 'path':
        this.#readPaths();
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

  get typeName(): string {
    return EVENT_TYPE_NAMES[this.type]!;
  }

  /** The path in force; undefined if the event has none. */
  get path(): string | undefined {
    return this.spellings === 0 ? undefined : this.paths[this.spelling]!.text;
  }

  /** The same with what is known of it. */
  get cachedPath(): CachedString | undefined {
    return this.spellings === 0 ? undefined : this.paths[this.spelling];
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
    this.pathRaw = '';
    this.path2 = '';
    this.path2Raw = '';
    this.#addSpelling(path);
  }

  #addSpelling(path: CachedString): void {
    if (path.text === '') return;
    for (let i = 0; i < this.spellings; i++) if (this.paths[i]!.text === path.text) return;
    this.paths[this.spellings++] = path;
  }

  #readOpen(): void {
    const resolved = this.#cached(OPEN.path);
    // Mostly a file is opened by its resolved path: the probe then has one string for both.
    const written = this.u32(OPEN.path) === this.u32(OPEN.path_raw) ? resolved : this.#cached(OPEN.path_raw);
    this.path2 = '';
    this.path2Raw = '';
    this.pathRaw = written.text;
    this.written = written;
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
    this.pathRaw = this.string(PATH.path_raw);
    this.path2Raw = this.string(PATH.path_raw2);
    if (this.type === CHROOT) this.#addSpelling(this.#cached(PATH.directory2));
    this.#addSpelling(this.#throughOwnRoot(this.pathRaw, PATH.directory));
    this.#addSpelling(this.#absolute(this.pathRaw, PATH.directory));
    // Another thread writes there: either may be what the kernel read.
    const before = this.string(PATH.path_before);
    if (before !== '') this.#addSpelling(this.#absoluteBefore(before));
    this.path2 = this.path2Raw;
    if (TEXT_SECOND.has(this.type)) return;
    const through = this.#throughOwnRoot(this.path2Raw, PATH.directory2);
    this.path2 = through === NO_STRING ? this.#absolute(this.path2Raw, PATH.directory2).text : through.text;
  }
}

const SLASH = 0x2f;
const CHROOT = EVENT_TYPES.get('chroot')!;
/** Calls whose second string is no path to start from a directory: a link's target, a device, an attribute's name. */
const TEXT_SECOND = new Set(
  ['symlink', 'symlinkat', 'mount', 'setxattr', 'lsetxattr', 'setxattrat'].map((name) => EVENT_TYPES.get(name)!),
);
