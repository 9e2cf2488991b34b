import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { it, type TestContext } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { toLogRecord } from '../../collector/detection/log-record.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import { Store, type StoreConfig, StoreProcessor } from '../../exporters/store/index.ts';
import { detection, detections } from '../fixtures/detections.ts';
import { memoryLogger, metricValue, temporaryFolder } from '../fixtures/pipeline.ts';

const DAY = 86_400_000;

function arrange(test: TestContext, config: Partial<StoreConfig> = {}) {
  const { logger, lines } = memoryLogger();
  const metrics = createMetrics({ defaultMetrics: false });
  const time = { now: 1_800_000_000_000 };
  const path = config.path ?? join(temporaryFolder(test), 'deep', 'store.db');
  const store = new Store({ max_age: DAY, max_bytes: 1e9, ...config, path }, { logger, metrics, now: () => time.now });
  test.after(() => store.close());
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': 'shikra' }),
    processors: [new StoreProcessor(store)],
  });
  const emit = (...list: ReturnType<typeof detections>) => {
    for (const one of list) provider.getLogger('test').emit(toLogRecord(one));
  };
  const count = (name: string, labels: Record<string, string>) => metricValue(metrics, name, labels);
  return { store, emit, metrics, count, lines, time, path };
}

const stored = (store: Store) => new Promise<void>((resolve) => store.onStored(() => resolve()));

it('gives back detection and record as they were, large integers and nanoseconds included', async (test) => {
  const { store, emit, path } = arrange(test);
  const one = detection(1, {
    output_fields: { 'evt.time': 1_795_000_000_123_456_790n, big: 2n ** 63n, 'fd.name': null },
  });
  emit(one);
  await stored(store);
  // As an exporter gets it that keeps up, and as one does that comes later.
  for (const each of [store, arrange(test, { path }).store]) {
    const [item] = each.read(0, 10, 1e6);
    assert.deepEqual(item!.detection, one);
    assert.deepEqual(item!.record.hrTime, [1_795_000_000, 123_456_790]);
    assert.equal(item!.record.eventName, 'shikra.detection');
    assert.equal(item!.record.resource.attributes['service.name'], 'shikra');
    assert.equal(item!.record.attributes['log.record.uid'], one.uuid);
  }
});

it('reads the same whether what was stored last is still at hand or only the disk has it', async (test) => {
  const { store, emit, path } = arrange(test);
  const output = 'x'.repeat(50_000); // so that only the last hundred are at hand
  emit(...detections(300).map((one) => ({ ...one, output })));
  store.flush();
  const other = arrange(test, { path }).store;
  for (const after of [0, 1, 150, 250, 298, 299, 300]) {
    const [here, there] = [store, other].map((each) => each.read(after, 40, 1e9));
    assert.deepEqual(
      here!.map(({ seq, uid }) => [seq, uid]),
      there!.map(({ seq, uid }) => [seq, uid]),
    );
    assert.deepEqual(
      here!.map(({ record }) => record.attributes),
      there!.map(({ record }) => record.attributes),
    );
  }
});

it('gives every record of one resource the same resource object', async (test) => {
  const { store, emit } = arrange(test);
  emit(...detections(3));
  await stored(store);
  const records = store.read(0, 10, 1e6).map((item) => item.record);
  assert.equal(new Set(records.map((record) => record.resource)).size, 1);
  assert.equal(new Set(records.map((record) => record.instrumentationScope)).size, 1);
});

it('writes one transaction per turn of the event loop', async (test) => {
  const { store, emit } = arrange(test);
  const told: number[] = [];
  store.onStored((last) => told.push(last));
  emit(...detections(100));
  await stored(store);
  emit(...detections(3, 100));
  await stored(store);
  assert.deepEqual(told, [100, 103]);
});

it('keeps a detection once, however often it comes', async (test) => {
  const { store, emit, count } = arrange(test);
  const one = detection();
  emit(one, one);
  await stored(store);
  assert.equal(store.read(0, 10, 1e6).length, 1);
  assert.equal(await count('shikra_store_records_total', { outcome: 'duplicate' }), 1);
});

it('keeps detections in memory while another process holds the file, and writes them after', async (test) => {
  const { store, emit, count, path } = arrange(test);
  const other = new DatabaseSync(path);
  other.exec('BEGIN EXCLUSIVE');
  emit(...detections(5));
  assert.equal(store.flush(), false);
  assert.equal(store.pending, 5);
  assert.equal(store.failing, true);
  assert.equal(await count('shikra_store_errors_total', { operation: 'write' }), 1);
  other.exec('COMMIT');
  other.close();
  await stored(store);
  assert.equal(store.pending, 0);
  assert.equal(store.read(0, 10, 1e6).length, 5);
  assert.equal(await count('shikra_store_records_total', { outcome: 'lost' }), 0);
});

