import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';

/** What the log may hold when the disk is full must fit into the file: 2 MiB before it is brought there (database.ts), and one transaction. With room to spare. */
const RESERVE_BYTES = 6 * 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024);

/**
 * A file of zeros next to the database. On a full disk SQLite can neither delete rows nor move a cursor, since both write to its log first: giving up
 * this file makes the room for that.
 */
export class Reserve {
  readonly #path: string | undefined;
  #held = false;

  constructor(databasePath: string) {
    this.#path = databasePath === ':memory:' ? undefined : `${databasePath}-reserve`;
    this.take();
  }

  /** Takes the room if there is so much. */
  take(): void {
    if (this.#path === undefined || this.#held) return;
    let file: number | undefined;
    try {
      file = openSync(this.#path, 'w', 0o640);
      for (let written = 0; written < RESERVE_BYTES; ) written += writeSync(file, CHUNK);
      fsyncSync(file);
      this.#held = true;
    } catch {
      rmSync(this.#path, { force: true });
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  /** Gives the room to the database. */
  release(): void {
    if (this.#path === undefined) return;
    rmSync(this.#path, { force: true });
    this.#held = false;
  }
}
