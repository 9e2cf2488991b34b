import { type FileHandle, open } from 'node:fs/promises';
import { canGrow, type FileIdentity, identify, inodeOf, isStill } from './file-identity.ts';
import { LineSplitter, type SplitLine } from './line-splitter.ts';
import type { FilePosition } from './positions.ts';
import { type LogFile, logAndRotated, logFile } from './rotated-files.ts';

const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

export interface FileTailOptions {
  readonly path: string;
  /** Where a log is begun of which no position is known. One that appears later is read from its beginning. */
  readonly startAt: 'end' | 'beginning';
  readonly position?: FilePosition | undefined;
  /** Of a longer line nothing is kept but that it was there. */
  readonly maxLineBytes: number;
  readonly onNotice?: (notice: TailNotice) => void;
}

export interface TailNotice {
  /** `gap`: events may be missing. */
  readonly kind: 'opened' | 'cut' | 'gap';
  readonly message: string;
}

/** What was read at once. */
export interface TailChunk {
  /** The file that the lines come from. */
  readonly path: string;
  readonly lines: readonly SplitLine[];
  /** From here it goes on when the lines are worked through. */
  readonly position: FilePosition;
  /** The number of a line, from 1. Valid until the next read. */
  lineAt(offset: number): Promise<number>;
}

/** The file that is being read. */
interface Current {
  readonly handle: FileHandle;
  readonly path: string;
  readonly inode: string;
  identity: FileIdentity;
  changedMillis: number;
  size: number;
  readonly lines: LineSplitter;
  /** Newlines before an offset, as far as they were counted. */
  counted: { offset: number; lines: number };
}

/**
 * Reads the lines that are added to a log, over every kind of rotation: renamed and made anew, or copied and cut; also while nobody was reading. Files that it
 * was rotated to meanwhile are read in their order, then the log itself. Asked from time to time, it watches nothing: that works on every file system.
 */
export class FileTail {
  readonly #options: FileTailOptions;
  #current: Current | undefined;
  /** Where to begin once there is a file. */
  #resumeAt: FilePosition | undefined;
  #wasMissing = false;
  #gapTold = false;
  /** The log is another file now; the old one is looked at once more, as its writer may have been in the middle. */
  #isReplaced = false;
  /** There is a new position without any line. */
  #isNew = false;

  constructor(options: FileTailOptions) {
    this.#options = options;
    this.#resumeAt = options.position;
  }

