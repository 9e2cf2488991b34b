import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { decodeResource, decodeScope, encodeResource, encodeScope } from './record-codec.ts';

type Scope = ReadableLogRecord['instrumentationScope'];

/**
 * Resources and scopes, each stored once. OTLP exporters group records by the *identity* of these objects, so every number must always
 * give the same object.
 */
export class Origins {
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #read: StatementSync;
  #ids = new WeakMap<object, number>();
  readonly #resources = new Map<number, Resource>();
  readonly #scopes = new Map<number, Scope>();

  constructor(database: DatabaseSync) {
    this.#find = database.prepare('SELECT id FROM origins WHERE json = ?');
    this.#insert = database.prepare('INSERT INTO origins (json) VALUES (?)');
    this.#read = database.prepare('SELECT json FROM origins WHERE id = ?');
  }

  resourceId(resource: Resource): number {
    const id = this.#idOf(resource, () => encodeResource(resource));
    if (!this.#resources.has(id)) this.#resources.set(id, resource);
    return id;
  }

  scopeId(scope: Scope): number {
    const id = this.#idOf(scope, () => encodeScope(scope));
    if (!this.#scopes.has(id)) this.#scopes.set(id, scope);
    return id;
  }

  resource(id: number): Resource {
    return this.#cached(this.#resources, id, decodeResource);
  }

  scope(id: number): Scope {
    return this.#cached(this.#scopes, id, decodeScope);
  }

  /** Forgets the numbers given in a transaction that was rolled back. */
  forget(): void {
    this.#ids = new WeakMap();
    this.#resources.clear();
    this.#scopes.clear();
  }

  #idOf(object: object, encode: () => string): number {
    const known = this.#ids.get(object);
    if (known !== undefined) return known;
    const json = encode();
    const row = this.#find.get(json) as { id: number } | undefined;
    const id = row?.id ?? Number(this.#insert.run(json).lastInsertRowid);
    this.#ids.set(object, id);
    return id;
  }

  #cached<T>(cache: Map<number, T>, id: number, decode: (text: string) => T): T {
    const known = cache.get(id);
    if (known !== undefined) return known;
    const row = this.#read.get(id) as { json: string } | undefined;
    const value = decode(row?.json ?? '{"a":{}}');
    cache.set(id, value);
    return value;
  }
}
