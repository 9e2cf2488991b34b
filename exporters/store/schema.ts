import type { DatabaseSync } from 'node:sqlite';

/** Kept in `PRAGMA user_version`. A file of a later version is refused, one of an earlier version is brought up step by step. */
export const SCHEMA_VERSION = 1;

/** The step that leads to version n + 1 is at index n. Never change one that was released. */
const STEPS: readonly string[] = [
  `
  -- Resources and scopes are the same for thousands of records; a record names them by number.
  CREATE TABLE origins (
    id   INTEGER PRIMARY KEY,
    json TEXT NOT NULL UNIQUE
  ) STRICT;

  -- AUTOINCREMENT: a number is never given twice, or a cursor could skip a detection after retention emptied the table.
  CREATE TABLE detections (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    uid       TEXT NOT NULL UNIQUE,
    time      TEXT NOT NULL,
    stored_at INTEGER NOT NULL,
    rule      TEXT NOT NULL,
    priority  TEXT NOT NULL,
    source    TEXT NOT NULL,
    detection TEXT NOT NULL,
    record    TEXT NOT NULL,
    resource  INTEGER NOT NULL REFERENCES origins (id),
    scope     INTEGER NOT NULL REFERENCES origins (id)
  ) STRICT;

  CREATE TABLE cursors (
    exporter TEXT PRIMARY KEY,
    seq      INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE dead_letters (
    exporter  TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    uid       TEXT NOT NULL,
    failed_at INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    detection TEXT NOT NULL,
    record    TEXT NOT NULL,
    resource  INTEGER NOT NULL,
    scope     INTEGER NOT NULL,
    PRIMARY KEY (exporter, seq)
  ) STRICT;
  `,
];

/** Makes the tables, or brings them to the current version. */
export function migrate(database: DatabaseSync): void {
  const version = Number(Object.values(database.prepare('PRAGMA user_version').get() ?? {})[0] ?? 0);
  if (version > SCHEMA_VERSION)
    throw new Error(`its schema is of version ${version}, this program knows up to ${SCHEMA_VERSION}`);
  for (let step = version; step < SCHEMA_VERSION; step++) {
    database.exec(`BEGIN IMMEDIATE; ${STEPS[step]} PRAGMA user_version = ${step + 1}; COMMIT`);
  }
}
