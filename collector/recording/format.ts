/**
 * A recording is a file of blocks. Numbers are little-endian, as the kernel writes the records on every machine that Shikra runs on.
 *
 *     file   = preamble, block*
 *     preamble (16 bytes) = "SHIKREC\n", format version u32, CRC-32 of the twelve bytes before u32
 *     block  = "BLK\n", number u32 (from 0), length u32, CRC-32 of the twelve bytes before and of the data u32; data (length bytes, a multiple of 8)
 *     data of block 0       = the header: JSON, filled up with blanks
 *     data of further blocks = entry*
 *     entry  = length u32, kind u32; that many bytes, filled up with zeros to a multiple of 8
 *
 * What is longer than an entry may be goes on in the next one of the same kind: each but the last has the bit MORE in its kind. A block is written
 * by one call, so a recorder that is killed leaves a file that is good up to its last block.
 */
import { crc32 } from 'node:zlib';

export const MAGIC = 'SHIKREC\n';
export const BLOCK_MAGIC = 'BLK\n';
export const FORMAT_VERSION = 1;
export const PREAMBLE_BYTES = 16;
export const BLOCK_HEADER_BYTES = 16;
export const ENTRY_HEADER_BYTES = 8;
/** Of a block's data. Both sides keep one in memory. */
export const MOST_BLOCK_BYTES = 256 * 1024;
/** Of an entry's data: more than the probe's longest record. */
export const MOST_ENTRY_BYTES = 64 * 1024;
/** Of what is put together from several entries: the processes of a machine. */
export const MOST_JOINED_BYTES = 256 * 1024 * 1024;
export const MORE = 0x8000_0000;

/** What an entry is. In the order in which the live agent met it. */
export const KIND = {
  /** A record of the probe, as it stood in the ring. */
  EVENT: 1,
  /** pid u32, u32 (0), process records: what the kernel told of this process when it was asked, for the event that follows; of all processes if pid is 0. */
  PROCESSES: 2,
  /** A second went by: the kernel's time u64, and i64 from it to the wall clock, in nanoseconds. */
  TICK: 3,
  /** The clock of events that wait for their container, f64 in milliseconds; then u64, 1 at the beginning of a turn: what waits may go. */
  CLOCK: 4,
  /** JSON: `{users: {NUMBER: NAME}, groups: {NUMBER: NAME}}`, all of them, from now on. */
  NAMES: 5,
  /** JSON: what a container engine told. */
  CONTAINER: 6,
  /** JSON: events lost so far, by reason. */
  LOSSES: 7,
  /** JSON: a summary. The last entry of a recording that was ended. */
  END: 8,
  /** JSON: `{NAME: [ADDRESS]}`, all domain names of the rules that it was recorded for, from now on. */
  DOMAIN_NAMES: 9,
  /** JSON: `{path: PATH, path2: PATH}`, each if there is one: where links in the paths of the event that follows led. */
  RESOLVED: 10,
} as const;

/** What is lost while it is recorded, by reason: those of the probe, and `left_in_rings` (bytes). */
export type Losses = Readonly<Record<string, number>>;

export function checksum(head: Uint8Array, data?: Uint8Array): number {
  return data === undefined ? crc32(head) : crc32(data, crc32(head));
}

export function padded(length: number): number {
  return (length + 7) & ~7;
}
