import assert from 'node:assert/strict';
import { it } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import fc from 'fast-check';
import { toLogRecord } from '../../collector/detection/log-record.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import { type DeliveringExporter, Delivery, type ExportOutcome } from '../../exporters/helper/index.ts';
import { Store, StoreProcessor } from '../../exporters/store/index.ts';
import { detections } from '../fixtures/detections.ts';
import { memoryLogger } from '../fixtures/pipeline.ts';

/** What happens to a request: taken, refused for now, an exception, or taken and the answer lost. */
type Step = 'take' | 'later' | 'throw' | 'lost';

interface Scenario {
  readonly count: number;
  readonly batchCount: number;
  /** Only numbers that this divides are for the exporter. */
  readonly every: number;
  /** Numbers that spoil a whole request. */
  readonly poison: readonly number[];
  /** Numbers that the receiver refuses by name. */
  readonly refused: readonly number[];
  readonly steps: readonly Step[];
  /** The agent ends and starts again after so many requests. */
  readonly restarts: readonly number[];
}

const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 6 });
const scenario: fc.Arbitrary<Scenario> = fc.record({
  count: fc.integer({ min: 1, max: 40 }),
  batchCount: fc.integer({ min: 1, max: 9 }),
  every: fc.integer({ min: 1, max: 4 }),
  poison: numbers,
  refused: numbers,
  steps: fc.array(fc.constantFrom<Step>('take', 'later', 'throw', 'lost'), { maxLength: 12 }),
  restarts: fc.array(fc.integer({ min: 0, max: 10 }), { maxLength: 3 }).map((list) => list.sort((a, b) => a - b)),
});

/** A receiver that does as the scenario says, and knows what it told the sender. */
class Receiver {
  readonly acknowledged: number[] = [];
  readonly unacknowledged = new Set<number>();
  requests = 0;
  readonly #scenario: Scenario;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  async answer(seqs: readonly number[], signal: AbortSignal): Promise<ExportOutcome> {
    const { steps, poison, refused } = this.#scenario;
    const step = steps[this.requests++] ?? 'take';
    await new Promise((resolve) => setImmediate(resolve));
    if (step === 'throw') throw new Error('a mistake');
    if (step === 'later') return { status: 'retryable', reason: 'later' };
    if (seqs.some((seq) => poison.includes(seq))) return { status: 'permanent', reason: 'poison' };
    const taken = seqs.filter((seq) => !refused.includes(seq));
    // A sender that has hung up does not hear the answer.
    if (step === 'lost' || signal.aborted) {
      for (const seq of taken) this.unacknowledged.add(seq);
      return { status: 'retryable', reason: 'lost' };
    }
    this.acknowledged.push(...taken);
    return {
      status: 'success',
      refused: seqs.flatMap((seq, index) => (refused.includes(seq) ? [{ index, reason: 'refused' }] : [])),
    };
  }
}

async function run(scenario: Scenario): Promise<void> {
  const { logger } = memoryLogger();
  const metrics = createMetrics({ defaultMetrics: false });
  const store = new Store({ path: ':memory:', max_age: 1e9, max_bytes: 1e9 }, { logger, metrics });
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({}),
    processors: [new StoreProcessor(store)],
  });
  const receiver = new Receiver(scenario);
  const exporter: DeliveringExporter = {
    kind: 'delivering',
    start: async () => {},
    shutdown: async () => {},
    export: (batch, signal) =>
      receiver.answer(
        batch.map(({ seq }) => seq),
        signal,
      ),
  };
  const settings = { batchCount: scenario.batchCount, initialBackoffMillis: 0, maxBackoffMillis: 0 };
  const accepts = ({ seq }: { seq: number }) => seq % scenario.every === 0;
  const start = async () => {
    const delivery = new Delivery({ id: 'sink', exporter, store, logger, metrics, settings, accepts });
    await delivery.start();
    return delivery;
  };
  let delivery = await start();
  for (const one of detections(scenario.count)) provider.getLogger('test').emit(toLogRecord(one));
  store.flush();
  for (const after of scenario.restarts) {
    while (receiver.requests < after && store.backlog('sink') > 0)
      await new Promise((resolve) => setImmediate(resolve));
    await delivery.shutdown(0);
    delivery = await start();
  }
  while (!(await delivery.forceFlush()));
  const mine = Array.from({ length: scenario.count }, (_, index) => index + 1).filter(
    (seq) => seq % scenario.every === 0,
  );
  const unwanted = new Set([...scenario.poison, ...scenario.refused]);
  const wanted = mine.filter((seq) => !unwanted.has(seq));
  assert.deepEqual(receiver.acknowledged, wanted, 'each that is for it, acknowledged once and in order');
  assert.ok([...receiver.unacknowledged].every((seq) => mine.includes(seq)));
  assert.deepEqual(
    store.deadLetters
      .list()
      .map(({ item }) => item.seq)
      .sort((a, b) => a - b),
    mine.filter((seq) => unwanted.has(seq)),
    'and each that it refuses is a dead letter',
  );
  await delivery.shutdown(0);
  store.close();
}

it('delivers each once and in order, whatever the receiver does and whenever the agent starts again', async () => {
  await fc.assert(fc.asyncProperty(scenario, run), { numRuns: 150 });
});
