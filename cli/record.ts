import { setTimeout as sleep } from 'node:timers/promises';
import { formatProblem } from '../collector/config/problem.ts';
import { ShikraError } from '../collector/errors.ts';
import { ReceiversInUse } from '../collector/receivers-in-use.ts';
import type { Losses } from '../collector/recording/format.ts';
import type { RecordingProgress } from '../collector/recording/recording.ts';
import { checkRequirements } from '../collector/sources/kernel/requirements.ts';
import { createLogger } from '../collector/telemetry/logger.ts';
import { createMetrics } from '../collector/telemetry/metrics.ts';
import { readConfig } from './read-config.ts';
import { formatLosses } from './recording-losses.ts';
import { whenStopped } from './stop-signals.ts';
import { version } from './version.ts';

export interface RecordOptions {
  readonly output: string;
  readonly seconds?: number;
  readonly all?: boolean;
  readonly config?: string;
  readonly force?: boolean;
}

const MIB = 1024 * 1024;
const PROGRESS_MILLIS = 1000;
/** setTimeout takes no more. */
const MOST_MILLIS = 2 ** 31 - 1;

/** `shikra record`: events into a file, until a signal or for a time. @returns the exit code */
export async function record(options: RecordOptions): Promise<number> {
  const { config, warnings } = readConfig(options.config);
  for (const warning of warnings) console.error(`shikra: warning: ${formatProblem(warning)}`);
  const receivers = new ReceiversInUse(config);
  if (receivers.kernel === undefined)
    throw new ShikraError('CONFIG_INVALID', 'service.pipelines: no kernel receiver is in use, whose events to record');
  checkRequirements();
  const { refuseToReplace } = await import('../collector/recording/writer.ts');
  refuseToReplace(options.output, options.force === true);
  const stopped = whenStopped();
  const { eventTypesFor, readSyscallRules } = await import('../collector/recording/rules.ts');
  const { Recording } = await import('../collector/recording/recording.ts');
  const { COLLECTED_EVENT_TYPES } = await import('../collector/sources/kernel/system-calls.ts');
  const { Probe } = await import('../collector/sources/kernel/probe.ts');
  const { domainNamesOf } = await import('../rules/runtime.ts');

  // What is recorded for no rules needs none that are right.
  const { rules } = options.all ? { rules: [] } : await readSyscallRules(receivers.kernelRules());
  const source = receivers.collectorOptions(receivers.kernel);
  const recording = new Recording({
    path: options.output,
    force: options.force === true,
    version: version(),
    eventTypes: options.all ? COLLECTED_EVENT_TYPES : eventTypesFor(rules),
    domainNames: domainNamesOf(rules),
    source,
    containers: receivers.kernel.config.containers,
    metrics: createMetrics({ version: version() }),
    logger: createLogger({ level: config.service.telemetry.logs.level }),
  });
  const [probe] = await Promise.all([Probe.load(), recording.settled()]);
  recording.start(probe);
  console.error(`shikra: recording to ${options.output}${options.seconds === undefined ? '; Ctrl-C stops it' : ''}`);
  const progress = showProgress(recording.progress);
  const { seconds = Number.POSITIVE_INFINITY } = options;
  try {
    await Promise.race([stopped, recording.failed, wait(seconds * 1000)]);
  } finally {
    progress.end();
  }
  const summary = recording.stop();
  console.error(`shikra: recorded ${describe(recording.progress)} in ${summary.seconds} s. ${lost(summary.losses)}`);
  return 0;
}

async function wait(millis: number): Promise<void> {
  for (let left = millis; left > 0; left -= MOST_MILLIS)
    await sleep(Math.min(left, MOST_MILLIS), undefined, { ref: false });
}

/** On a terminal, a line that is written again and again. */
function showProgress(progress: RecordingProgress): { end(): void } {
  if (!process.stderr.isTTY) return { end: () => {} };
  const started = performance.now();
  const show = (): void => {
    const seconds = Math.round((performance.now() - started) / 1000);
    process.stderr.write(`\r\u001b[K${seconds} s: ${describe(progress)}`);
  };
  const timer = setInterval(show, PROGRESS_MILLIS);
  return {
    end() {
      clearInterval(timer);
      process.stderr.write('\r\u001b[K');
    },
  };
}

function describe({ events, bytes }: RecordingProgress): string {
  return `${events.toLocaleString('en-US')} events, ${(bytes / MIB).toFixed(1)} MiB`;
}

function lost(losses: Losses): string {
  const text = formatLosses(losses);
  return text === undefined ? 'Nothing was lost.' : `Not in it: ${text}.`;
}
