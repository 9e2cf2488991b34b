/** What is open is sent again and again, beside delivery: an Alertmanager that starts anew has forgotten it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { createResource } from '../../collector/pipeline/resource.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import { alertmanagerConfigSchema, createAlertmanagerExporter } from '../../exporters/alertmanager/index.ts';
import { Store, StoreProcessor } from '../../exporters/store/index.ts';
import { detection } from '../fixtures/detections.ts';
import { HttpReceiver } from '../fixtures/http-receiver.ts';
import { ManualClock } from '../fixtures/manual-clock.ts';
import { through } from '../fixtures/memory-processor.ts';
import { memoryLogger, startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

interface Alert {
  readonly labels: { readonly alertname: string };
  readonly startsAt: string;
  readonly endsAt: string;
}

const listsOf = ({ taken }: HttpReceiver) => taken.map(({ request }) => JSON.parse(request.body) as Alert[]);
const namesIn = (lists: readonly Alert[][]) => lists.flat().map(({ labels }) => labels.alertname);

/** The exporter alone, with detections out of a real store, and a clock that the test moves. */
async function arrange(test: TestContext, config: { urls: string[]; [key: string]: unknown }) {
  const { logger, lines } = memoryLogger();
  const metrics = createMetrics({ defaultMetrics: false });
  const store = new Store({ path: ':memory:', max_age: 1e9, max_bytes: 1e9 }, { logger, metrics });
  const emit = through(new StoreProcessor(store));
  const clock = new ManualClock();
  const context = {
    id: 'alertmanager',
    signals: ['logs' as const],
    logger,
    metrics,
    resource: createResource({ version: '1' }),
    ready: () => ({ ready: true, parts: {} }),
    incidents: store.incidents.of('alertmanager'),
  };
  const exporter = createAlertmanagerExporter(alertmanagerConfigSchema.parse(config), context, clock);
  await exporter.start();
  test.after(async () => {
    await exporter.shutdown();
    store.close();
  });
  let last = 0;
  return {
    clock,
    exporter,
    lines,
    /** Resolves when a round begins, and the one before it is over. */
    round: () => clock.nextSleep((millis) => millis === 60_000),
    async deliver(...changes: Parameters<typeof detection>[1][]) {
      emit(...changes.map((change, index) => detection(last + index, change)));
      store.flush();
      const batch = store.read(last, changes.length, Number.POSITIVE_INFINITY);
      last = store.lastSeq;
      return exporter.export(batch, AbortSignal.timeout(60_000));
    },
  };
}

const at = (seconds: number) => new Date(seconds * 1000).toISOString();

it('sends an open alert again every minute as it was, to every Alertmanager, and not after its end', async (test) => {
  const receivers = [await new HttpReceiver().listen(test), await new HttpReceiver().listen(test)];
  const { round, deliver } = await arrange(test, { urls: receivers.map(({ url }) => url), resolve_after: '5m' });
  // It is the thousandth second; the end is five minutes from there.
  await deliver({ time: at(900) });
  for (let minute = 1; minute <= 8; minute++) await round();
  for (const receiver of receivers) {
    const lists = listsOf(receiver);
    assert.equal(lists.length, 5, 'once delivered, and after one, two, three and four minutes');
    for (const list of lists) assert.deepEqual(list, lists[0]);
    assert.deepEqual([lists[0]![0]!.startsAt, lists[0]![0]!.endsAt], [at(900), at(1300)]);
  }
});

it('sends of repeats the first start and the last end', async (test) => {
  const receiver = await new HttpReceiver().listen(test);
  const { round, deliver } = await arrange(test, { urls: [receiver.url], resolve_after: '5m' });
  await deliver({ time: at(900) });
  await round();
  await deliver({ time: at(1060) });
  await round();
  await round();
  const [alert, ...others] = listsOf(receiver).at(-1)!;
  assert.deepEqual([alert!.startsAt, alert!.endsAt, others.length], [at(900), at(1360), 0]);
});

