import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { toLogRecord } from '../../collector/detection/log-record.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import { type DeliveringExporter, Delivery, type ExportOutcome } from '../../exporters/helper/index.ts';
import { Store, type StoredDetection, StoreProcessor } from '../../exporters/store/index.ts';
import { detections } from '../fixtures/detections.ts';
import { ManualClock } from '../fixtures/manual-clock.ts';
import { memoryLogger, metricValue } from '../fixtures/pipeline.ts';

interface Settings {
  readonly batchCount?: number;
  readonly batchBytes?: number;
}

/** A delivery with an exporter that answers as told, a store in memory, and a clock that the test moves. */
function arrange(
  test: TestContext,
  answer: (seqs: number[], signal: AbortSignal) => ExportOutcome | Promise<ExportOutcome>,
  settings: Settings = {},
  accepts?: (item: StoredDetection) => boolean,
  givesWay?: () => boolean,
) {
  const { logger, lines } = memoryLogger();
  const metrics = createMetrics({ defaultMetrics: false });
  const store = new Store({ path: ':memory:', max_age: 1e9, max_bytes: 1e9 }, { logger, metrics });
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({}),
    processors: [new StoreProcessor(store)],
  });
  const clock = new ManualClock();
  const calls: number[][] = [];
  let inFlight = 0;
  const exporter: DeliveringExporter = {
    kind: 'delivering',
    start: async () => {},
    shutdown: async () => {},
    async export(batch, signal) {
      assert.equal(++inFlight, 1, 'one batch in flight');
      const seqs = batch.map(({ seq }) => seq);
      calls.push(seqs);
      try {
        return await answer(seqs, signal);
      } finally {
        inFlight--;
      }
    },
  };
  const delivery = new Delivery({ id: 'sink', exporter, store, logger, metrics, clock, settings, accepts, givesWay });
  test.after(async () => {
    await Promise.all([delivery.shutdown(0), clock.run(1e9)]);
    store.close();
  });
  const emit = (count: number, first = 0) => {
    for (const one of detections(count, first)) provider.getLogger('test').emit(toLogRecord(one));
    store.flush();
  };
  return { delivery, store, metrics, clock, calls, lines, emit };
}

const success = (): ExportOutcome => ({ status: 'success' });

it('starts a new exporter at the end of the store', async (test) => {
  const { delivery, emit, calls } = arrange(test, success);
  emit(3);
  await delivery.start();
  emit(2, 3);
  assert.equal(await delivery.forceFlush(), true);
  assert.deepEqual(calls, [[4, 5]]);
});

it('forms batches by count and by bytes', async (test) => {
  const { delivery, emit, calls, store } = arrange(test, success, { batchCount: 4 });
  await delivery.start();
  emit(10);
  assert.equal(await delivery.forceFlush(), true);
  assert.deepEqual(
    calls.map((seqs) => seqs.length),
    [4, 4, 2],
  );
  const [one] = store.read(0, 1, 1);
  assert.equal(store.read(0, 10, one!.bytes * 2.5).length, 2);
  assert.equal(store.read(0, 10, 1).length, 1, 'one that is larger than a batch goes alone');
});

it('gives way as long as much waits to be stored, but for a batch in two seconds', async (test) => {
  let busy = true;
  const { delivery, emit, calls, clock } = arrange(test, success, { batchCount: 1 }, undefined, () => busy);
  emit(1);
  await delivery.start();
  emit(3, 1);
  const looks = async (count: number) => {
    for (let look = 0; look < count; look++) assert.equal(await clock.nextSleep((millis) => millis !== 10_000), 20);
  };
  await looks(99);
  assert.deepEqual(calls, []);
  await looks(2);
  assert.deepEqual(calls, [[2]], 'after two seconds');
  busy = false;
  assert.equal(await delivery.forceFlush(), true);
  assert.deepEqual(calls, [[2], [3], [4]]);
});

it('does not give way when it is to end', async (test) => {
  const { delivery, emit, calls } = arrange(test, success, {}, undefined, () => true);
  await delivery.start();
  emit(2);
  await delivery.shutdown(1000);
  assert.deepEqual(calls, [[1, 2]]);
});

