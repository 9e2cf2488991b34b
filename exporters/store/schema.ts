import type { DatabaseSync } from 'node:sqlite';

/** Kept in `PRAGMA user_version`. A file of a later version is refused, one of an earlier version is brought up step by step. */
export const SCHEMA_VERSION = 3;

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
  `
  -- Two pipelines may make different records of one detection: it is there once for each chain of processors.
  CREATE TABLE detections_2 (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    uid       TEXT NOT NULL,
    time      TEXT NOT NULL,
    stored_at INTEGER NOT NULL,
    rule      TEXT NOT NULL,
    priority  TEXT NOT NULL,
    source    TEXT NOT NULL,
    detection TEXT NOT NULL,
    record    TEXT NOT NULL,
    resource  INTEGER NOT NULL REFERENCES origins (id),
    scope     INTEGER NOT NULL REFERENCES origins (id),
    chain     TEXT NOT NULL,
    UNIQUE (uid, chain)
  ) STRICT;
  INSERT INTO detections_2 SELECT *, 'logs' FROM detections;
  -- The highest number given so far stays the highest, also if the table is empty.
  DELETE FROM sqlite_sequence WHERE name = 'detections_2';
  UPDATE sqlite_sequence SET name = 'detections_2' WHERE name = 'detections';
  DROP TABLE detections;
  ALTER TABLE detections_2 RENAME TO detections;

  -- Set by \`shikra deadletter retry\`; the agent sends these again.
  ALTER TABLE dead_letters ADD COLUMN retry INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX dead_letters_retry ON dead_letters (exporter) WHERE retry = 1;
  `,
  `
  -- What an exporter has opened at its receiver (incidents of PagerDuty, alerts of Opsgenie) and is to close after a quiet time.
  CREATE TABLE open_incidents (
    exporter  TEXT NOT NULL,
    incident  TEXT NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (exporter, incident)
  ) STRICT, WITHOUT ROWID;
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
