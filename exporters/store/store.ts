import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Detection } from '../../collector/detection/detection.ts';
import { stringifyExact } from '../../collector/detection/json.ts';
import { PRIORITIES } from '../../collector/detection/priority.ts';
import { ShikraError } from '../../collector/errors.ts';
import type { Logger } from '../../collector/telemetry/logger.ts';
import type { Metrics } from '../../collector/telemetry/metrics.ts';
import type { StoreConfig } from './config.ts';
import { openDatabase } from './database.ts';
import { DeadLetters, type Refused } from './dead-letters.ts';
import { Incidents } from './incidents.ts';
import { Origins } from './origins.ts';
import { Recent } from './recent.ts';
import { encodeRecord } from './record-codec.ts';
import { Reserve } from './reserve.ts';
import { Retention } from './retention.ts';
import { type DetectionRow, StoredDetection } from './stored-detection.ts';

export interface StoreDeps {
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** Milliseconds since the epoch. Default: the wall clock. */
  readonly now?: () => number;
}

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

interface Pending {
  readonly chain: string;
  readonly detection: Detection;
  readonly record: ReadableLogRecord;
  readonly detectionJson: string;
  readonly recordJson: string;
}

type StoredListener = (last: number) => void;

const READ_COLUMNS = 'seq, uid, detection, record, resource, scope, chain';
/** What a detection is stored under that is not said to have gone through other processors. */
export const FIRST_CHAIN = 'logs';
const DEFAULT_MAX_PENDING = 10_000;
const FIRST_RETRY_MILLIS = 100;
const LAST_RETRY_MILLIS = 5000;
/** So much text is written in one transaction: the log must not outgrow what the reserve can bring into the file (reserve.ts). */
const TRANSACTION_TEXT = 2 * 1024 * 1024;
/** On a full disk there is room for a few again when some have gone. */
const FEW_ROWS = 50;
const ROWS_BETWEEN_RETENTION = 1000;
const MILLIS_BETWEEN_RETENTION = 60_000;

/**
 * Every detection, on disk before it is sent anywhere, with a cursor for each exporter.
 *
 * Writes are gathered for one turn of the event loop and written in one transaction (in several if they are many), with `synchronous=FULL`: what `append` took and
 * a listener was told of survives kill -9 and a power cut. A transaction that fails (disk full, file locked) is kept in memory and written again;
 * only if more than `max_pending` wait is one lost, and counted.
 *
 * All methods are synchronous and may be called until `close`, which may be called twice.
 */
export class Store {
  readonly config: StoreConfig;
  readonly deadLetters: DeadLetters;
  readonly incidents: Incidents;
  readonly #database: DatabaseSync;
  readonly #origins: Origins;
  readonly #retention: Retention;
  readonly #reserve: Reserve;
  readonly #logger: Logger;
  readonly #metrics: Metrics | undefined;
  readonly #now: () => number;
  readonly #insert: StatementSync;
  readonly #readAfter: StatementSync;
  readonly #advance: StatementSync;
  readonly #listeners = new Set<StoredListener>();
  readonly #cursors = new Map<string, number>();
  readonly #recent = new Recent();
  #pending: Pending[] = [];
  #immediate: NodeJS.Immediate | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMillis = FIRST_RETRY_MILLIS;
  #lastSeq: number;
  #rowsSinceRetention = 0;
  #nextRetention: number;
  #lastLossReport = Number.NEGATIVE_INFINITY;
  #lastError: unknown;
  /** Since the last write. */
  #diskIsFull = false;
  /** The reserve went into moving a cursor and must be earned back. */
  #reserveSpent = false;
  #closed = false;

