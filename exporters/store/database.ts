import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { migrate } from './schema.ts';

/** A detection fits: with SQLite's own 4 KiB it is spread over several pages, each written for itself, twice. Files that are there keep theirs. */
const PAGE_BYTES = 16 * 1024;
/** When the log is brought into the file; the reserve is made for it (reserve.ts). */
const CHECKPOINT_BYTES = 2 * 1024 * 1024;

/** Opens the store's file; it and its folder are made if missing. Throws if it is something else, or of a later version. */
export function openDatabase(path: string): DatabaseSync {
  if (path !== ':memory:') makeFolder(dirname(path));
  // A longer wait for a lock would hold up the event loop. Foreign keys are not checked: an origin could not go without a look at every detection.
  const database = new DatabaseSync(path, { timeout: 50, enableForeignKeyConstraints: false });
  // page_size and auto_vacuum must come before the first table; synchronous=FULL makes a commit survive a power cut, NORMAL would only survive kill -9.
  database.exec(
    `PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304`,
  );
  database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_BYTES / pageBytes(database)}`);
  migrate(database);
  return database;
}

export function pageBytes(database: DatabaseSync): number {
  return Number(Object.values(database.prepare('PRAGMA page_size').get() ?? {})[0]);
}

/** Not with `recursive`: where a file system takes no folders (/proc), Node 26 tries for ever. */
export function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o750 });
}
