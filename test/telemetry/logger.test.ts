import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { it } from 'node:test';
import { diag } from '@opentelemetry/api';
import { createLogger, routeDiagnostics } from '../../collector/telemetry/logger.ts';

function sink(isTTY: boolean) {
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  return { destination: Object.assign(stream, { isTTY }), text: () => chunks.join('') };
}

it('writes JSON lines into a pipe', () => {
  const { destination, text } = sink(false);
  createLogger({ destination }).info({ exporter: 'otlp' }, 'started');
  const line = JSON.parse(text());
  assert.equal(line.msg, 'started');
  assert.equal(line.exporter, 'otlp');
  assert.match(line.time, /^\d{4}-\d{2}-\d{2}T/);
});

it('writes lines for people on a terminal', () => {
  const { destination, text } = sink(true);
  createLogger({ destination }).warn({ exporter: 'otlp', err: new Error('no route'), failures: 2 }, 'delivery failed');
  assert.match(text(), /^\d{2}:\d{2}:\d{2} WARN {2}delivery failed exporter=otlp err="no route" failures=2\n$/);
});

it('takes in the diagnostics of OpenTelemetry', () => {
  const { destination, text } = sink(false);
  routeDiagnostics(createLogger({ destination }));
  diag.warn('Received Partial Success response:', '{}');
  diag.disable();
  const line = JSON.parse(text());
  assert.equal(line.component, 'opentelemetry');
  assert.deepEqual(line.details, ['{}']);
});
