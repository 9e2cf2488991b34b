import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { inodeOf } from './file-identity.ts';

/** A log, or what it was renamed or copied to. */
export interface LogFile {
  readonly path: string;
  readonly inode: string;
  readonly size: number;
  /** When it was last written to, in milliseconds since 1970. */
  readonly changedMillis: number;
}

const COMPRESSED = /\.(gz|zst|bz2|xz|lz4|tmp)$/;
/** kube-apiserver renames audit.log to audit-2026-11-21T22-00-00.123.log. */
const TIMESTAMP = /^-\d{4}-\d\d-\d\dT[\d.-]+$/;

/** The log at a path, if it is there. */
export async function logFile(path: string): Promise<LogFile | undefined> {
  const found = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if (found.isDirectory()) throw new Error(`expected a file, got the folder '${path}'`);
  return {
    path,
    inode: inodeOf(found),
    size: Number(found.size),
    changedMillis: Number(found.mtimeNs) / 1e6,
  };
}

/** What a log was rotated to, by kube-apiserver or logrotate, from the oldest to the newest; the log itself comes last. Compressed files cannot be read on. */
export async function logAndRotated(path: string): Promise<LogFile[]> {
  const folder = dirname(path);
  const names = await readdir(folder).catch(() => []);
  const rotated = await Promise.all(
    names
      .filter((name) => isRotated(name, basename(path)))
      .map((name) => logFile(join(folder, name)).catch(() => undefined)),
  );
  const files = rotated.filter((file) => file !== undefined).sort(byAge);
  const log = await logFile(path);
  return log === undefined ? files : [...files, log];
}

function isRotated(name: string, log: string): boolean {
  if (name === log || COMPRESSED.test(name)) return false;
  if (name.startsWith(`${log}.`) || name.startsWith(`${log}-`)) return true;
  const extension = extname(log);
  const stem = log.slice(0, log.length - extension.length);
  if (!name.startsWith(`${stem}-`) || !name.endsWith(extension)) return false;
  return TIMESTAMP.test(name.slice(stem.length, name.length - extension.length));
}

function byAge(a: LogFile, b: LogFile): number {
  return a.changedMillis - b.changedMillis || (a.path < b.path ? -1 : 1);
}
