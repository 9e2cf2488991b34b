import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** So much of its beginning tells one log from another: the first event has an id and a time of its own. */
const HEAD_BYTES = 1024;

/**
 * What a log is known by after a rotation or a restart. The inode alone does not do: its number is given to a new file as soon as the old one is gone, and a
 * log that is copied and cut keeps it.
 */
export interface FileIdentity {
  /** Device and inode: `8:1234`. */
  readonly inode: string;
  /** SHA-256 of the file's first bytes, and how many they are; of an empty file there are none. */
  readonly head: string;
  readonly headBytes: number;
}

export function inodeOf({ dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>): string {
  return `${dev}:${ino}`;
}

/** @param size the file's, when last looked at */
export async function identify(handle: FileHandle, inode: string, size: number): Promise<FileIdentity> {
  const headBytes = Math.min(size, HEAD_BYTES);
  return { inode, headBytes, head: (await hashHead(handle, headBytes)) ?? '' };
}

/** True if the file is the one that was known so, however much was added to it since. */
export async function isStill({ inode, head, headBytes }: FileIdentity, handle: FileHandle, inodeNow: string) {
  return headBytes === 0 ? inode === inodeNow : (await hashHead(handle, headBytes)) === head;
}

/** True if the identity can be made of more bytes than it is. */
export function canGrow({ headBytes }: FileIdentity, size: number): boolean {
  return headBytes < HEAD_BYTES && size > headBytes;
}

async function hashHead(handle: FileHandle, bytes: number): Promise<string | undefined> {
  if (bytes === 0) return '';
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
  return bytesRead < bytes ? undefined : createHash('sha256').update(buffer).digest('hex');
}