  /** @throws ShikraError STORE_UNUSABLE if the file cannot be made, opened or understood */
  constructor(config: StoreConfig, deps: StoreDeps) {
    this.config = config;
    this.#logger = deps.logger.child({ component: 'store' });
    this.#metrics = deps.metrics;
    this.#now = deps.now ?? Date.now;
    try {
      this.#database = openDatabase(config.path);
      this.#origins = new Origins(this.#database);
      this.#retention = new Retention(this.#database, config);
      this.#reserve = new Reserve(config.path);
      this.#insert = this.#database.prepare(
        `INSERT INTO detections (uid, time, stored_at, rule, priority, source, detection, record, resource, scope, chain)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uid, chain) DO NOTHING`,
      );
      this.#readAfter = this.#database.prepare(
        `SELECT ${READ_COLUMNS} FROM detections WHERE seq > ? ORDER BY seq LIMIT ?`,
      );
      this.#advance = this.#database.prepare(
        'INSERT INTO cursors (exporter, seq) VALUES (?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq',
      );
      this.deadLetters = new DeadLetters(this.#database, this.#origins);
      this.incidents = new Incidents(this.#database, (work) => this.#unsynced(work));
      this.#lastSeq = this.#highestSeq();
    } catch (error) {
      throw new ShikraError('STORE_UNUSABLE', `${config.path}: ${messageOf(error)}`, { cause: error });
    }
    this.#nextRetention = this.#now() + MILLIS_BETWEEN_RETENTION;
    this.#showSize();
  }

  /** Takes a detection; it is on disk at the end of this turn of the event loop, when listeners are told. */
  append(detection: Detection, record: ReadableLogRecord, chain = FIRST_CHAIN): void {
    if (this.#closed) {
      this.#lose(1, 'the store is closed');
      return;
    }
    this.#pending.push({
      chain,
      detection,
      record,
      detectionJson: stringifyExact(detection),
      recordJson: encodeRecord(record),
    });
    if (this.#pending.length > (this.config.max_pending ?? DEFAULT_MAX_PENDING)) this.#loseLeastSevere();
    if (this.#retry === undefined) this.#immediate ??= setImmediate(() => this.flush());
  }

  /** Detections in memory that are not on disk yet. */
  get pending(): number {
    return this.#pending.length;
  }

  /** True while writing fails. */
  get failing(): boolean {
    return this.#retry !== undefined;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Tells of every transaction that was written, with the last sequence number. Returns how to stop it. */
  onStored(listener: StoredListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Writes what is pending now.
   * @returns false if a transaction failed; what it was to write stays in memory and is tried again by itself
   */
  flush(): boolean {
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    while (this.#pending.length > 0) {
      const batch = this.#pending.slice(0, this.#transactionSize());
      const written = this.#attempt('write', () => this.#transaction(() => this.#insertAll(batch)));
      if (written === undefined) {
        this.#diskIsFull = isDiskFull(this.#lastError);
        if (this.#diskIsFull) this.#makeRoom();
        this.#scheduleRetry();
        return false;
      }
      this.#pending = this.#pending.slice(batch.length);
      this.#retryMillis = FIRST_RETRY_MILLIS;
      this.#recent.add(written);
      this.#afterWrite(batch.length, written.length);
    }
    this.#diskIsFull = false;
    return true;
  }

  /** How many of the pending ones are written at once. */
  #transactionSize(): number {
    if (this.#diskIsFull) return FEW_ROWS;
    let text = 0;
    const size = this.#pending.findIndex(({ detectionJson, recordJson }) => {
      text += detectionJson.length + recordJson.length;
      return text > TRANSACTION_TEXT;
    });
    return size === -1 ? this.#pending.length : Math.max(1, size);
  }

  /** Where an exporter stands. A new one starts at the end: it does not get what was stored before it was configured. */
  openCursor(exporter: string): number {
    const row = this.#database.prepare('SELECT seq FROM cursors WHERE exporter = ?').get(exporter) as
      | { seq: number }
      | undefined;
    const seq = row?.seq ?? this.#lastSeq;
    if (row === undefined) this.#advance.run(exporter, seq);
    this.#cursors.set(exporter, seq);
    return seq;
  }

  /** The exporter is no longer active: retention need not wait for it. Its cursor stays on disk. */
  closeCursor(exporter: string): void {
    this.#cursors.delete(exporter);
  }

  /**
   * Everything up to `seq` is delivered, but for what the receiver refused: that is parked, in the same transaction. It survives kill -9 at once, a power cut
   * from the next detection on. Throws if the disk fails; the exporter then delivers again what it has delivered already.
   */
  advance(exporter: string, seq: number, refused: readonly Refused[] = []): void {
    const advance = () => this.#advance.run(exporter, seq);
    const both = () => {
      for (const { item, reason } of refused) this.deadLetters.add(exporter, item, reason, this.#now());
      advance();
    };
    this.#insist(() => this.#unsynced(() => (refused.length === 0 ? advance() : this.#transaction(both))));
    this.#cursors.set(exporter, seq);
    if (this.#reserveSpent) this.#makeRoom();
  }

  /** Moves a cursor in memory alone: what lies between is not for this exporter. */
  passOver(exporter: string, seq: number): void {
    this.#cursors.set(exporter, seq);
  }

  /** Notes how sending dead letters again ended: those that were refused again stay, with the new reason. Throws if the disk fails. */
  retried(exporter: string, items: readonly StoredDetection[], refused: readonly Refused[]): void {
    this.#insist(() =>
      this.#transaction(() => {
        this.deadLetters.remove(exporter, items);
        for (const { item, reason } of refused) this.deadLetters.add(exporter, item, reason, this.#now());
      }),
    );
  }

  /** How many detections an exporter has before it. */
  backlog(exporter: string): number {
    const cursor = this.#cursors.get(exporter) ?? this.#lastSeq;
    return Math.min(this.#lastSeq - cursor, this.#retention.rows);
  }

  /** The next detections after `seq`, oldest first: at least one if there is any, at most `count`, together at most `bytes`. */
  read(seq: number, count: number, bytes: number): StoredDetection[] {
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
    for (const row of this.#readAfter.iterate(seq, count) as Iterable<unknown>)
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

  /** Removes what is older or more than the configuration allows. Done by itself from time to time. */
  retain(): void {
    this.#rowsSinceRetention = 0;
    this.#nextRetention = this.#now() + MILLIS_BETWEEN_RETENTION;
    const removed = this.#attempt('retention', () => this.#retention.run(this.#cursors, this.#lastSeq, this.#now()));
    if (removed === undefined) return;
    this.#recent.removedBefore(this.#retention.oldestSeq());
    this.#metrics?.storeRecords.inc({ outcome: 'expired' }, removed.rows);
    for (const [exporter, count] of removed.undelivered) {
      this.#metrics?.exporterRecords.inc({ exporter, outcome: 'expired' }, count);
      this.#logger.error(
        { exporter, count },
        'the store is full: detections were removed before this exporter could deliver them',
      );
    }
    for (const [exporter, count] of removed.deadLetters) {
      this.#metrics?.exporterRecords.inc({ exporter, outcome: 'expired' }, count);
      this.#logger.error({ exporter, count }, 'dead letters were removed: they were too old, or more than 10,000');
    }
    this.#reserve.take();
    this.#showSize();
  }

  /** Writes what is pending and closes the file. What cannot be written is lost, and counted. */
  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    clearTimeout(this.#retry);
    clearImmediate(this.#immediate);
    if (this.#pending.length > 0) this.#lose(this.#pending.length, 'the store closed while it could not write');
    this.#pending = [];
    this.#listeners.clear();
    this.#database.close();
  }

  #insertAll(batch: readonly Pending[]): StoredDetection[] {
    const written: StoredDetection[] = [];
    const storedAt = this.#now();
    for (const { chain, detection, record, detectionJson, recordJson } of batch) {
      const resource = this.#origins.resourceId(record.resource);
      const scope = this.#origins.scopeId(record.instrumentationScope);
      const { uuid: uid, time, rule, priority, source } = detection;
      const result = this.#insert.run(
        uid,
        time,
        storedAt,
        rule,
        priority,
        source,
        detectionJson,
        recordJson,
        resource,
        scope,
        chain,
      );
      if (Number(result.changes) === 0) continue;
      this.#lastSeq = Number(result.lastInsertRowid);
      const row = { seq: this.#lastSeq, uid, detection: detectionJson, record: recordJson, resource, scope, chain };
      written.push(new StoredDetection(row, this.#origins, { detection, record }));
    }
    return written;
  }

  #afterWrite(taken: number, written: number): void {
    this.#metrics?.storeRecords.inc({ outcome: 'written' }, written);
    this.#metrics?.storeRecords.inc({ outcome: 'duplicate' }, taken - written);
    this.#metrics?.storePending.set(this.#pending.length);
    this.#retention.added(written);
    this.#metrics?.storeDetections.set(this.#retention.rows);
    this.#rowsSinceRetention += written;
    for (const listener of this.#listeners) this.#tell(listener);
    if (this.#rowsSinceRetention >= ROWS_BETWEEN_RETENTION || this.#now() >= this.#nextRetention) this.retain();
  }

  #tell(listener: StoredListener): void {
    try {
      listener(this.#lastSeq);
    } catch (error) {
      this.#logger.error({ err: error }, 'a listener of the store failed');
    }
  }

  /**
   * Without waiting for the disk, which takes longer than delivering a batch. What a power cut may take back is that something was delivered, with what was
   * parked meanwhile: it is delivered again.
   */
  #unsynced<T>(work: () => T): T {
    this.#database.exec('PRAGMA synchronous = NORMAL');
    try {
      return work();
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL');
    }
  }

  #transaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      this.#origins.forget();
      this.#lastSeq = this.#highestSeq();
      throw error;
    }
  }

  #attempt<T>(operation: 'write' | 'retention', work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#lastError = error;
      this.#metrics?.storeErrors.inc({ operation });
      this.#logger.error(
        { err: error, pending: this.#pending.length },
        `the store failed to ${operation === 'write' ? 'write; detections wait in memory' : 'remove old detections'}`,
      );
      return undefined;
    }
  }

  /** If the disk is full, room must come from what every exporter has already. */
  #makeRoom(): void {
    if (!this.#retention.hasDelivered(this.#cursors, this.#lastSeq)) return;
    const removed = this.#attempt('retention', () => {
      this.#useReserve();
      const rows = this.#retention.makeRoom(this.#cursors, this.#lastSeq);
      this.#recent.removedBefore(this.#retention.oldestSeq());
      this.#reserveSpent = false;
      this.#reserve.take();
      return rows;
    });
    if (removed !== undefined) this.#metrics?.storeRecords.inc({ outcome: 'expired' }, removed.rows);
  }

  /** A small write that must succeed even on a full disk: without it nothing could be delivered, and no room ever made. */
  #insist<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#useReserve();
      this.#reserveSpent = true;
      return work();
    }
  }

  /** Gives the reserve to the database, and starts the log over: what it held is in the file then. */
  #useReserve(): void {
    this.#reserve.release();
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }

  #scheduleRetry(): void {
    this.#metrics?.storePending.set(this.#pending.length);
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.flush();
    }, this.#retryMillis);
    this.#retryMillis = Math.min(this.#retryMillis * 2, LAST_RETRY_MILLIS);
  }

  #loseLeastSevere(): void {
    const ranks = this.#pending.map(({ detection }) => PRIORITIES.indexOf(detection.priority));
    const least = Math.max(...ranks);
    this.#pending.splice(ranks.indexOf(least), 1);
    this.#lose(1, 'the disk fails and the memory for waiting detections is full');
  }

  #lose(count: number, why: string): void {
    this.#metrics?.storeRecords.inc({ outcome: 'lost' }, count);
    if (this.#now() - this.#lastLossReport < 1000) return;
    this.#lastLossReport = this.#now();
    this.#logger.error({ count }, `a detection was lost: ${why}`);
  }

  #highestSeq(): number {
    const row = this.#database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'detections'").get() as
      | { seq: number }
      | undefined;
    return row?.seq ?? 0;
  }

  #showSize(): void {
    this.#metrics?.storeBytes.set(this.#retention.usedBytes());
    this.#metrics?.storeCapacity.set(this.config.max_bytes);
    this.#metrics?.storeDetections.set(this.#retention.rows);
  }
}

const SQLITE_FULL = 13;
const SQLITE_IOERR = 10;

/** SQLite reports a full disk as FULL or, when it meets it while it grows the log, as an I/O error of any kind. */
function isDiskFull(error: unknown): boolean {
  const code = (error as { errcode?: number } | undefined)?.errcode ?? 0;
  return (code & 0xff) === SQLITE_FULL || (code & 0xff) === SQLITE_IOERR;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
