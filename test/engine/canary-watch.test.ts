import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Detection } from '../../collector/detection/detection.ts';
import { CanaryWatch } from '../../collector/engine/canary-watch.ts';
import { createLogger } from '../../collector/telemetry/logger.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';

function watch() {
  const detections: Detection[] = [];
  const metrics = createMetrics({ defaultMetrics: false });
  const logger = createLogger({ level: 'silent' });
  const watched = new CanaryWatch({ metrics, logger, emit: (detection) => detections.push(detection) });
  const told = () => detections.splice(0).map((one) => [one.rule, one.priority, one.output_fields['shikra.canaries']]);
  return { watched, told, metrics, detections };
}

const round = (...canaries: [name: string, seen: boolean, missing: boolean][]) => ({
  canaries: canaries.map(
    ([name, isSeen, missing]) => ({ name, outcome: isSeen ? 'seen' : 'missed', missing }) as const,
  ),
  programs: [],
  notes: [],
});

const MISSING = 'Shikra internal: canary missing';
const BACK = 'Shikra internal: canary back';

test('one that is missed once is no reason to say anything', () => {
  const { watched, told } = watch();
  watched.hear(round(['collect_exec', false, false]));
  assert.deepEqual(told(), []);
  assert.deepEqual(watched.readiness(), { ready: true, parts: { canaries: 'ok' } });
});

test('what is missing is told once, together, and again when it is back', async () => {
  const { watched, told, metrics } = watch();
  watched.hear(round(['note_paths', false, true], ['collect_exec', false, true], ['collect_fork', true, false]));
  watched.hear(round(['note_paths', false, true], ['collect_exec', false, true], ['collect_fork', true, false]));
  assert.deepEqual(told(), [[MISSING, 'Critical', ['note_paths', 'collect_exec']]]);
  assert.deepEqual(watched.readiness(), {
    ready: false,
    parts: { canaries: 'missing: collect_exec, note_paths' },
  });
  const page = await metrics.registry.metrics();
  assert.match(page, /shikra_canary_missing\{canary="collect_exec"\} 1/);
  assert.match(page, /shikra_canaries_total\{canary="collect_exec",outcome="missed"\} 2/);
  watched.hear(round(['note_paths', false, true], ['collect_exec', true, false], ['collect_fork', true, false]));
  assert.deepEqual(told(), [[BACK, 'Notice', ['collect_exec']]]);
  assert.equal(watched.readiness().ready, false);
});

test('what is lost with other events for long is told as that', async () => {
  const { watched, told, metrics, detections } = watch();
  const lost = { name: 'collect_open', outcome: 'dropped' } as const;
  watched.hear({ ...round(), canaries: [{ ...lost, missing: false }] });
  assert.equal(detections.length, 0);
  assert.equal(watched.readiness().ready, true);
  watched.hear({ ...round(), canaries: [{ ...lost, missing: true }] });
  assert.match(
    detections[0]!.output,
    /is lost with other events for many rounds now, of collect_open: the rings are full/,
  );
  assert.deepEqual(told(), [[MISSING, 'Critical', ['collect_open']]]);
  assert.equal(watched.readiness().ready, false);
  const page = await metrics.registry.metrics();
  assert.match(page, /shikra_canaries_total\{canary="collect_open",outcome="dropped"\} 2/);
});

test('what new rules do not need any more is not missed any more', () => {
  const { watched, told } = watch();
  watched.hear(round(['note_paths', false, true]));
  watched.hear(round(['collect_exec', true, false]));
  assert.deepEqual(
    told().map(([rule]) => rule),
    [MISSING, BACK],
  );
  assert.equal(watched.readiness().ready, true);
});

test('a collector that answers nothing is missing, until it answers', () => {
  const { watched, told } = watch();
  for (let i = 0; i < 9; i++) watched.asked();
  assert.deepEqual(told(), []);
  for (let i = 0; i < 20; i++) watched.asked();
  assert.deepEqual(told(), [[MISSING, 'Critical', ['collector']]]);
  watched.hear(round(['collect_exec', true, false]));
  assert.equal(watched.readiness().ready, false, 'a message from before is no answer');
  watched.answered();
  assert.deepEqual(told(), [[BACK, 'Notice', ['collector']]]);
  assert.equal(watched.readiness().ready, true);
});

test('counts of programs become steps of counters', async () => {
  const { watched, metrics } = watch();
  for (const missedRuns of [2, 5])
    watched.hear({
      canaries: [],
      programs: [{ name: 'collect_exec', missedRuns, runs: 0, runSeconds: 0 }],
      notes: [],
    });
  assert.match(await metrics.registry.metrics(), /shikra_probe_missed_runs_total\{program="collect_exec"\} 5/);
});
