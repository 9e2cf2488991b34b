/** What PagerDuty and Opsgenie were told to open, they are told to close: also by the agent's next start. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import { OpenIncidents } from '../../exporters/helper/open-incidents.ts';
import type { IncidentLog } from '../../exporters/store/index.ts';
import { detection } from '../fixtures/detections.ts';
import { HttpReceiver, type ReceivedRequest } from '../fixtures/http-receiver.ts';
import { memoryLogger, metricValue, startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

interface Kind {
  readonly type: string;
  readonly config: (url: string, quiet: string) => object;
  readonly isClosing: (request: ReceivedRequest) => boolean;
  readonly keyOf: (request: ReceivedRequest) => string;
}

const KINDS: readonly Kind[] = [
  {
    type: 'pagerduty',
    config: (url, resolve_after) => ({ url, resolve_after, routing_key: 'R1' }),
    isClosing: ({ body }) => JSON.parse(body).event_action === 'resolve',
    keyOf: ({ body }) => JSON.parse(body).dedup_key,
  },
  {
    type: 'opsgenie',
    config: (url, close_after) => ({ url, close_after, api_key: 'K1' }),
    isClosing: ({ path }) => path.includes('/close?'),
    keyOf: ({ path, body }) => JSON.parse(body).alias ?? /\/([0-9a-f]+)\/close/.exec(path)?.[1],
  },
];

async function arrange(test: TestContext, { type, config, isClosing, keyOf }: Kind) {
  const receiver = await new HttpReceiver().listen(test);
  const store = join(temporaryFolder(test), 's.db');
  return {
    receiver,
    start: async (quiet: string) => {
      const pipeline = await startPipeline({ store, exporters: { [type]: config(receiver.url, quiet) } });
      test.after(() => pipeline.shutdown(0));
      const count = (name: string, labels = {}) => metricValue(pipeline.metrics, name, { exporter: type, ...labels });
      return Object.assign(pipeline, { count });
    },
    keys: (closing: boolean) =>
      receiver.taken.filter(({ request }) => isClosing(request) === closing).map(({ request }) => keyOf(request)),
  };
}

async function emit(pipeline: Awaited<ReturnType<typeof startPipeline>>, ...rules: string[]): Promise<void> {
  rules.forEach((rule, index) => {
    pipeline.emit(detection(index, { rule }));
  });
  await new Promise((resolve) => setImmediate(resolve));
  while (!(await pipeline.forceFlush()));
}

for (const kind of KINDS) {
  it(`closes at ${kind.type} after a restart what was opened before it, and once`, async (test) => {
    const { receiver, start, keys } = await arrange(test, kind);
    const first = await start('1h');
    await emit(first, 'one', 'two', 'one');
    assert.equal(await first.count('shikra_exporter_open_incidents'), 2);
    await first.shutdown(0);
    assert.deepEqual(keys(true), []);

    const second = await start('20ms');
    await receiver.until(() => keys(true).length === 2);
    assert.deepEqual(keys(true).sort(), [...new Set(keys(false))].sort());
    while ((await second.count('shikra_exporter_open_incidents')) !== 0)
      await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await second.count('shikra_exporter_incidents_total', { outcome: 'closed' }), 2);
    await second.shutdown(0);

    const third = await start('20ms');
    assert.equal(await third.count('shikra_exporter_open_incidents'), 0);
    await emit(third, 'three');
    await receiver.until(() => keys(true).length === 3);
    assert.equal(new Set(keys(true)).size, 3, 'nothing was closed twice');
  });

  it(`leaves to people what ${kind.type} has open when nothing is to be closed any more`, async (test) => {
    const { receiver, start, keys } = await arrange(test, kind);
    const first = await start('1h');
    await emit(first, 'one');
    await first.shutdown(0);
    await (await start('0s')).shutdown(0);

    const third = await start('20ms');
    await emit(third, 'two');
    await receiver.until(() => keys(true).length === 1);
    assert.deepEqual(keys(true), [keys(false)[1]]);
  });
}

/** The incidents of a store, in memory, with a disk that fails if told to. */
function memoryLog(): { log: IncidentLog; kept: Map<string, number>; disk: { fails: boolean } } {
  const kept = new Map<string, number>();
  const disk = { fails: false };
  const write = (work: () => void) => {
    if (disk.fails) throw new Error('database or disk is full');
    work();
  };
  const log: IncidentLog = {
    open: () => kept,
    seen: (key, at) => write(() => kept.set(key, at)),
    closed: (key) => write(() => kept.delete(key)),
  };
  return { log, kept, disk };
}

it('remembers a thousand, forgets the oldest beyond, and counts that', async (test) => {
  const { log, kept } = memoryLog();
  const metrics = createMetrics({ defaultMetrics: false });
  const { logger, lines } = memoryLogger();
  const context = { id: 'pd', logger, metrics, incidents: log };
  const incidents = new OpenIncidents({
    quietMillis: 3_600_000,
    context,
    resolve: async () => ({ status: 'success' }),
  });
  incidents.start();
  test.after(() => incidents.stop());
  for (let index = 0; index < 1003; index++) incidents.seen(`key ${index}`);
  assert.equal(kept.size, 1000);
  assert.ok(!kept.has('key 2') && kept.has('key 3'));
  const count = await metricValue(metrics, 'shikra_exporter_incidents_total', { exporter: 'pd', outcome: 'forgotten' });
  assert.equal(count, 3);
  assert.equal(lines.length, 3);
});

it('closes what it knows also while the disk fails, and says that a restart would not', async (test) => {
  const { log, kept, disk } = memoryLog();
  disk.fails = true;
  const metrics = createMetrics({ defaultMetrics: false });
  const { logger, lines } = memoryLogger();
  const closed = Promise.withResolvers<string>();
  const incidents = new OpenIncidents({
    quietMillis: 20,
    context: { id: 'pd', logger, metrics, incidents: log },
    resolve: async (key) => {
      closed.resolve(key);
      return { status: 'success' };
    },
  });
  incidents.start();
  test.after(() => incidents.stop());
  incidents.seen('key');
  assert.equal(await closed.promise, 'key');
  assert.equal(kept.size, 0);
  assert.equal(lines[0]!.msg, 'the store cannot note which incidents are open');
  assert.ok((await metricValue(metrics, 'shikra_store_errors_total', { operation: 'write' }))! >= 1);
});
