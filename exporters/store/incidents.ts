import type { DatabaseSync } from 'node:sqlite';

/** What one exporter has opened at its receiver and has yet to close, or to send again. Every method throws if the disk fails. */
export interface IncidentLog {
  /** When each was last seen, in milliseconds since the epoch; the one that is quiet for longest first. */
  open(): ReadonlyMap<string, number>;
  seen(key: string, at: number): void;
  /** Closed, or given up. */
  closed(key: string): void;
}

/** Open incidents of all exporters. They outlive the agent: what it opened it closes after its next start. */
export class Incidents {
  readonly #database: DatabaseSync;
  readonly #unsynced: <T>(work: () => T) => T;

  /** @param unsynced runs a write that need not wait for the disk */
  constructor(database: DatabaseSync, unsynced: <T>(work: () => T) => T) {
    this.#database = database;
    this.#unsynced = unsynced;
  }

  of(exporter: string): IncidentLog {
    const open = this.#database.prepare(
      'SELECT incident, last_seen FROM open_incidents WHERE exporter = ? ORDER BY last_seen',
    );
    const seen = this.#database.prepare(
      `INSERT INTO open_incidents (exporter, incident, last_seen) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET last_seen = excluded.last_seen`,
    );
    const closed = this.#database.prepare('DELETE FROM open_incidents WHERE exporter = ? AND incident = ?');
    return {
      open: () =>
        new Map(open.all(exporter).map(({ incident, last_seen }) => [String(incident), Number(last_seen)] as const)),
      seen: (key, at) => void this.#unsynced(() => seen.run(exporter, key, at)),
      closed: (key) => void this.#unsynced(() => closed.run(exporter, key)),
    };
  }
}
