import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Detection } from '../../collector/detection/detection.ts';
import { PRIORITIES } from '../../collector/detection/priority.ts';
import { detection } from '../fixtures/detections.ts';
import { type Fault, HttpReceiver, type ReceivedRequest } from '../fixtures/http-receiver.ts';
import { metricValue, startPipeline } from '../fixtures/pipeline.ts';
import { SINKS, type Sink } from './sinks.ts';

const COUNT = 40;
const QUICK = { retry: { initial_interval: '2ms', max_interval: '10ms' } };
const EVIL =
  '`*_<!channel> @everyone <https://evil.example|x> ](http://evil) \u001b[2J\u0000 "quoted\\" \u{1f480}\ud83d %s {{rule}} &amp;';

/** Every kind of text that has broken a receiver, in detections that tell themselves apart by their rule. */
function hostile(index: number): Detection {
  const fields = Object.fromEntries(
    Array.from({ length: index % 7 === 0 ? 150 : 3 }, (_, n) => [`x.field${n}`, `${EVIL} ${n}`]),
  );
  return detection(index, {
    rule: `Rule ${String(index).padStart(4, '0')}`,
    priority: PRIORITIES[index % PRIORITIES.length]!,
    tags: Array.from({ length: index % 30 }, (_, n) => `tag_${n}`),
    output: `${EVIL} ${'<&>`'.repeat(index % 5 === 0 ? 6000 : 5)} number=${index}`,
    output_fields: { 'evt.time': 1_795_000_000_123_456_789n, 'fd.name': EVIL, 'k8s.ns.name': null, ...fields },
    evidence: {
      'proc.cmdline': EVIL,
      'k8s.ns.name': 'payments',
      'k8s.deployment.name': 'api',
      'k8s.pod.name': `api-${index}`,
    },
  });
}

function indexesOf({ isGrouped = false }: Sink) {
  return ({ body }: ReceivedRequest): number[] => {
    const indexes = [...new Set([...body.matchAll(/Rule (\d{4})/g)].map(([, digits]) => Number(digits)))];
    return isGrouped ? indexes.sort((a, b) => a - b) : indexes;
  };
}

async function arrange(test: TestContext, sink: Sink, config: object = {}) {
  const receiver = await new HttpReceiver(sink).listen(test);
  const pipeline = await startPipeline({
    store: ':memory:',
    exporters: { [sink.type]: { ...sink.config(receiver.url), ...QUICK, ...config } },
  });
  test.after(() => pipeline.shutdown(0));
  const emit = (count: number) => {
    for (let index = 0; index < count; index++) pipeline.emit(hostile(index));
  };
  const finish = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    while (!(await pipeline.forceFlush()));
    receiver.assertNoFailures();
  };
  return { receiver, pipeline, emit, finish };
}

const all = (count: number) => Array.from({ length: count }, (_, index) => index);

