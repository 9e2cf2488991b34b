import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Origins } from './origins.ts';
import { Recent } from './recent.ts';
import { type DetectionRow, StoredDetection } from './stored-detection.ts';

/** Which detections a reader wants, newest first. */
export interface StoreQuery {
  /** Only those before this sequence number: the last one of the page before. */
  readonly before?: number;
  readonly limit?: number;
  readonly rule?: string;
  readonly priority?: string;
  readonly source?: string;
  /** Only those whose detection, as JSON, has this text. */
  readonly search?: string;
}

const READ_COLUMNS = 'seq, uid, detection, record, resource, scope, chain';

/** Reads what is stored: what came last from memory, all else from the disk. */
export class Reading {
  readonly #database: DatabaseSync;
  readonly #origins: Origins;
  readonly #after: StatementSync;
  readonly #recent = new Recent();

  constructor(database: DatabaseSync, origins: Origins) {
    this.#database = database;
    this.#origins = origins;
    this.#after = database.prepare(`SELECT ${READ_COLUMNS} FROM detections WHERE seq > ? ORDER BY seq LIMIT ?`);
  }

  /** These were written. */
  added(items: readonly StoredDetection[]): void {
    this.#recent.add(items);
  }

  /** Everything before `seq` was removed, or every exporter has it. */
  doneBefore(seq: number): void {
    this.#recent.forgetBefore(seq);
  }

  /** The next detections after `seq`, oldest first: at least one if there is any, at most `count`, together at most `bytes`. */
  next(seq: number, count: number, bytes: number): StoredDetection[] {
    const items: StoredDetection[] = [];
    let size = 0;
    for (const item of this.#recent.after(seq, count) ?? this.#onDisk(seq, count)) {
      size += item.bytes;
      if (items.length > 0 && size > bytes) break;
      items.push(item);
    }
    return items;
  }

  *#onDisk(seq: number, count: number): Generator<StoredDetection> {
    for (const row of this.#after.iterate(seq, count) as Iterable<unknown>)
      yield new StoredDetection(row as DetectionRow, this.#origins);
  }

  /** Detections for a reader, newest first; one that went through several chains as the first of them made it. */
  query(query: StoreQuery = {}): StoredDetection[] {
    const conditions = [
      'NOT EXISTS (SELECT 1 FROM detections AS other WHERE other.uid = mine.uid AND other.seq < mine.seq)',
    ];
    const values: (string | number)[] = [];
    const add = (condition: string, value: string | number | undefined) => {
      if (value === undefined) return;
      conditions.push(condition);
      values.push(value);
    };
    add('seq < ?', query.before);
    add('rule = ?', query.rule);
    add('priority = ?', query.priority);
    add('source = ?', query.source);
    add('instr(detection, ?) > 0', query.search);
    const where = conditions.join(' AND ');
    const statement = this.#database.prepare(
      `SELECT ${READ_COLUMNS} FROM detections AS mine WHERE ${where} ORDER BY seq DESC LIMIT ?`,
    );
    return statement
      .all(...values, query.limit ?? 100)
      .map((row) => new StoredDetection(row as unknown as DetectionRow, this.#origins));
  }
}
