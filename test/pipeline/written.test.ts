import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { components } from '../../collector/components.ts';
import { parseConfig } from '../../collector/config/load.ts';
import { stringifyExact } from '../../collector/detection/json.ts';
import { pipelineConfig } from '../../collector/pipeline/index.ts';
import { toLogRecord } from '../../index.ts';
import { detection } from '../fixtures/detections.ts';
import { startConfigured, startPipeline, temporaryFolder } from '../fixtures/pipeline.ts';

const LARGE = { 'evt.time': 1_795_344_530_732_180_092n, 'proc.pid': 5 };

it('stores a detection that comes as a text as that text, with the record that it has as an object', async (test) => {
  const pipeline = await startPipeline({ store: join(temporaryFolder(test), 's.db') });
  test.after(() => pipeline.shutdown(0));
  const [text, object] = [detection(0, { evidence: LARGE }), detection(1, { evidence: LARGE })];
  assert.equal(pipeline.emitWritten(stringifyExact(text), 'kernel'), true);
  pipeline.emit(object, 'kernel');
  await pipeline.forceFlush();
  const [second, first] = pipeline.store.query();
  assert.equal(first!.row.detection, stringifyExact(text));
  assert.deepEqual(first!.detection, text);
  for (const [stored, made] of [
    [first!, text],
    [second!, object],
  ] as const) {
    assert.deepEqual(stored.record.attributes, toLogRecord(made).attributes);
    assert.equal(stored.record.droppedAttributesCount, 0);
  }
});

it('hides secrets in a detection that comes as a text', async (test) => {
  const folder = temporaryFolder(test);
  const text = `receivers: { kernel: {} }
exporters: { file: { path: "${folder}/out" } }
service: { store: { path: "${folder}/s.db" }, redaction: { command_lines: true } }
`;
  const { config } = parseConfig(text, '/etc/shikra/x.yaml', { registry: components, environment: {} });
  const pipeline = await startConfigured(config);
  test.after(() => pipeline.shutdown(0));
  const secret = detection(0, { evidence: { 'proc.cmdline': 'psql --password=hunter2' }, output: 'run psql' });
  pipeline.emitWritten(stringifyExact(secret), 'kernel');
  await pipeline.forceFlush();
  const [{ row } = assert.fail('nothing is stored')] = pipeline.store.query();
  for (const stored of [row.detection, row.record]) {
    assert.doesNotMatch(stored, /hunter2/);
    assert.match(stored, /--password=\*\*\*/);
  }
});

it('keeps the records of several chains apart, made of one detection', async (test) => {
  const folder = temporaryFolder(test);
  const text = `receivers: { kernel: {} }
processors: { priority: {}, priority/loud: { overrides: [{ rule: "Read sensitive file untrusted", priority: Alert }] } }
exporters: { file/a: { path: "${folder}/a" }, file/b: { path: "${folder}/b" } }
service:
  store: { path: "${folder}/s.db" }
  pipelines:
    logs: { receivers: [kernel], processors: [priority], exporters: [file/a] }
    logs/loud: { receivers: [kernel], processors: [priority/loud], exporters: [file/b] }
`;
  const { config } = parseConfig(text, '/etc/shikra/x.yaml', { registry: components, environment: {} });
  const pipeline = await startConfigured(config);
  test.after(() => pipeline.shutdown(0));
  assert.equal(pipelineConfig(config).chains.length, 2);
  pipeline.emitWritten(stringifyExact(detection(0)), 'kernel');
  await pipeline.forceFlush();
  const [plain, loud] = pipeline.store.read(0, 10, 1e6);
  assert.equal(plain!.record.attributes['shikra.priority'], 'warning');
  assert.equal(plain!.detection.priority, 'Warning');
  assert.equal(loud!.record.attributes['shikra.priority'], 'alert');
  assert.equal(loud!.detection.priority, 'Alert');
});
