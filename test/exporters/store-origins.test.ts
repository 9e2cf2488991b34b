/**
 * Whoever may send to the otlp receiver says whose detections they are. The table of resources and scopes grew with every name that somebody made up, and nothing ever left it:
 * on disk without end, and in memory.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { toLogRecord } from '../../collector/detection/log-record.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import { Store, StoreProcessor } from '../../exporters/store/index.ts';
import { detection } from '../fixtures/detections.ts';
import { memoryLogger, metricValue, temporaryFolder } from '../fixtures/pipeline.ts';

const DAY = 86_400_000;
const MOST = 4096;
const SCOPE = 'test';

function arrange(t: TestContext, path = join(temporaryFolder(t), 'store.db')) {
  const { logger, lines } = memoryLogger();
  const metrics = createMetrics({ defaultMetrics: false });
  const time = { now: 1_800_000_000_000 };
  const store = new Store({ path, max_age: DAY, max_bytes: 1e9 }, { logger, metrics, now: () => time.now });
  t.after(() => store.close());
  let emitted = 0;
  const emitFor = (resource: Resource) => {
    const provider = new LoggerProvider({ resource, processors: [new StoreProcessor(store)] });
    provider.getLogger(SCOPE).emit(toLogRecord(detection(emitted++)));
  };
  const unshared = () => metricValue(metrics, 'shikra_store_unshared_origins_total', {});
  const shared = () => metricValue(metrics, 'shikra_store_origins', {});
  const inTable = () => {
    const database = new DatabaseSync(path, { readOnly: true });
    const { rows } = database.prepare('SELECT count(*) AS rows FROM origins').get() as { rows: number };
    database.close();
    return rows;
  };
  return { store, time, path, lines, emitFor, unshared, shared, inTable };
}

const node = (name: string, more: Record<string, string> = {}) =>
  resourceFromAttributes({ 'host.name': name, ...more }, { schemaUrl: 'https://opentelemetry.io/schemas/1.37.0' });

const namesIn = (store: Store, after = 0) =>
  store.read(after, 10_000, 1e9).map(({ record }) => record.resource.attributes['host.name']);

describe('origins of detections', () => {
  it('are kept with the detection when there are too many: counted, told, and nothing of them lost', async (t) => {
    const { store, path, lines, emitFor, unshared, inTable } = arrange(t);
    const names = Array.from({ length: MOST + 20 }, (_, index) => `made-up-${index}`);
    for (const name of names) emitFor(node(name));
    store.flush();
    assert.equal(inTable(), MOST);
    assert.equal(await unshared(), 21, 'the scope took a place too');
    const warnings = lines.filter(({ msg }) => String(msg).includes('somebody may be making senders up'));
    assert.equal(warnings.length, 1);

    // As an exporter gets them that keeps up, and as one does that comes later.
    for (const each of [store, arrange(t, path).store]) {
      assert.deepEqual(namesIn(each), names);
      const { record } = each.read(MOST + 10, 1, 1e6)[0]!;
      assert.equal(record.resource.schemaUrl, 'https://opentelemetry.io/schemas/1.37.0');
      assert.equal(record.instrumentationScope.name, SCOPE);
    }
  });

  it('are kept with the detection when they are long', async (t) => {
    const { store, path, emitFor, unshared, inTable } = arrange(t);
    const long = node('long', { text: 'x'.repeat(100_000) });
    emitFor(long);
    emitFor(node('short'));
    store.flush();
    assert.equal(inTable(), 2, 'the short one and the scope');
    assert.equal(await unshared(), 1);
    const [first] = arrange(t, path).store.read(0, 1, 1e6);
    assert.deepEqual(first!.record.resource.attributes, long.attributes);
  });

  it('go when the last detection goes that names them, and make room for others', async (t) => {
    const { store, time, emitFor, unshared, shared, inTable } = arrange(t);
    const cursor = store.openCursor('otlp');
    const own = node('own');
    for (let index = 0; index < MOST + 5; index++) emitFor(node(`made-up-${index}`));
    emitFor(own);
    store.flush();
    const before = await unshared();
    store.advance('otlp', store.lastSeq);
    time.now += 2 * DAY;
    // A pass of retention takes some thousand rows.
    for (let pass = 0; pass < 3; pass++) store.retain();
    assert.deepEqual(namesIn(store, cursor), []);
    assert.equal(inTable(), 0);
    assert.equal(await shared(), 0);
    emitFor(own);
    emitFor(node('new'));
    store.flush();
    assert.equal(await unshared(), before);
    assert.deepEqual(namesIn(store, cursor), ['own', 'new']);
  });

  it('stay as long as a dead letter names them', async (t) => {
    const { store, time, path, emitFor, inTable } = arrange(t);
    store.openCursor('otlp');
    emitFor(node('refused'));
    emitFor(node('taken'));
    store.flush();
    const [refused] = store.read(0, 1, 1e6);
    time.now += DAY - 1;
    store.advance('otlp', store.lastSeq, [{ item: refused!, reason: 'HTTP 400' }]);
    time.now += 2;
    store.retain();
    assert.equal(inTable(), 2, 'the resource of the dead letter, and the scope');
    const [letter] = arrange(t, path).store.deadLetters.list();
    assert.equal(letter!.item.record.resource.attributes['host.name'], 'refused');
    assert.equal(letter!.item.record.instrumentationScope.name, SCOPE);
  });

  it('of a store from before the start go too', async (t) => {
    const { store, path, emitFor } = arrange(t);
    emitFor(node('before'));
    store.close();
    const later = arrange(t, path);
    later.time.now += 2 * DAY;
    later.emitFor(node('after'));
    later.store.flush();
    later.store.retain();
    assert.deepEqual(namesIn(later.store), ['after']);
    assert.equal(later.inTable(), 2, 'its resource, and the scope');
  });
});