for (const sink of SINKS) {
  const indexesIn = indexesOf(sink);
  describe(sink.name, () => {
    it('gets what its interface demands, whatever a detection holds, in order and once', async (test) => {
      const { receiver, emit, finish } = await arrange(test, sink);
      emit(COUNT);
      await finish();
      assert.deepEqual(
        receiver.taken.flatMap(({ request }) => indexesIn(request)),
        all(COUNT),
      );
    });

    it('loses nothing and keeps the order through every fault; repeats only what it had not acknowledged', async (test) => {
      const { receiver, pipeline, emit, finish } = await arrange(test, sink);
      const faults: Fault[] = [
        { status: 500 },
        'reset',
        { status: 429, headers: { 'retry-after': '0' } },
        'taken, then reset',
        { status: 503, headers: { 'retry-after': '0.01' } },
        { status: 408 },
        { status: 502, body: '<html>bad gateway</html>' },
      ];
      receiver.faults = faults.flatMap((fault) => [fault, fault]);
      emit(COUNT);
      await finish();
      const unacknowledged = new Set<number>();
      const acknowledged: number[] = [];
      let last = -1;
      for (const { request, acknowledged: isAcknowledged } of receiver.taken) {
        const indexes = indexesIn(request);
        assert.ok(indexes[0]! <= last + 1, 'nothing is passed over');
        last = Math.max(last, indexes.at(-1)!);
        if (isAcknowledged) acknowledged.push(...indexes);
        else for (const index of indexes) unacknowledged.add(index);
      }
      assert.deepEqual(acknowledged, all(COUNT), 'each acknowledged once, in order');
      assert.ok(unacknowledged.size > 0, 'and some came twice, as their receiver did not say that it has them');
      assert.equal(pipeline.store.deadLetters.count(), 0);
    });

    it('parks what is refused for good, with the reason and without secrets, and goes on', async (test) => {
      const { receiver, pipeline, emit, finish } = await arrange(test, sink);
      receiver.refuse = (request) =>
        indexesIn(request).includes(7)
          ? { status: 400, body: `no: secretsecret R0123456789 ${receiver.url}\u001b[2J` }
          : undefined;
      emit(20);
      await finish();
      assert.deepEqual(
        receiver.taken.flatMap(({ request }) => indexesIn(request)),
        all(20).filter((index) => index !== 7),
      );
      const letters = pipeline.store.deadLetters.list();
      assert.deepEqual(
        letters.map(({ item }) => item.detection.rule),
        ['Rule 0007'],
      );
      assert.match(letters[0]!.reason, /^HTTP 400 no: /);
      const said = JSON.stringify([letters[0]!.reason, pipeline.lines]);
      assert.ok(!said.includes('\\u001b'), 'and without what would steer a terminal');
      if (JSON.stringify(sink.config('')).includes('secretsecret') && sink.name !== 'webhook with a template')
        assert.doesNotMatch(said, /secretsecret/);
    });

    if (sink.tooLarge !== undefined) {
      const { tooLarge } = sink;
      it('halves what is too large', async (test) => {
        const { receiver, emit, finish } = await arrange(test, sink);
        receiver.refuse = (request) => (indexesIn(request).length > 2 ? tooLarge : undefined);
        emit(20);
        await finish();
        assert.deepEqual(
          receiver.taken.flatMap(({ request }) => indexesIn(request)),
          all(20),
        );
      });
    }

    it('keeps for a later try what a wrong token or address cost', async (test) => {
      const { receiver, pipeline, emit, finish } = await arrange(test, sink);
      receiver.refuse = () => ({ status: 403, body: 'invalid' });
      emit(12);
      await finish();
      assert.equal(pipeline.store.deadLetters.count(), 12);
      assert.ok(receiver.requests <= 12, 'and does not look for a culprit among the detections');
      receiver.refuse = () => undefined;
      pipeline.store.deadLetters.request({});
      pipeline.emit(hostile(12)); // what is new goes first, and the agent looks for the others then
      const arrived = () => receiver.taken.flatMap(({ request }) => indexesIn(request));
      await receiver.until(() => arrived().length === 13);
      receiver.assertNoFailures();
      assert.deepEqual(arrived(), [12, ...all(12)]);
      const count = () => metricValue(pipeline.metrics, 'shikra_exporter_records_total', { outcome: 'delivered' });
      while ((await count()) !== 13) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(pipeline.store.deadLetters.count(), 0);
    });
  });
}

it('gives up a request that is not answered in time, and sends it again', async (test) => {
  const sink = SINKS.find(({ name }) => name === 'webhook with a list of alerts')!;
  const { receiver, emit, finish } = await arrange(test, sink, { timeout: '2s' });
  receiver.faults = ['hang'];
  emit(10);
  await finish();
  assert.equal(receiver.requests, 2);
  assert.deepEqual(
    receiver.taken.flatMap(({ request }) => indexesOf(sink)(request)),
    all(10),
  );
});