  /** @returns undefined if there is nothing new. @throws an error of the file system; asking again is fine */
  async read(): Promise<TailChunk | undefined> {
    try {
      for (;;) {
        if (this.#current === undefined && !(await this.#begin())) return undefined;
        const chunk = await this.#readOn(this.#current!);
        if (chunk !== 'moved') return chunk;
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const current = this.#current;
    if (current === undefined) return;
    this.#resumeAt = positionIn(current);
    this.#current = undefined;
    await current.handle.close().catch(() => {});
  }

  async #readOn(current: Current): Promise<TailChunk | undefined | 'moved'> {
    const size = await this.#look(current);
    if (size === undefined) return 'moved';
    const { lines } = current;
    if (lines.nextOffset < size) {
      this.#isReplaced = false;
      const length = Math.min(CHUNK_BYTES, size - lines.nextOffset);
      const { buffer, bytesRead } = await current.handle.read(Buffer.allocUnsafe(length), 0, length, lines.nextOffset);
      return this.#chunk(current, lines.add(buffer.subarray(0, bytesRead)));
    }
    if (this.#isNew) return this.#chunk(current, []);
    if (!(await this.#replaced(current))) return undefined;
    // What the last writer left without a newline is a line all the same.
    const last = lines.finish();
    if (last !== undefined) return this.#chunk(current, [last]);
    await this.#follow(current);
    return 'moved';
  }

  #chunk(current: Current, lines: readonly SplitLine[]): TailChunk {
    this.#isNew = false;
    return {
      path: current.path,
      lines,
      position: positionIn(current),
      lineAt: (offset) => lineAt(current, offset),
    };
  }

  /** @returns the size; undefined if the file was cut, and another is current now, or none */
  async #look(current: Current): Promise<number | undefined> {
    const found = await current.handle.stat({ bigint: true });
    const [size, changedMillis] = [Number(found.size), Number(found.mtimeNs) / 1e6];
    if (size === current.size && changedMillis === current.changedMillis) return size;
    const wasCut = size < current.lines.nextOffset || !(await isStill(current.identity, current.handle, current.inode));
    if (wasCut) {
      await this.close();
      return undefined;
    }
    current.size = size;
    current.changedMillis = changedMillis;
    if (canGrow(current.identity, size)) current.identity = await identify(current.handle, current.inode, size);
    return size;
  }

  async #begin(): Promise<boolean> {
    if (this.#resumeAt !== undefined) return this.#resume(this.#resumeAt);
    const { path, startAt, onNotice = () => {} } = this.#options;
    const log = await logFile(path);
    if (log === undefined) {
      if (!this.#wasMissing) onNotice({ kind: 'opened', message: `'${path}' is not there yet: it is waited for` });
      this.#wasMissing = true;
      return false;
    }
    const fromEnd = startAt === 'end' && !this.#wasMissing;
    await this.#open(log, fromEnd ? endOfLastLine : () => 0);
    onNotice({ kind: 'opened', message: `'${path}' is read from its ${fromEnd ? 'end' : 'beginning'}` });
    return true;
  }

  /** Goes on where a position says, whatever the file is called now. */
  async #resume(position: FilePosition): Promise<boolean> {
    const { path, onNotice = () => {} } = this.#options;
    const files = await logAndRotated(path);
    for (const file of files.toReversed()) {
      if (file.size >= position.offset && (await this.#openIfStill(file, position))) return true;
    }
    const log = files.at(-1);
    const next = files.find(({ changedMillis }) => changedMillis > position.changedMillis) ?? log;
    if (log?.inode === position.inode && next === log) {
      onNotice({ kind: 'cut', message: `'${path}' was cut: it is read from its new beginning` });
    } else if (!this.#gapTold) {
      this.#gapTold = true;
      const rest = next === undefined ? 'the next one is waited for' : `'${next.path}' is read from its beginning`;
      onNotice({
        kind: 'gap',
        message: `the file that '${path}' was is gone: its last events may be missing; ${rest}`,
      });
    }
    if (next === undefined) return false;
    await this.#open(next, () => 0);
    return true;
  }

  async #openIfStill(file: LogFile, position: FilePosition): Promise<boolean> {
    const handle = await open(file.path);
    try {
      if (await isStill(position, handle, file.inode)) {
        await this.#use(file, handle, position.offset);
        return true;
      }
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
    return false;
  }

  async #open(file: LogFile, offsetIn: (handle: FileHandle, size: number) => number | Promise<number>): Promise<void> {
    const handle = await open(file.path);
    try {
      const found = await handle.stat({ bigint: true });
      const opened = { ...file, inode: inodeOf(found), size: Number(found.size) };
      await this.#use(opened, handle, await offsetIn(handle, opened.size));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #use({ path, inode, size, changedMillis }: LogFile, handle: FileHandle, offset: number): Promise<void> {
    const identity = await identify(handle, inode, size);
    const lines = new LineSplitter(offset, this.#options.maxLineBytes);
    this.#current = { handle, path, inode, identity, changedMillis, size, lines, counted: { offset: 0, lines: 0 } };
    this.#resumeAt = undefined;
    this.#gapTold = false;
    this.#isReplaced = false;
    this.#isNew = true;
  }

  /** True when another file has stood at the path for two looks, and this one has not grown between them. */
  async #replaced({ inode }: Current): Promise<boolean> {
    const log = await logFile(this.#options.path);
    const wasReplaced = this.#isReplaced;
    this.#isReplaced = log !== undefined && log.inode !== inode;
    return wasReplaced && this.#isReplaced;
  }

  /** Moves to the file that came after this one. */
  async #follow(current: Current): Promise<void> {
    const files = await logAndRotated(this.#options.path);
    const own = files.findIndex(({ inode }) => inode === current.inode);
    const next = own >= 0 ? files[own + 1] : files.find(({ changedMillis }) => changedMillis > current.changedMillis);
    const follower = next ?? files.at(-1);
    if (follower === undefined || follower.inode === current.inode) return;
    await this.#open(follower, () => 0);
    await current.handle.close().catch(() => {});
  }
}

function positionIn({ identity, lines, changedMillis }: Current): FilePosition {
  return { ...identity, offset: lines.lineOffset, changedMillis };
}

async function lineAt(current: Current, offset: number): Promise<number> {
  const { handle, counted } = current;
  if (offset < counted.offset) current.counted = { offset: 0, lines: 0 };
  let { offset: from, lines } = current.counted;
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  while (from < offset) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(CHUNK_BYTES, offset - from), from);
    if (bytesRead === 0) break;
    const read = buffer.subarray(0, bytesRead);
    for (let at = read.indexOf(NEWLINE); at >= 0; at = read.indexOf(NEWLINE, at + 1)) lines++;
    from += bytesRead;
  }
  current.counted = { offset: from, lines };
  return lines + 1;
}

/** Where the line begins that the writer has not ended yet. */
async function endOfLastLine(handle: FileHandle, size: number): Promise<number> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let end = size; end > 0; end = Math.max(0, end - CHUNK_BYTES)) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const { bytesRead } = await handle.read(buffer, 0, end - start, start);
    const newline = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (newline >= 0) return start + newline + 1;
  }
  return 0;
}
