import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { Detection } from '../../collector/detection/detection.ts';
import { createMetrics } from '../../collector/telemetry/metrics.ts';
import { createStdoutExporter, stdoutConfigSchema } from '../../exporters/stdout/index.ts';
import type { StoredDetection } from '../../exporters/store/index.ts';
import { detection } from '../fixtures/detections.ts';
import { NO_INCIDENTS } from '../fixtures/incidents.ts';
import { memoryLogger, metricValue } from '../fixtures/pipeline.ts';

async function arrange(config: object, isTTY: boolean, environment: Record<string, string> = {}) {
  const chunks: string[] = [];
  const stream = Object.assign(
    new Writable({
      write(chunk, _encoding, done) {
        chunks.push(String(chunk));
        done();
      },
    }),
    { isTTY },
  );
  const metrics = createMetrics({ defaultMetrics: false });
  const context = {
    id: 'stdout',
    signals: ['logs' as const],
    logger: memoryLogger().logger,
    metrics,
    resource: resourceFromAttributes({}),
    ready: () => ({ ready: true, parts: {} }),
    incidents: NO_INCIDENTS,
  };
  const exporter = createStdoutExporter(stdoutConfigSchema.parse(config), context, { stream, environment });
  await exporter.start();
  const show = (...list: Detection[]) => exporter.show(list.map((one) => ({ detection: one }) as StoredDetection));
  return { exporter, show, stream, metrics, text: () => chunks.join('') };
}

it('prints text with colour on a terminal', async () => {
  const { show, text } = await arrange({}, true);
  show(detection(0, { output: 'hello' }));
  assert.equal(text(), '11:06:40.123456789: \u001b[33mWarning\u001b[0m hello\n');
});

it('honours NO_COLOR', async () => {
  const { show, text } = await arrange({}, true, { NO_COLOR: '1' });
  show(detection(0, { output: 'hello' }));
  assert.equal(text(), '11:06:40.123456789: Warning hello\n');
});

it('prints one JSON object per line into a pipe', async () => {
  const { show, text } = await arrange({}, false);
  show(detection(0, { output: 'two\nlines' }), detection(1));
  const lines = text()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ output }) => output),
    ['two\nlines', detection(1).output],
  );
});

it('shows control characters instead of sending them to the terminal', async () => {
  const { show, text } = await arrange({ color: 'never' }, true);
  show(detection(0, { output: 'a\u001b[2Jb\nc\rd\u0007\u009b31m\u202egpj.exe' }));
  assert.equal(text(), '11:06:40.123456789: Warning a\\x1b[2Jb\\nc\\rd\\x07\\x9b31m\\u202egpj.exe\n');
});

it('stops printing when the reader goes away, and counts what is not shown', async () => {
  const { show, stream, metrics, text } = await arrange({}, false);
  show(detection(0));
  stream.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  const before = text();
  show(detection(1));
  assert.equal(text(), before);
  assert.equal(
    await metricValue(metrics, 'shikra_exporter_records_total', { exporter: 'stdout', outcome: 'dropped' }),
    1,
  );
});

it('survives a real `| head -1`', async () => {
  const script = new URL('../fixtures/print-detections.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)('sh', ['-c', `"${process.execPath}" "${script}" | head -1`], {
    encoding: 'utf8',
  });
  assert.equal(JSON.parse(stdout).rule, 'Read sensitive file untrusted');
  const alone = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  alone.stdout.once('data', () => alone.stdout.destroy());
  assert.deepEqual(await once(alone, 'exit'), [0, null]);
});