it('waits 0.5 s after a failure and twice as long after each further one, up to 30 s', async (test) => {
  const { delivery, emit, clock } = arrange(test, () => ({ status: 'retryable', reason: 'away' }));
  await delivery.start();
  emit(1);
  const pauses: number[] = [];
  while (pauses.length < 9) pauses.push(await clock.nextSleep((millis) => millis !== 10_000));
  assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

it('waits as long as the receiver asks if that is longer', async (test) => {
  const { delivery, emit, clock } = arrange(test, () => ({ status: 'retryable', reason: 'busy', afterMillis: 7000 }));
  await delivery.start();
  emit(1);
  assert.equal(await clock.nextSleep((millis) => millis !== 10_000), 7000);
});

it('starts the pauses anew after a success', async (test) => {
  const outcomes: ExportOutcome['status'][] = ['retryable', 'retryable', 'success', 'retryable', 'success'];
  const { delivery, emit, clock } = arrange(test, () => ({ status: outcomes.shift() ?? 'success', reason: 'away' }), {
    batchCount: 1,
  });
  await delivery.start();
  emit(2);
  const pause = () => clock.nextSleep((millis) => millis !== 10_000);
  assert.deepEqual([await pause(), await pause(), await pause()], [500, 1000, 500]);
});

it('halves a refused batch until the record at fault is alone, and parks that one', async (test) => {
  const { delivery, emit, calls, store } = arrange(test, (seqs) =>
    seqs.includes(6) ? { status: 'permanent', reason: 'bad' } : success(),
  );
  await delivery.start();
  emit(8);
  assert.equal(await delivery.forceFlush(), true);
  assert.deepEqual(calls, [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [5, 6, 7, 8], [5, 6], [5], [6], [7, 8]]);
  assert.deepEqual(
    store.deadLetters.list({ exporter: 'sink' }).map(({ item, reason }) => [item.seq, reason]),
    [[6, 'bad']],
  );
});

it('takes an exception for a failure that may pass', async (test) => {
  let calls = 0;
  const { delivery, emit, clock, metrics } = arrange(test, () => {
    if (calls++ === 0) throw new Error('a mistake in an exporter');
    return success();
  });
  await delivery.start();
  emit(1);
  await clock.nextSleep((millis) => millis === 500);
  assert.equal(await delivery.forceFlush(), true);
  assert.equal(await metricValue(metrics, 'shikra_exporter_retries_total', { exporter: 'sink' }), 1);
});

it('aborts an export that takes longer than the time limit and sends the batch again', async (test) => {
  let aborted = false;
  const { delivery, emit, clock, calls } = arrange(test, (_seqs, signal) => {
    if (calls.length > 1) return success();
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        aborted = true;
        resolve({ status: 'retryable', reason: 'aborted' });
      });
    });
  });
  await delivery.start();
  emit(1);
  await clock.nextSleep((millis) => millis === 10_000);
  await clock.nextSleep((millis) => millis === 500);
  assert.equal(await delivery.forceFlush(), true);
  assert.equal(aborted, true);
  assert.deepEqual(calls, [[1], [1]]);
});

it('delivers at shutdown what is stored, then nothing more', async (test) => {
  const { delivery, emit, calls } = arrange(test, success, { batchCount: 2 });
  await delivery.start();
  emit(5);
  await Promise.all([delivery.shutdown(), delivery.shutdown()]);
  emit(5, 5);
  await delivery.shutdown();
  assert.deepEqual(calls, [[1, 2], [3, 4], [5]]);
  assert.equal(await delivery.forceFlush(), true);
});

it('gives up at shutdown when the receiver does not answer, and keeps its place', async (test) => {
  const { delivery, emit, clock, store } = arrange(test, () => new Promise(() => {}));
  await delivery.start();
  emit(5);
  const ended = delivery.shutdown(3000);
  await clock.nextSleep((millis) => millis === 3000);
  await ended;
  assert.equal(store.openCursor('sink'), 0);
});

