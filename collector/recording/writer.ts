import { closeSync, fchmodSync, fsyncSync, ftruncateSync, lstatSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { ShikraError } from '../errors.ts';
import {
  BLOCK_HEADER_BYTES,
  BLOCK_MAGIC,
  checksum,
  ENTRY_HEADER_BYTES,
  FORMAT_VERSION,
  MAGIC,
  MORE,
  MOST_BLOCK_BYTES,
  MOST_ENTRY_BYTES,
  PREAMBLE_BYTES,
  padded,
} from './format.ts';
import type { RecordingHeader } from './header.ts';

/** Arguments of programs stand in it, and with them secrets. */
const OWNER_ONLY = 0o600;

/**
 * Writes the blocks of a recording, each by one synchronous call: what waits meanwhile waits in the rings, and if they fill, the kernel counts what is lost.
 * All of it throws ShikraError RECORDING_UNWRITABLE; what was written before stays readable.
 */
export class RecordingWriter {
  readonly #fd: number;
  readonly #path: string;
  readonly #block = Buffer.alloc(BLOCK_HEADER_BYTES + MOST_BLOCK_BYTES);
  #used = BLOCK_HEADER_BYTES;
  #blocks = 0;
  /** Of whole blocks. */
  #bytes = 0;

  /** @param force in place of a file that is there */
  constructor(path: string, header: RecordingHeader, force = false) {
    this.#path = path;
    this.#fd = create(path, force);
    const preamble = Buffer.alloc(PREAMBLE_BYTES);
    preamble.write(MAGIC, 'latin1');
    preamble.writeUInt32LE(FORMAT_VERSION, 8);
    preamble.writeUInt32LE(checksum(preamble.subarray(0, 12)), 12);
    this.#write(preamble);
    const json = Buffer.from(JSON.stringify(header));
    if (json.length > MOST_BLOCK_BYTES) throw new Error('the header of a recording is larger than a block');
    this.#block.fill(' ', this.#used, this.#used + padded(json.length));
    json.copy(this.#block, this.#used);
    this.#used += padded(json.length);
    this.flush();
  }

  /** Of the file, without what waits for the next {@link flush}. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds an entry, or as many as it takes. */
  append(kind: number, data: Uint8Array): void {
    let from = 0;
    while (data.length - from > MOST_ENTRY_BYTES) {
      this.#append((kind | MORE) >>> 0, data, from, from + MOST_ENTRY_BYTES);
      from += MOST_ENTRY_BYTES;
    }
    this.#append(kind, data, from, data.length);
  }

  /** The same of a part of the data, which is no longer than an entry. */
  appendRecord(kind: number, bytes: Uint8Array, from: number, length: number): void {
    this.#append(kind, bytes, from, from + length);
  }

  /** What was added is in the file then. */
  flush(): void {
    const length = this.#used - BLOCK_HEADER_BYTES;
    if (length === 0) return;
    const block = this.#block;
    block.write(BLOCK_MAGIC, 0, 'latin1');
    block.writeUInt32LE(this.#blocks++, 4);
    block.writeUInt32LE(length, 8);
    block.writeUInt32LE(checksum(block.subarray(0, 12), block.subarray(BLOCK_HEADER_BYTES, this.#used)), 12);
    this.#write(block.subarray(0, this.#used));
    this.#used = BLOCK_HEADER_BYTES;
  }

  /** Flushes, and has it on disk. */
  close(): void {
    try {
      this.flush();
      fsyncSync(this.#fd);
    } catch (error) {
      throw unwritable(this.#path, error);
    } finally {
      closeSync(this.#fd);
    }
  }

  #append(kind: number, bytes: Uint8Array, from: number, to: number): void {
    const size = ENTRY_HEADER_BYTES + padded(to - from);
    if (this.#used + size > this.#block.length) this.flush();
    this.#block.writeUInt32LE(to - from, this.#used);
    this.#block.writeUInt32LE(kind, this.#used + 4);
    const start = this.#used + ENTRY_HEADER_BYTES;
    this.#block.set(bytes.subarray(from, to), start);
    this.#used += size;
    this.#block.fill(0, start + to - from, this.#used);
  }

  #write(bytes: Uint8Array): void {
    try {
      let written = 0;
      while (written < bytes.length) written += writeSync(this.#fd, bytes, written);
      this.#bytes += bytes.length;
    } catch (error) {
      this.#dropPart();
      throw unwritable(this.#path, error);
    }
  }

  /** A part of a block would be taken for damage. */
  #dropPart(): void {
    this.#used = BLOCK_HEADER_BYTES;
    try {
      ftruncateSync(this.#fd, this.#bytes);
    } catch {
      // then a replay says where it is cut off
    }
  }
}

function create(path: string, force: boolean): number {
  const isThere = refuseToReplace(path, force);
  try {
    if (isThere) unlinkSync(path);
    const fd = openSync(path, 'wx', OWNER_ONLY);
    fchmodSync(fd, OWNER_ONLY); // whatever the umask
    return fd;
  } catch (error) {
    throw unwritable(path, error);
  }
}

/**
 * Looks at a path before anything is begun for it.
 * @returns true if there is a file, which may be replaced
 * @throws ShikraError RECORDING_UNWRITABLE if there is one and `force` is false, or if it is no regular file
 */
export function refuseToReplace(path: string, force: boolean): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (!found.isFile()) throw unwritable(path, new Error('it is there, and is no regular file'));
  if (!force) throw unwritable(path, new Error('the file is there already; --force replaces it'));
  return true;
}

function unwritable(path: string, error: unknown): ShikraError {
  if (error instanceof ShikraError) return error;
  return new ShikraError('RECORDING_UNWRITABLE', `${path}: ${(error as Error).message}`, { cause: error });
}
