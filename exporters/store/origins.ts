import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { emptyResource, type Resource } from '@opentelemetry/resources';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { decodeResource, decodeScope, encodeResource, encodeScope } from './record-codec.ts';

type Scope = ReadableLogRecord['instrumentationScope'];

/** The number of an origin that is not here, but stands in the record. */
export const IN_THE_RECORD = 0;

/** Whoever sends records says whose they are. A fleet's nodes have one each; more than this somebody makes up. */
const MOST_ORIGINS = 4096;
/** As JSON; those of Kubernetes have one or two thousand. */
const LONGEST_ORIGIN = 4096;
const MOST_DECODED = 256;

/**
 * Resources and scopes, each stored once as long as a record names it. OTLP exporters group records by the *identity* of these objects, so a number gives the
 * same object as long as it is in use. One that is too long, or one too many, has no number: the record that names it keeps it.
 */
export class Origins {
  readonly #database: DatabaseSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #read: StatementSync;
  #ids = new WeakMap<object, number>();
  readonly #resources = new Map<number, Resource>();
  readonly #scopes = new Map<number, Scope>();
  /** By number: no detection beyond this one names it. Of those from before the start, the last there was. */
  readonly #lastUsed = new Map<number, number>();
  /** A number is never given twice while the process runs: what is on its way to a receiver may still name it. */
  #nextId = IN_THE_RECORD + 1;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#find = database.prepare('SELECT id FROM origins WHERE json = ?');
    this.#insert = database.prepare('INSERT INTO origins (id, json) VALUES (?, ?)');
    this.#read = database.prepare('SELECT json FROM origins WHERE id = ?');
  }

  /** How many have a number. */
  get count(): number {
    return this.#lastUsed.size;
  }

  /** Takes those that are on disk for named by all detections up to this one. */
  load(lastSeq: number): void {
    this.#lastUsed.clear();
    for (const { id } of this.#database.prepare('SELECT id FROM origins').iterate()) {
      this.#lastUsed.set(Number(id), lastSeq);
      this.#nextId = Math.max(this.#nextId, Number(id) + 1);
    }
  }

  /** @param seq of the detection that names it. @returns its number, or {@link IN_THE_RECORD} */
  resourceId(resource: Resource, seq: number): number {
    const id = this.#idOf(resource, seq, () => encodeResource(resource));
    if (id !== IN_THE_RECORD && !this.#resources.has(id)) keep(this.#resources, id, resource);
    return id;
  }

  /** The same for a scope. */
  scopeId(scope: Scope, seq: number): number {
    const id = this.#idOf(scope, seq, () => encodeScope(scope));
    if (id !== IN_THE_RECORD && !this.#scopes.has(id)) keep(this.#scopes, id, scope);
    return id;
  }

  resource(id: number): Resource {
    return id === IN_THE_RECORD ? emptyResource() : this.#cached(this.#resources, id, decodeResource);
  }

  scope(id: number): Scope {
    return id === IN_THE_RECORD ? { name: '' } : this.#cached(this.#scopes, id, decodeScope);
  }

  /** Removes those that no detection from the oldest on names, and no dead letter. */
  removeUnused(oldestSeq: number, lastSeq: number): void {
    const unused = [...this.#lastUsed].filter(([, seq]) => seq < oldestSeq).map(([id]) => id);
    if (unused.length === 0) return;
    const removed = this.#database
      .prepare(
        `DELETE FROM origins WHERE id IN (SELECT value FROM json_each(?))
         AND id NOT IN (SELECT resource FROM dead_letters UNION SELECT scope FROM dead_letters) RETURNING id`,
      )
      .all(JSON.stringify(unused));
    // A dead letter names the others: not asked again before all detections of today are gone too.
    for (const id of unused) this.#lastUsed.set(id, lastSeq);
    for (const { id } of removed) {
      this.#lastUsed.delete(Number(id));
      this.#resources.delete(Number(id));
      this.#scopes.delete(Number(id));
    }
  }

  /** Forgets the numbers given in a transaction that was rolled back. */
  forget(lastSeq: number): void {
    this.#ids = new WeakMap();
    this.#resources.clear();
    this.#scopes.clear();
    this.load(lastSeq);
  }

  #idOf(object: object, seq: number, encode: () => string): number {
    const known = this.#ids.get(object);
    // One that was removed meanwhile is as good as new.
    const id = known !== undefined && this.#lastUsed.has(known) ? known : this.#noted(encode());
    if (id === IN_THE_RECORD) return id;
    this.#ids.set(object, id);
    this.#lastUsed.set(id, seq);
    return id;
  }

  #noted(json: string): number {
    if (json.length > LONGEST_ORIGIN) return IN_THE_RECORD;
    const row = this.#find.get(json) as { id: number } | undefined;
    if (row !== undefined) return row.id;
    if (this.#lastUsed.size >= MOST_ORIGINS) return IN_THE_RECORD;
    const id = this.#nextId++;
    this.#insert.run(id, json);
    return id;
  }

  #cached<T>(cache: Map<number, T>, id: number, decode: (text: string) => T): T {
    const known = cache.get(id);
    if (known !== undefined) return known;
    const row = this.#read.get(id) as { json: string } | undefined;
    const value = decode(row?.json ?? '{"a":{}}');
    keep(cache, id, value);
    return value;
  }
}

/** Those that came first go first: what is in use is decoded again. */
function keep<T>(cache: Map<number, T>, id: number, value: T): void {
  cache.set(id, value);
  const [first] = cache.keys();
  if (cache.size > MOST_DECODED && first !== undefined) cache.delete(first);
}
