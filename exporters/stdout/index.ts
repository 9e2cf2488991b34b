import type { Detection } from '../../collector/detection/detection.ts';
import { toFalcoJson } from '../../collector/detection/falco-json.ts';
import type { ExporterContext, LiveExporter } from '../helper/exporter.ts';
import type { StoredDetection } from '../store/stored-detection.ts';
import { type StdoutConfig, stdoutConfigSchema } from './config.ts';
import { formatText } from './format.ts';

export { type StdoutConfig, stdoutConfigSchema } from './config.ts';

export const component = {
  configSchema: stdoutConfigSchema,
  signals: ['logs'],
  create: (config: StdoutConfig, context: ExporterContext) => createStdoutExporter(config, context),
} as const;

export interface StdoutDeps {
  readonly stream?: NodeJS.WritableStream & { isTTY?: boolean };
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** What may wait for a reader that is slow. Beyond it lines are dropped and counted; the detections are in the store. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
const MAX_DRAIN_MILLIS = 1000;

/** Detections on the terminal, or as JSON lines in a pipe, from now on. A reader that goes away (`| head`) ends the printing, not the agent. */
export function createStdoutExporter(
  config: StdoutConfig,
  context: ExporterContext,
  deps: StdoutDeps = {},
): LiveExporter {
  const { stream = process.stdout, environment = process.env } = deps;
  const { id, logger, metrics } = context;
  const format = formatter(config, stream.isTTY === true, environment);
  let open = false;
  let started = false;

  const onError = (error: NodeJS.ErrnoException) => {
    open = false;
    if (error.code !== 'EPIPE') logger.error({ err: error, exporter: id }, 'standard output cannot be written');
    else logger.info({ exporter: id }, 'the reader of standard output has gone; nothing more is printed');
  };

  return {
    kind: 'live',
    async start() {
      if (started) return;
      started = true;
      open = true;
      metrics.declareExporter(id);
      stream.on('error', onError);
    },
    show(batch: readonly StoredDetection[]) {
      if (!open || waiting(stream) > MAX_WAITING_BYTES) {
        metrics.exporterRecords.inc({ exporter: id, outcome: 'dropped' }, batch.length);
        return;
      }
      stream.write(batch.map(({ detection }) => `${format(detection)}\n`).join(''));
      metrics.exporterRecords.inc({ exporter: id, outcome: 'delivered' }, batch.length);
      metrics.exporterLastSuccess.set({ exporter: id }, Date.now() / 1000);
    },
    async shutdown() {
      if (!open) return;
      open = false;
      // The error handler stays: a pipe may break when the last lines are already with the system.
      await drained(stream);
    },
  };
}

/** Resolves when all is written, or after a second: a reader that has stopped reading must not hold up the end. */
function drained(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, MAX_DRAIN_MILLIS);
    // An empty write calls back after all before it is out.
    stream.write('', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function formatter(
  config: StdoutConfig,
  isTerminal: boolean,
  environment: StdoutDeps['environment'] = {},
): (detection: Detection) => string {
  const text = config.format === 'text' || (config.format === 'auto' && isTerminal);
  if (!text) return toFalcoJson;
  const noColor = (environment.NO_COLOR ?? '') !== '';
  const color = config.color === 'always' || (config.color === 'auto' && isTerminal && !noColor);
  return (detection) => formatText(detection, color);
}

function waiting(stream: NodeJS.WritableStream): number {
  return (stream as { writableLength?: number }).writableLength ?? 0;
}
