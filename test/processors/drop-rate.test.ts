import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { DropRateProcessor, type DropRateSettings } from '../../processors/drop-rate/index.ts';
import { LossWindow } from '../../processors/drop-rate/loss-window.ts';
import { detection } from '../fixtures/detections.ts';
import { MemoryProcessor, through } from '../fixtures/memory-processor.ts';

function arrange(test: TestContext, settings: DropRateSettings = {}) {
  const end = new MemoryProcessor();
  const state = { now: 0, events: 0, dropped: 0 };
  const reports: { dropped: number; ratio: number }[] = [];
  const source = () => ({ events: state.events, dropped: state.dropped });
  const processor = new DropRateProcessor(
    { source, now: () => state.now, onLoss: ({ dropped, ratio }) => reports.push({ dropped, ratio }), ...settings },
    end,
  );
  test.after(() => processor.shutdown());
  const emit = through(processor);
  const stamp = () => {
    emit(detection(state.now));
    const { attributes } = end.records.at(-1)!;
    return [attributes['shikra.events.dropped'], attributes['shikra.events.drop_ratio']];
  };
  return { state, reports, processor, stamp };
}

it('stamps what was lost in the window on every record', (test) => {
  const { state, stamp } = arrange(test);
  assert.deepEqual(stamp(), [0, 0]);
  Object.assign(state, { now: 1000, events: 750, dropped: 250 });
  assert.deepEqual(stamp(), [250, 0.25]);
  Object.assign(state, { now: 9000, events: 1750 });
  assert.deepEqual(stamp(), [250, 0.125]);
  state.now = 30_000;
  assert.deepEqual(stamp(), [0, 0], 'the loss is out of the window');
});

it('reports a loss above the threshold even when there is nothing to stamp, and not again within the interval', (test) => {
  const { state, reports, processor } = arrange(test, { threshold: 0.1, intervalMillis: 60_000 });
  processor.check();
  Object.assign(state, { now: 1000, events: 950, dropped: 50 });
  processor.check();
  assert.equal(reports.length, 0, 'five per cent are below the threshold');
  Object.assign(state, { now: 2000, dropped: 450 });
  processor.check();
  Object.assign(state, { now: 3000, dropped: 900 });
  processor.check();
  assert.equal(reports.length, 1);
  assert.equal(reports[0]!.dropped, 450);
  Object.assign(state, { now: 62_500, dropped: 1900 });
  processor.check();
  assert.equal(reports.length, 2);
});

it('starts anew when the collector does', () => {
  const window = new LossWindow(10_000);
  window.update({ events: 1000, dropped: 100 }, 0);
  assert.deepEqual(window.update({ events: 10, dropped: 0 }, 1000), { dropped: 0, ratio: 0 });
});