it('loses the least severe, oldest detection when disk and memory are full, and counts it', async (test) => {
  const { store, emit, count, path, lines } = arrange(test, { max_pending: 3 });
  const other = new DatabaseSync(path);
  other.exec('BEGIN EXCLUSIVE');
  const [first, second, third, fourth] = [
    detection(1, { priority: 'Critical' }),
    detection(2, { priority: 'Notice' }),
    detection(3, { priority: 'Notice' }),
    detection(4),
  ];
  emit(first!, second!, third!, fourth!);
  other.exec('COMMIT');
  other.close();
  assert.equal(store.flush(), true);
  assert.deepEqual(
    store.read(0, 10, 1e6).map((item) => item.uid),
    [first!.uuid, third!.uuid, fourth!.uuid],
  );
  assert.equal(await count('shikra_store_records_total', { outcome: 'lost' }), 1);
  assert.ok(lines.some(({ msg }) => String(msg).startsWith('a detection was lost')));
});

/** A disk of its own, small enough to be filled. */
function smallDisk(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'shikra-test', folder]);
  test.after(() => {
    execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

const MOUNTS = { skip: process.getuid?.() !== 0 && 'needs root, to mount a small disk' };

it('makes room on a full disk out of what is delivered, and loses nothing', MOUNTS, (test) => {
  const { store, emit, lines } = arrange(test, { path: join(smallDisk(test), 'store.db') });
  const _count = failures(lines);
  store.openCursor('otlp');
  for (let first = 0; first < 9000; first += 50) {
    emit(...detections(50, first));
    for (let tries = 0; !store.flush(); tries++) assert.ok(tries < 5, JSON.stringify(lines.at(-1)));
    store.advance('otlp', store.lastSeq);
  }
  assert.ok(store.read(0, 1, 1)[0]!.seq > 1, 'the disk was full');
  assert.equal(store.pending, 0);
  assert.equal(store.lastSeq, 9000);
  assert.equal(store.query({ limit: 1 })[0]!.detection.output, detection(8999).output);
});

it('keeps on a full disk what an exporter has yet to deliver, and goes on as it delivers', MOUNTS, (test) => {
  const { store, emit, lines } = arrange(test, { path: join(smallDisk(test), 'store.db') });
  const count = failures(lines);
  store.openCursor('otlp');
  for (let first = 0; !store.failing; first += 50) {
    emit(...detections(50, first));
    store.flush();
  }
  const onDisk = store.lastSeq;
  assert.equal(store.read(0, 10_000, 1e9).length, onDisk, 'nothing was removed');
  assert.equal(store.pending, 50);
  assert.equal(store.flush(), false);
  assert.ok(count() >= 2);
  // The cursor must move although the disk is full, or there would never be room again.
  store.advance('otlp', onDisk);
  for (let tries = 0; !store.flush(); tries++) assert.ok(tries < 5, JSON.stringify(lines.at(-1)));
  assert.equal(store.lastSeq, onDisk + 50);
});

/** How often writing failed, by the log. */
function failures(lines: readonly Record<string, unknown>[]): () => number {
  return () => lines.filter(({ msg }) => String(msg).startsWith('the store failed to write')).length;
}

it('removes by age only what every exporter has', async (test) => {
  const { store, emit, count, time } = arrange(test);
  store.openCursor('quick');
  store.openCursor('slow');
  emit(...detections(10));
  store.flush();
  store.advance('quick', 10);
  store.advance('slow', 4);
  time.now += 2 * DAY;
  store.retain();
  assert.deepEqual(
    store.read(0, 100, 1e6).map(({ seq }) => seq),
    [5, 6, 7, 8, 9, 10],
  );
  assert.equal(await count('shikra_store_records_total', { outcome: 'expired' }), 4);
  store.advance('slow', 10);
  store.retain();
  assert.equal(store.read(0, 100, 1e6).length, 0);
});

it('removes by size the oldest, and counts for each exporter what it did not get', async (test) => {
  const { store, emit, count, lines } = arrange(test, { max_bytes: 300_000 });
  assert.equal(await count('shikra_store_capacity_bytes', {}), 300_000);
  store.openCursor('quick');
  store.openCursor('slow');
  emit(...detections(500));
  store.flush();
  store.advance('quick', 500);
  store.retain();
  const left = store.read(0, 1000, 1e9).length;
  assert.ok(left > 50 && left < 300, `${left} left`);
  assert.equal(store.read(0, 1, 1)[0]!.seq, 500 - left + 1);
  assert.equal(await count('shikra_exporter_records_total', { exporter: 'slow', outcome: 'expired' }), 500 - left);
  assert.equal(await count('shikra_exporter_records_total', { exporter: 'quick', outcome: 'expired' }), undefined);
  assert.ok(lines.some(({ exporter, count: lost }) => exporter === 'slow' && lost === 500 - left));
});

it('never gives a sequence number twice, even after everything was removed', async (test) => {
  const { store, emit, time, path } = arrange(test);
  emit(...detections(5));
  store.flush();
  time.now += 2 * DAY;
  store.retain();
  store.close();
  const again = arrange(test, { path });
  again.emit(detection(99));
  again.store.flush();
  assert.equal(again.store.read(0, 1, 1)[0]!.seq, 6);
});

it('finds detections for a reader, newest first', async (test) => {
  const { store, emit } = arrange(test);
  emit(detection(1), detection(2, { rule: 'Other', priority: 'Error' }), detection(3));
  store.flush();
  assert.deepEqual(
    store.query().map(({ seq }) => seq),
    [3, 2, 1],
  );
  assert.deepEqual(
    store.query({ rule: 'Other' }).map(({ seq }) => seq),
    [2],
  );
  assert.deepEqual(
    store.query({ search: 'number=1' }).map(({ seq }) => seq),
    [1],
  );
  assert.deepEqual(
    store.query({ before: 3, limit: 1 }).map(({ seq }) => seq),
    [2],
  );
});

it('says what is wrong with a file that it cannot use', (test) => {
  const folder = temporaryFolder(test);
  const broken = join(folder, 'broken.db');
  writeFileSync(broken, 'this is no database, but it is long enough to be looked at'.repeat(20));
  assert.throws(() => arrange(test, { path: broken }), {
    code: 'STORE_UNUSABLE',
    message: `the detection store cannot be used: ${broken}: file is not a database`,
  });
  const isFolder = join(folder, 'folder.db');
  mkdirSync(isFolder);
  assert.throws(() => arrange(test, { path: isFolder }), { code: 'STORE_UNUSABLE' });
  const later = join(folder, 'later.db');
  const database = new DatabaseSync(later);
  database.exec('PRAGMA user_version = 99');
  database.close();
  assert.throws(() => arrange(test, { path: later }), {
    message: `the detection store cannot be used: ${later}: its schema is of version 99, this program knows up to 3`,
  });
});

it('commits to the disk, not only to the kernel', (test) => {
  const { path } = arrange(test);
  const database = new DatabaseSync(path);
  assert.equal(database.prepare('PRAGMA journal_mode').get()?.journal_mode, 'wal');
  database.close();
});

it('brings a file of the first version up, with its cursors and the numbers that were given', (test) => {
  const path = join(temporaryFolder(test), 'old.db');
  const database = new DatabaseSync(path);
  database.exec(`
    CREATE TABLE origins (id INTEGER PRIMARY KEY, json TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE detections (
      seq INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, time TEXT NOT NULL, stored_at INTEGER NOT NULL, rule TEXT NOT NULL,
      priority TEXT NOT NULL, source TEXT NOT NULL, detection TEXT NOT NULL, record TEXT NOT NULL,
      resource INTEGER NOT NULL REFERENCES origins (id), scope INTEGER NOT NULL REFERENCES origins (id)
    ) STRICT;
    CREATE TABLE cursors (exporter TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE dead_letters (
      exporter TEXT NOT NULL, seq INTEGER NOT NULL, uid TEXT NOT NULL, failed_at INTEGER NOT NULL, reason TEXT NOT NULL,
      detection TEXT NOT NULL, record TEXT NOT NULL, resource INTEGER NOT NULL, scope INTEGER NOT NULL, PRIMARY KEY (exporter, seq)
    ) STRICT;
    INSERT INTO origins VALUES (1, '{"a":{}}');
    INSERT INTO detections VALUES (41, 'u41', 't', 1, 'r', 'Debug', 's', '{"uuid":"u41"}', '{"t":[0,0],"o":[0,0],"a":{}}', 1, 1);
    INSERT INTO detections VALUES (42, 'u42', 't', 1, 'r', 'Debug', 's', '{"uuid":"u42"}', '{"t":[0,0],"o":[0,0],"a":{}}', 1, 1);
    DELETE FROM detections WHERE seq = 42;
    INSERT INTO cursors VALUES ('sink', 40);
    INSERT INTO dead_letters VALUES ('sink', 7, 'u7', ${Date.now()}, 'no', '{"uuid":"u7"}', '{"t":[0,0],"o":[0,0],"a":{}}', 1, 1);
    PRAGMA user_version = 1`);
  database.close();
  const { store, emit } = arrange(test, { path });
  assert.equal(store.openCursor('sink'), 40);
  assert.equal(store.lastSeq, 42, 'a number is never given twice');
  emit(detection(1));
  store.flush();
  assert.deepEqual(
    store.read(40, 10, 1e6).map(({ seq, chain }) => [seq, chain]),
    [
      [41, 'logs'],
      [43, 'logs'],
    ],
  );
  assert.deepEqual(
    store.deadLetters.list().map(({ item, retry }) => [item.uid, retry]),
    [['u7', false]],
  );
});
