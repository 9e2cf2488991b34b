import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Origins } from './origins.ts';
import { type DetectionRow, StoredDetection } from './stored-detection.ts';

/** A detection that an exporter's receiver would not take. */
export interface Refused {
  readonly item: StoredDetection;
  readonly reason: string;
}

export interface DeadLetter extends Refused {
  readonly exporter: string;
  /** Milliseconds since the epoch. */
  readonly failedAt: number;
  /** It was asked that it be sent again. */
  readonly retry: boolean;
}

interface DeadLetterRow extends DetectionRow {
  readonly exporter: string;
  readonly failed_at: number;
  readonly reason: string;
  readonly retry: number;
}

/** Which dead letters are meant: all, those of one exporter, or those with one of the uids. */
export interface DeadLetterChoice {
  readonly exporter?: string | undefined;
  readonly uids?: readonly string[];
}

const COLUMNS = 'exporter, failed_at, reason, retry, seq, uid, detection, record, resource, scope';

/**
 * What receivers refused for good. It waits here until someone has it sent again or drops it; age and number are bounded as the store's retention has it.
 * The agent and the command line may use one file at the same time: a request to send again is a mark that the agent finds.
 */
export class DeadLetters {
  readonly #database: DatabaseSync;
  readonly #origins: Origins;
  readonly #add: StatementSync;
  readonly #remove: StatementSync;
  readonly #requested: StatementSync;

  constructor(database: DatabaseSync, origins: Origins) {
    this.#database = database;
    this.#origins = origins;
    this.#add = database.prepare(
      `INSERT OR REPLACE INTO dead_letters (exporter, failed_at, reason, seq, uid, detection, record, resource, scope)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#remove = database.prepare('DELETE FROM dead_letters WHERE exporter = ? AND seq = ?');
    this.#requested = database.prepare(
      `SELECT ${COLUMNS} FROM dead_letters WHERE exporter = ? AND retry = 1 ORDER BY seq LIMIT ?`,
    );
  }

  add(exporter: string, { row }: StoredDetection, reason: string, now: number): void {
    const { seq, uid, detection, record, resource, scope } = row;
    this.#add.run(exporter, now, reason, seq, uid, detection, record, resource, scope);
  }

  remove(exporter: string, items: readonly StoredDetection[]): void {
    for (const { seq } of items) this.#remove.run(exporter, seq);
  }

  /** What is to be sent again, oldest first. */
  requested(exporter: string, limit: number): StoredDetection[] {
    return (this.#requested.all(exporter, limit) as unknown as DeadLetterRow[]).map(
      (row) => new StoredDetection(row, this.#origins),
    );
  }

  /** What was refused, newest first. */
  list(choice: DeadLetterChoice = {}, limit = 100): DeadLetter[] {
    const { where, values } = conditionOf(choice);
    const rows = this.#database
      .prepare(`SELECT ${COLUMNS} FROM dead_letters ${where} ORDER BY seq DESC, exporter LIMIT ?`)
      .all(...values, limit);
    return (rows as unknown as DeadLetterRow[]).map((row) => ({
      exporter: row.exporter,
      failedAt: row.failed_at,
      reason: row.reason,
      retry: row.retry === 1,
      item: new StoredDetection(row, this.#origins),
    }));
  }

  count(choice: DeadLetterChoice = {}): number {
    const { where, values } = conditionOf(choice);
    const row = this.#database.prepare(`SELECT count(*) AS count FROM dead_letters ${where}`).get(...values);
    return Number((row as { count: number }).count);
  }

  /** Asks the agent to send them again. @returns how many */
  request(choice: DeadLetterChoice): number {
    const { where, values } = conditionOf(choice);
    return Number(this.#database.prepare(`UPDATE dead_letters SET retry = 1 ${where}`).run(...values).changes);
  }

  /** Deletes them for good. @returns how many */
  drop(choice: DeadLetterChoice): number {
    const { where, values } = conditionOf(choice);
    return Number(this.#database.prepare(`DELETE FROM dead_letters ${where}`).run(...values).changes);
  }
}

function conditionOf({ exporter, uids = [] }: DeadLetterChoice): { where: string; values: string[] } {
  const conditions = [
    ...(exporter === undefined ? [] : ['exporter = ?']),
    ...(uids.length === 0 ? [] : [`uid IN (${uids.map(() => '?').join(', ')})`]),
  ];
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  return { where, values: [...(exporter === undefined ? [] : [exporter]), ...uids] };
}
