import { closeSync, openSync, readSync } from 'node:fs';
import { ShikraError } from '../errors.ts';
import { Memory } from '../sources/kernel/memory.ts';
import {
  BLOCK_HEADER_BYTES,
  BLOCK_MAGIC,
  checksum,
  FORMAT_VERSION,
  MAGIC,
  MOST_BLOCK_BYTES,
  PREAMBLE_BYTES,
} from './format.ts';
import { headerSchema, type RecordingHeader } from './header.ts';

/** Where a recording ends too early, and why. */
export interface Damage {
  /** In bytes from the start of the file: of the block that cannot be read. */
  readonly offset: number;
  readonly what: string;
}

export interface Block {
  readonly memory: Memory;
  /** Of its data, from the start of the memory. */
  readonly length: number;
  /** In the file. */
  readonly offset: number;
}

/** Reads a recording block by block, in bounded memory, as far as it is whole. */
export class RecordingReader {
  readonly header: RecordingHeader;
  /** Set when {@link next} has come to something that is no block. */
  damage: Damage | undefined;
  readonly #fd: number;
  readonly #head = Buffer.alloc(BLOCK_HEADER_BYTES);
  readonly #memory = new Memory(new ArrayBuffer(MOST_BLOCK_BYTES));
  #offset = 0;
  #blocks = 0;

  /**
   * Opens a recording and reads its header.
   * @throws ShikraError RECORDING_UNREADABLE if there is no recording, RECORDING_INCOMPATIBLE if its format is another one
   */
  constructor(path: string) {
    this.#fd = open(path);
    try {
      this.#readPreamble();
      this.header = this.#readHeader();
    } catch (error) {
      closeSync(this.#fd);
      if (error instanceof ShikraError) throw new ShikraError(error.code, `${path}: ${error.detail}`);
      throw unreadable(`${path}: ${(error as Error).message}`, error);
    }
  }

  /** The next block, in memory that the one after it takes; undefined at the end, and where there is damage. */
  next(): Block | undefined {
    if (this.damage !== undefined) return undefined;
    const offset = this.#offset;
    const read = this.#readBlock();
    if (typeof read === 'string') this.damage = { offset, what: read };
    return typeof read === 'number' ? { memory: this.#memory, length: read, offset } : undefined;
  }

  /** How far it was read, in bytes. */
  get offset(): number {
    return this.#offset;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #readPreamble(): void {
    const preamble = Buffer.alloc(PREAMBLE_BYTES);
    const length = this.#read(preamble);
    if (length === 0) throw unreadable('the file is empty');
    const magic = preamble.toString('latin1', 0, Math.min(length, MAGIC.length));
    if (!MAGIC.startsWith(magic)) throw unreadable('it is no recording: it begins with other bytes');
    if (length < PREAMBLE_BYTES)
      throw unreadable(`it is cut off at byte ${length}, within its first ${PREAMBLE_BYTES}`);
    if (checksum(preamble.subarray(0, 12)) !== preamble.readUInt32LE(12))
      throw unreadable('it is damaged at byte 0: the checksum of its first bytes is wrong');
    const version = preamble.readUInt32LE(8);
    if (version !== FORMAT_VERSION)
      throw new ShikraError(
        'RECORDING_INCOMPATIBLE',
        `its format has version ${version}, this build reads version ${FORMAT_VERSION}`,
      );
  }

  #readHeader(): RecordingHeader {
    const read = this.#readBlock();
    const where = `it is damaged at byte ${PREAMBLE_BYTES}`;
    if (read === undefined) throw unreadable(`it is cut off at byte ${PREAMBLE_BYTES}, before its header`);
    if (typeof read === 'string') throw unreadable(`${where}, before anything was recorded: ${read}`);
    try {
      return headerSchema.parse(JSON.parse(this.#memory.bytes.toString('utf8', 0, read)));
    } catch (error) {
      throw unreadable(`${where}: its header makes no sense: ${(error as Error).message}`, error);
    }
  }

  /** @returns the length of its data; undefined at the end of the file; what is wrong */
  #readBlock(): number | string | undefined {
    const got = this.#read(this.#head);
    if (got === 0) return undefined;
    const cut = 'the file is cut off within the block that begins there';
    if (got < BLOCK_HEADER_BYTES) return cut;
    if (this.#head.toString('latin1', 0, BLOCK_MAGIC.length) !== BLOCK_MAGIC) return 'no block begins there';
    const number = this.#head.readUInt32LE(4);
    const length = this.#head.readUInt32LE(8);
    if (number !== this.#blocks) return `expected block ${this.#blocks}, got block ${number}`;
    if (length === 0 || length > MOST_BLOCK_BYTES || length % 8 !== 0) return `a block cannot have ${length} bytes`;
    const data = this.#memory.bytes.subarray(0, length);
    if (this.#read(data) < length) return cut;
    const isWhole = checksum(this.#head.subarray(0, 12), data) === this.#head.readUInt32LE(12);
    if (!isWhole) return 'the checksum of the block that begins there is wrong';
    this.#blocks++;
    return length;
  }

  /** @returns how much of it there was */
  #read(into: Uint8Array): number {
    let length = 0;
    while (length < into.length) {
      const got = readSync(this.#fd, into, length, into.length - length, null);
      if (got === 0) break;
      length += got;
    }
    this.#offset += length;
    return length;
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw unreadable((error as Error).message, error);
  }
}

function unreadable(what: string, cause?: unknown): ShikraError {
  return new ShikraError('RECORDING_UNREADABLE', what, { cause });
}
