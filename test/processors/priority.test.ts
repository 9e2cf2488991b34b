import assert from 'node:assert/strict';
import { it } from 'node:test';
import { PRIORITIES } from '../../collector/detection/priority.ts';
import { PriorityProcessor, type PrioritySettings, priorityConfigSchema } from '../../processors/priority/index.ts';
import { detection } from '../fixtures/detections.ts';
import { MemoryProcessor, through } from '../fixtures/memory-processor.ts';

function arrange(settings: PrioritySettings) {
  const end = new MemoryProcessor();
  const dropped: string[] = [];
  const processor = new PriorityProcessor({ ...settings, onDrop: (reason) => dropped.push(reason) }, end);
  return { end, dropped, processor, emit: through(processor) };
}

it('gives each priority its severity', () => {
  const { end, emit } = arrange({});
  emit(...PRIORITIES.map((priority, index) => detection(index, { priority })));
  assert.deepEqual(
    end.records.map(({ severityNumber, severityText }) => [severityNumber, severityText]),
    [
      [21, 'FATAL'],
      [19, 'ERROR'],
      [18, 'ERROR'],
      [17, 'ERROR'],
      [13, 'WARN'],
      [10, 'INFO'],
      [9, 'INFO'],
      [5, 'DEBUG'],
    ],
  );
});

it('keeps the word of the source as severity text if asked to', () => {
  const { end, emit } = arrange({ severity_text: 'source' });
  emit(detection(0, { priority: 'Notice' }));
  assert.equal(end.records[0]!.severityText, 'NOTICE');
});

it('drops what is below the minimum, and counts it', () => {
  const { end, emit, processor, dropped } = arrange({ minimum: 'Warning' });
  emit(
    detection(0, { priority: 'Notice' }),
    detection(1, { priority: 'Warning' }),
    detection(2, { priority: 'Alert' }),
  );
  assert.deepEqual(
    end.records.map((record) => record.attributes['shikra.priority']),
    ['warning', 'alert'],
  );
  assert.deepEqual(dropped, ['below_minimum']);
  assert.equal(processor.dropped, 1);
});

it('changes the priority of chosen rules and tags before it asks for the minimum', () => {
  const { end, emit } = arrange({
    minimum: 'Warning',
    overrides: [
      { rule: 'Noisy', priority: 'Debug' },
      { tag: 'T1555', priority: 'Critical' },
    ],
  });
  emit(
    detection(0, { rule: 'Noisy', priority: 'Error' }),
    detection(1, { rule: 'Quiet', priority: 'Notice' }),
    detection(2, { tags: [], priority: 'Error' }),
  );
  assert.deepEqual(
    end.records.map((record) => [record.attributes['shikra.priority'], record.severityNumber]),
    [
      ['critical', 18],
      ['error', 17],
    ],
  );
});

it('refuses a priority that does not exist, and an override without a subject', () => {
  const message = 'expected one of Emergency, Alert, Critical, Error, Warning, Notice, Informational, Debug';
  assert.deepEqual(
    priorityConfigSchema.safeParse({ minimum: 'Fatal' }).error?.issues.map((issue) => issue.message),
    [message],
  );
  assert.equal(
    priorityConfigSchema.safeParse({ overrides: [{ priority: 'Debug' }] }).error?.issues[0]?.message,
    'expected either rule or tag',
  );
  assert.throws(() => new PriorityProcessor({ minimum: 'Fatal' as 'Error' }, new MemoryProcessor()));
  assert.equal(priorityConfigSchema.parse({ minimum: 'info' }).minimum, 'Informational');
});