it('logs an outage once for every doubling of the failures', async (test) => {
  const { delivery, emit, clock, lines } = arrange(test, () => ({ status: 'retryable', reason: 'away' }));
  await delivery.start();
  emit(1);
  for (let failures = 0; failures < 20; failures++) await clock.nextSleep((millis) => millis !== 10_000);
  assert.deepEqual(
    lines.filter(({ msg }) => msg === 'delivery failed, it will be tried again').map(({ failures }) => failures),
    [1, 2, 4, 8, 16],
  );
});

it('parks those of a batch that the receiver names, and takes the others for delivered', async (test) => {
  const { delivery, emit, calls, store, metrics } = arrange(test, () => ({
    status: 'success',
    refused: [
      { index: 1, reason: 'no' },
      { index: 3, reason: 'never' },
    ],
  }));
  await delivery.start();
  emit(4);
  assert.equal(await delivery.forceFlush(), true);
  assert.deepEqual(calls, [[1, 2, 3, 4]]);
  assert.deepEqual(
    store.deadLetters.list().map(({ item, reason }) => [item.seq, reason]),
    [
      [4, 'never'],
      [2, 'no'],
    ],
  );
  const counted = (outcome: string) => metricValue(metrics, 'shikra_exporter_records_total', { outcome });
  assert.deepEqual([await counted('delivered'), await counted('dead_letter')], [2, 2]);
});

it('sends in full batches what a filter lets pass, and looks at the rest once', async (test) => {
  let looks = 0;
  const isMine = ({ seq }: StoredDetection) => {
    looks++;
    return seq % 10 === 0;
  };
  const { delivery, emit, calls, store, metrics } = arrange(test, success, { batchCount: 4 }, isMine);
  await delivery.start();
  emit(105);
  assert.equal(await delivery.forceFlush(), true);
  assert.deepEqual(calls, [
    [10, 20, 30, 40],
    [50, 60, 70, 80],
    [90, 100],
  ]);
  assert.equal(looks, 105);
  assert.equal(store.backlog('sink'), 0);
  assert.equal(await metricValue(metrics, 'shikra_exporter_records_total', { outcome: 'filtered' }), 95);
});

it('counts what it passes over once, however often the receiver fails', async (test) => {
  let calls = 0;
  const answer = (): ExportOutcome => (calls++ < 3 ? { status: 'retryable', reason: 'away' } : success());
  const { delivery, emit, clock, metrics } = arrange(test, answer, {}, ({ seq }) => seq === 5);
  await delivery.start();
  emit(9);
  for (let pause = 0; pause < 3; pause++) await clock.nextSleep((millis) => millis !== 10_000);
  assert.equal(await delivery.forceFlush(), true);
  assert.equal(await metricValue(metrics, 'shikra_exporter_records_total', { outcome: 'filtered' }), 8);
});

it('keeps its place on disk when it ends, also if it passed over all', async (test) => {
  const { delivery, emit, store } = arrange(test, success, {}, () => false);
  await delivery.start();
  emit(9);
  await delivery.forceFlush();
  await delivery.shutdown();
  assert.equal(store.openCursor('sink'), 9);
});

it('sends dead letters again when asked, after what is new, and keeps those that are refused again', async (test) => {
  let isWell = false;
  const { delivery, emit, calls, store } = arrange(test, (seqs) =>
    !isWell || seqs.includes(2) ? { status: 'permanent', reason: isWell ? 'still no' : 'no' } : success(),
  );
  await delivery.start();
  emit(3);
  await delivery.forceFlush();
  assert.equal(store.deadLetters.count(), 3);
  isWell = true;
  calls.length = 0;
  store.deadLetters.request({});
  emit(1, 3);
  await delivery.forceFlush();
  while (store.deadLetters.count() !== 1 || store.deadLetters.requested('sink', 1).length > 0)
    await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(calls, [[4], [1, 2, 3], [1], [2, 3], [2], [3]]);
  assert.deepEqual(
    store.deadLetters.list().map(({ item, reason }) => [item.seq, reason]),
    [[2, 'still no']],
  );
});
