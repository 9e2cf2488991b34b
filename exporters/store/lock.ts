import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ShikraError } from '../../collector/errors.ts';
import { makeFolder } from './database.ts';

const IN_MEMORY = ':memory:';
const SQLITE_BUSY = 5;

/**
 * Keeps a second agent from the store of a first one: both would deliver everything, and move each other's cursors. It is a lock of the kernel on a file beside the
 * store, taken through SQLite: one that is killed leaves none behind, and a process of another container is seen too. Readers of the store, such as
 * `shikra deadletter`, do not ask for it.
 */
export class StoreLock {
  /** Why there is none: a full disk, a file system without locks. That is no reason to see nothing. */
  readonly trouble: string | undefined;
  readonly #database: DatabaseSync | undefined;

  private constructor(database: DatabaseSync | undefined, trouble?: string) {
    this.#database = database;
    this.trouble = trouble;
  }

  /** @throws ShikraError STORE_IN_USE, with the process that has it */
  static take(storePath: string): StoreLock {
    if (storePath === IN_MEMORY) return new StoreLock(undefined);
    let database: DatabaseSync | undefined;
    try {
      makeFolder(dirname(storePath));
      database = new DatabaseSync(`${storePath}.lock`, { timeout: 0 });
      hold(database);
      return new StoreLock(database);
    } catch (error) {
      const holder = isBusy(error) && database !== undefined ? holderOf(database) : undefined;
      database?.close();
      if (isBusy(error))
        throw new ShikraError('STORE_IN_USE', `${storePath}: ${holder ?? 'a process that does not say its number'}`);
      const why = `${storePath}.lock cannot be locked: ${(error as Error).message}`;
      return new StoreLock(undefined, `${why}; a second agent on this store would not be noticed`);
    }
  }

  /** Calling it twice is fine. */
  release(): void {
    if (this.#database?.isOpen) this.#database.close();
  }
}

/** A transaction without an end: others may read who holds it, and none may begin one of theirs. */
function hold(database: DatabaseSync): void {
  database.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; BEGIN IMMEDIATE');
  database.exec('CREATE TABLE IF NOT EXISTS holder (pid INTEGER NOT NULL); DELETE FROM holder');
  database.prepare('INSERT INTO holder (pid) VALUES (?)').run(process.pid);
  database.exec('COMMIT; BEGIN IMMEDIATE');
}

function holderOf(database: DatabaseSync): string | undefined {
  try {
    const row = database.prepare('SELECT pid FROM holder').get() as { pid: number } | undefined;
    return row === undefined ? undefined : `process ${row.pid}`;
  } catch {
    return undefined; // it is just writing its number down
  }
}

function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY;
}