it('delivers while an Alertmanager does not answer what is sent again, and logs each doubling of that', async (test) => {
  const receiver = await new HttpReceiver().listen(test);
  const { round, deliver, lines } = await arrange(test, { urls: [receiver.url], resolve_after: '1h' });
  await deliver({ rule: 'One' });
  receiver.refuse = () => ({ status: 503 });
  for (let minute = 1; minute <= 10; minute++) await round();
  await receiver.until(() => receiver.requests === 11);
  receiver.refuse = () => undefined;
  receiver.faults = ['hang'];
  await round();
  await receiver.until(() => receiver.requests === 12);
  assert.deepEqual(await deliver({ rule: 'Two' }), { status: 'success' });
  assert.deepEqual(namesIn(listsOf(receiver)), ['One', 'Two']);
  const said = lines.filter(({ msg }) => msg === 'open alerts could not be sent again');
  assert.deepEqual(
    said.map(({ reason, failures }) => [reason, failures]),
    [1, 2, 4, 8].map((failures) => ['HTTP 503', failures]),
  );
});

it('sends a thousand again, those that end last, and says how many it does not', async (test) => {
  const receiver = await new HttpReceiver().listen(test);
  const { round, deliver, lines } = await arrange(test, { urls: [receiver.url], batch: { max_records: 300 } });
  const rules = Array.from({ length: 1003 }, (_, index) => ({ rule: `Rule ${index}`, time: at(10_000 + index) }));
  await deliver(...rules);
  await round();
  await round();
  const [, ...again] = listsOf(receiver);
  assert.deepEqual(
    again.map((list) => list.length),
    [300, 300, 300, 100],
  );
  assert.deepEqual(
    namesIn(again),
    rules.slice(3).map(({ rule }) => rule),
  );
  const said = lines.filter(({ not_sent_again }) => not_sent_again !== undefined);
  assert.deepEqual(
    said.map(({ msg, not_sent_again }) => [msg, not_sent_again]),
    [1, 2].map((count) => ['more than 1000 alerts are open: those that end first are not sent again', count]),
  );
});

it('sends nothing again that was refused, nor anything if told so', async (test) => {
  const receiver = await new HttpReceiver().listen(test);
  const { round, deliver } = await arrange(test, { urls: [receiver.url] });
  receiver.faults = [{ status: 400 }];
  await deliver({ rule: 'Refused' });
  await deliver({ rule: 'Taken' });
  await round();
  await receiver.until(() => receiver.taken.length === 2);
  assert.deepEqual(namesIn(listsOf(receiver)), ['Taken', 'Taken']);

  const { clock, deliver: deliverOnce } = await arrange(test, { urls: [receiver.url], resend_interval: '0s' });
  await deliverOnce({ rule: 'Once' });
  await clock.run(Number.POSITIVE_INFINITY);
  assert.deepEqual(namesIn(listsOf(receiver)), ['Taken', 'Taken', 'Once']);
});

it('goes on with what is open after a restart of the agent', async (test) => {
  const receiver = await new HttpReceiver().listen(test);
  const store = join(temporaryFolder(test), 's.db');
  const start = async (resend_interval: string) => {
    const exporters = { alertmanager: { urls: [receiver.url], resend_interval } };
    const pipeline = await startPipeline({ store, exporters });
    test.after(() => pipeline.shutdown(0));
    return pipeline;
  };
  const first = await start('1h');
  first.emit(detection(1));
  await receiver.until(() => receiver.taken.length === 1);
  await first.shutdown();

  const second = await start('10ms');
  await receiver.until(() => receiver.taken.length === 4);
  await second.shutdown();
  const [delivered, ...again] = listsOf(receiver);
  for (const list of again) assert.deepEqual(list, delivered);

  await (await start('0s')).shutdown();
  const fourth = await start('1h');
  assert.equal(fourth.store.incidents.of('alertmanager').open().size, 0, 'who wants none sent again keeps none');
});
