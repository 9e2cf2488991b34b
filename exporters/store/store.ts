import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Detection } from '../../collector/detection/detection.ts';
import { stringifyExact } from '../../collector/detection/json.ts';
import { ShikraError } from '../../collector/errors.ts';
import type { Logger } from '../../collector/telemetry/logger.ts';
import type { Metrics } from '../../collector/telemetry/metrics.ts';
import type { StoreConfig } from './config.ts';
import { openDatabase } from './database.ts';
import { DeadLetters, type Refused } from './dead-letters.ts';
import { Incidents } from './incidents.ts';
import { IN_THE_RECORD, Origins } from './origins.ts';
import { Reading, type StoreQuery } from './reading.ts';
import { decodeRecord, encodeRecord, type Kept } from './record-codec.ts';
import { Reserve } from './reserve.ts';
import { Retention } from './retention.ts';
import { StoredDetection } from './stored-detection.ts';
import { type Pending, Waiting } from './waiting.ts';

export interface StoreDeps {
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** Milliseconds since the epoch. Default: the wall clock. */
  readonly now?: () => number;
}

type StoredListener = (last: number) => void;

/** What a detection is stored under that is not said to have gone through other processors. */
export const FIRST_CHAIN = 'logs';
const DEFAULT_MAX_PENDING = 10_000;
const FIRST_RETRY_MILLIS = 100;
const LAST_RETRY_MILLIS = 5000;
const ROWS_BETWEEN_RETENTION = 1000;
const MILLIS_BETWEEN_RETENTION = 60_000;
const MILLIS_BETWEEN_REPORTS = 60_000;

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
  readonly #advance: StatementSync;
  readonly #listeners = new Set<StoredListener>();
  readonly #cursors = new Map<string, number>();
  readonly #reading: Reading;
  readonly #waiting = new Waiting();
  #immediate: NodeJS.Immediate | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMillis = FIRST_RETRY_MILLIS;
  #lastSeq: number;
  #rowsSinceRetention = 0;
  #nextRetention: number;
  #lastLossReport = Number.NEGATIVE_INFINITY;
  #lastOriginReport = Number.NEGATIVE_INFINITY;
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
      this.#reading = new Reading(this.#database, this.#origins);
      this.#advance = this.#database.prepare(
        'INSERT INTO cursors (exporter, seq) VALUES (?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq',
      );
      this.deadLetters = new DeadLetters(this.#database, this.#origins);
      this.incidents = new Incidents(this.#database, (work) => this.#unsynced(work));
      this.#lastSeq = this.#highestSeq();
      this.#origins.load(this.#lastSeq);
    } catch (error) {
      throw new ShikraError('STORE_UNUSABLE', `${config.path}: ${messageOf(error)}`, { cause: error });
    }
    this.#nextRetention = this.#now() + MILLIS_BETWEEN_RETENTION;
    this.#showSize();
  }

  /**
   * Takes a detection; it is on disk at the end of this turn of the event loop, when listeners are told. Only its texts are kept until then.
   * @param chain what it is stored under
   * @param written the detection as `stringifyExact` writes it
   */
  append(
    detection: Detection,
    record: ReadableLogRecord,
    chain = FIRST_CHAIN,
    written = stringifyExact(detection),
  ): void {
    if (this.#closed) {
      this.#lose(1, 'the store is closed');
      return;
    }
    this.#waiting.add({
      chain,
      uid: detection.uuid,
      time: detection.time,
      rule: detection.rule,
      priority: detection.priority,
      source: detection.source,
      resource: record.resource,
      scope: record.instrumentationScope,
      detectionJson: written,
      recordJson: encodeRecord(record),
    });
    if (this.#waiting.count > (this.config.max_pending ?? DEFAULT_MAX_PENDING)) {
      this.#waiting.dropLeastSevere();
      this.#lose(1, 'the disk fails and the memory for waiting detections is full');
    }
    if (this.#retry !== undefined) return;
    if (this.#waiting.fillsTransaction) this.flush();
    else this.#immediate ??= setImmediate(() => this.flush());
  }

  /** Detections in memory that are not on disk yet. */
  get pending(): number {
    return this.#waiting.count;
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
    while (this.#waiting.count > 0) {
      const batch = this.#waiting.next(this.#diskIsFull);
      const written = this.#attempt('write', () => this.#transaction(() => this.#insertAll(batch)));
      if (written === undefined) {
        this.#diskIsFull = isDiskFull(this.#lastError);
        if (this.#diskIsFull) this.#makeRoom();
        this.#scheduleRetry();
        return false;
      }
      this.#waiting.written(batch.length);
      this.#retryMillis = FIRST_RETRY_MILLIS;
      this.#reading.added(written);
      this.#afterWrite(batch.length, written.length);
    }
    this.#diskIsFull = false;
    return true;
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
    this.passOver(exporter, seq);
    if (this.#reserveSpent) this.#makeRoom();
  }

  /** Moves a cursor in memory alone: what lies between is not for this exporter. */
  passOver(exporter: string, seq: number): void {
    this.#cursors.set(exporter, seq);
    // At once: what is kept until there is too much of it has grown old by then, and is garbage that is dear to collect.
    this.#reading.doneBefore(Math.min(...this.#cursors.values()) + 1);
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
    return this.#reading.next(seq, count, bytes);
  }

  /** Detections for a reader, newest first; one that went through several chains as the first of them made it. */
  query(query: StoreQuery = {}): StoredDetection[] {
    return this.#reading.query(query);
  }

  /** Removes what is older or more than the configuration allows. Done by itself from time to time. */
  retain(): void {
    this.#rowsSinceRetention = 0;
    this.#nextRetention = this.#now() + MILLIS_BETWEEN_RETENTION;
    const removed = this.#attempt('retention', () => {
      const gone = this.#retention.run(this.#cursors, this.#lastSeq, this.#now());
      this.#origins.removeUnused(this.#retention.oldestSeq(), this.#lastSeq);
      return gone;
    });
    if (removed === undefined) return;
    this.#reading.doneBefore(this.#retention.oldestSeq());
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
    if (this.#waiting.count > 0) this.#lose(this.#waiting.count, 'the store closed while it could not write');
    this.#waiting.clear();
    this.#listeners.clear();
    this.#database.close();
  }

  #insertAll(batch: readonly Pending[]): StoredDetection[] {
    const written: StoredDetection[] = [];
    const storedAt = this.#now();
    for (const item of batch) {
      const { chain, uid, time, rule, priority, source, detectionJson } = item;
      const resource = this.#origins.resourceId(item.resource, this.#lastSeq + 1);
      const scope = this.#origins.scopeId(item.scope, this.#lastSeq + 1);
      const kept = { resource: resource === IN_THE_RECORD, scope: scope === IN_THE_RECORD };
      const recordJson = kept.resource || kept.scope ? this.#withOrigin(item, kept) : item.recordJson;
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
      written.push(new StoredDetection(row, this.#origins));
    }
    return written;
  }

  /** Told and counted: it costs room, and somebody may be at play. */
  #withOrigin({ recordJson, resource, scope }: Pending, kept: Kept): string {
    this.#metrics?.storeUnsharedOrigins.inc();
    if (this.#now() - this.#lastOriginReport >= MILLIS_BETWEEN_REPORTS) {
      this.#lastOriginReport = this.#now();
      this.#logger.warn(
        { origins: this.#origins.count },
        'detections are stored with a resource or scope of their own: it is too long, or there are too many; somebody may be making senders up',
      );
    }
    return encodeRecord(decodeRecord(recordJson, resource, scope), kept);
  }

  #afterWrite(taken: number, written: number): void {
    this.#metrics?.storeRecords.inc({ outcome: 'written' }, written);
    this.#metrics?.storeRecords.inc({ outcome: 'duplicate' }, taken - written);
    this.#metrics?.storePending.set(this.#waiting.count);
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
      this.#lastSeq = this.#highestSeq();
      this.#origins.forget(this.#lastSeq);
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
        { err: error, pending: this.#waiting.count },
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
      this.#reading.doneBefore(this.#retention.oldestSeq());
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
    this.#metrics?.storePending.set(this.#waiting.count);
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.flush();
    }, this.#retryMillis);
    this.#retryMillis = Math.min(this.#retryMillis * 2, LAST_RETRY_MILLIS);
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
    this.#metrics?.storeOrigins.set(this.#origins.count);
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
