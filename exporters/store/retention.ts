import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { StoreConfig } from './config.ts';
import { pageBytes } from './database.ts';

export interface Removed {
  readonly rows: number;
  /** By exporter: how many it had not delivered. */
  readonly undelivered: ReadonlyMap<string, number>;
  /** By exporter: how many dead letters nobody had sent again. */
  readonly deadLetters: ReadonlyMap<string, number>;
}

/** So many rows a pass: a pass must not hold up the event loop. */
const ROWS_PER_PASS = 5000;
/** Some 6 MB: enough for the reserve and for new rows. */
const ROWS_FOR_ROOM = 1500;
const ROWS_PER_STEP = 250;
const BYTES_PER_STEP = 800 * 1024;
/** What a pass makes the file smaller by. */
const BYTES_PER_PASS = 8 * 1024 * 1024;
const DEAD_LETTERS_KEPT = 10_000;
/** Room is made down to this part of the limit, so that the next row does not call for room again. */
const LOW_WATER = 0.9;

/** What is removed from the store, and when: delivered ones by age, the oldest ones by size. */
export class Retention {
  /** Rows in the table `detections`. */
  rows: number;
  readonly #database: DatabaseSync;
  readonly #config: StoreConfig;
  readonly #pageBytes: number;
  readonly #count: StatementSync;
  readonly #nth: StatementSync;
  readonly #delete: StatementSync;
  readonly #firstYoung: StatementSync;

  constructor(database: DatabaseSync, config: StoreConfig) {
    this.#database = database;
    this.#config = config;
    this.#pageBytes = pageBytes(database);
    this.#count = database.prepare('SELECT count(*) AS rows FROM detections WHERE seq > ? AND seq <= ?');
    this.#nth = database.prepare('SELECT seq FROM detections ORDER BY seq LIMIT 1 OFFSET ?');
    this.#delete = database.prepare('DELETE FROM detections WHERE seq <= ?');
    // Rows are stored in the order of time: this reads only rows that go.
    this.#firstYoung = database.prepare('SELECT seq FROM detections WHERE stored_at >= ? ORDER BY seq LIMIT 1');
    this.rows = this.countAfter(0, Number.MAX_SAFE_INTEGER);
  }

  added(rows: number): void {
    this.rows += rows;
  }

  countAfter(seq: number, last: number): number {
    return Number((this.#count.get(seq, last) as { rows: number }).rows);
  }

  usedBytes(): number {
    return (this.#pragma('page_count') - this.#pragma('freelist_count')) * this.#pageBytes;
  }

  run(cursors: ReadonlyMap<string, number>, lastSeq: number, now: number): Removed {
    const delivered = Math.min(lastSeq, ...cursors.values());
    const undelivered = new Map<string, number>();
    const before = this.rows;
    const old = Math.min(delivered, this.#lastOlderThan(now - this.#config.max_age, lastSeq));
    // Counting rows reads their pages: only if some may go.
    if (old >= this.oldestSeq()) this.#removeUpTo(Math.min(old, this.#seqAt(ROWS_PER_PASS - 1)), cursors, undelivered);
    const used = this.usedBytes();
    if (used > this.#config.max_bytes && this.rows > 0) {
      const excess = Math.ceil(((used - this.#config.max_bytes * LOW_WATER) / used) * this.rows);
      this.#removeUpTo(this.#seqAt(Math.min(excess, ROWS_PER_PASS, this.rows) - 1), cursors, undelivered);
    }
    const deadLetters = this.#removeDeadLetters(now);
    this.#removeIncidents([...cursors.keys()], now);
    this.#database.exec(`PRAGMA incremental_vacuum(${BYTES_PER_PASS / this.#pageBytes})`);
    return { rows: before - this.rows, undelivered, deadLetters };
  }

  /** Rows that every exporter has, which may go when room is needed. */
  hasDelivered(cursors: ReadonlyMap<string, number>, lastSeq: number): boolean {
    return this.oldestSeq() <= Math.min(lastSeq, ...cursors.values());
  }

  /** The sequence number of the oldest row, or one beyond all. */
  oldestSeq(): number {
    return this.#seqAt(0);
  }

  /** On a full disk: the oldest that every exporter has go, however young they are, and the file shrinks by them. */
  makeRoom(cursors: ReadonlyMap<string, number>, lastSeq: number): Removed {
    const delivered = Math.min(lastSeq, ...cursors.values());
    const before = this.rows;
    const undelivered = new Map<string, number>();
    // In small steps, each brought into the file before the next: the log must not grow beyond the room that the reserve gave.
    for (let removed = 0; removed < ROWS_FOR_ROOM; removed += ROWS_PER_STEP) {
      this.#removeUpTo(Math.min(delivered, this.#seqAt(ROWS_PER_STEP - 1)), cursors, undelivered);
      this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    }
    const step = BYTES_PER_STEP / this.#pageBytes;
    for (let left = this.#pragma('freelist_count'); left > 0; left -= step) {
      this.#database.exec(`PRAGMA incremental_vacuum(${step}); PRAGMA wal_checkpoint(TRUNCATE)`);
    }
    return { rows: before - this.rows, undelivered, deadLetters: new Map() };
  }

  #removeUpTo(seq: number, cursors: ReadonlyMap<string, number>, undelivered: Map<string, number>): void {
    if (seq <= 0) return;
    const lost = [...cursors]
      .filter(([, cursor]) => cursor < seq)
      .map(([exporter, cursor]) => [exporter, this.countAfter(cursor, seq)] as const);
    this.rows -= Number(this.#delete.run(seq).changes);
    for (const [exporter, count] of lost) {
      if (count > 0) undelivered.set(exporter, (undelivered.get(exporter) ?? 0) + count);
    }
  }

  #removeDeadLetters(now: number): Map<string, number> {
    const removed = new Map<string, number>();
    const old = this.#database.prepare('DELETE FROM dead_letters WHERE failed_at < ? RETURNING exporter');
    const many = this.#database.prepare(
      `DELETE FROM dead_letters WHERE seq <= (SELECT seq FROM dead_letters ORDER BY seq DESC LIMIT 1 OFFSET ?)
       RETURNING exporter`,
    );
    for (const row of [...old.all(now - this.#config.max_age), ...many.all(DEAD_LETTERS_KEPT)]) {
      const { exporter } = row as { exporter: string };
      removed.set(exporter, (removed.get(exporter) ?? 0) + 1);
    }
    return removed;
  }

  /** Of exporters that the configuration does not have any more: nobody will close them. */
  #removeIncidents(active: readonly string[], now: number): void {
    this.#database
      .prepare('DELETE FROM open_incidents WHERE last_seen < ? AND exporter NOT IN (SELECT value FROM json_each(?))')
      .run(now - this.#config.max_age, JSON.stringify(active));
  }

  #lastOlderThan(storedAt: number, lastSeq: number): number {
    const row = this.#firstYoung.get(storedAt) as { seq: number } | undefined;
    return row === undefined ? lastSeq : row.seq - 1;
  }

  /** The sequence number of the n-th oldest row, or one beyond all. */
  #seqAt(index: number): number {
    const row = this.#nth.get(index) as { seq: number } | undefined;
    return row?.seq ?? Number.MAX_SAFE_INTEGER;
  }

  #pragma(name: string): number {
    return Number(Object.values(this.#database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
  }
}
