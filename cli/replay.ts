import { once } from 'node:events';
import { formatProblem } from '../collector/config/problem.ts';
import type { Detection } from '../collector/detection/detection.ts';
import { toFalcoJson } from '../collector/detection/falco-json.ts';
import type { RulesRequest } from '../collector/engine/load-rules.ts';
import { ShikraError } from '../collector/errors.ts';
import { ReceiversInUse } from '../collector/receivers-in-use.ts';
import { type RedactionConfig, redactionConfigSchema } from '../collector/redaction/config.ts';
import { createRedaction } from '../collector/redaction/index.ts';
import { formatText } from '../exporters/stdout/format.ts';
import { rulePaths } from './load-rules.ts';
import { readConfig } from './read-config.ts';
import { formatLosses } from './recording-losses.ts';

export interface ReplayOptions {
  readonly config?: string;
  readonly rules?: readonly string[];
  readonly format?: 'text' | 'json';
}

interface Chosen {
  readonly request: RulesRequest;
  readonly matching: 'first' | 'all';
  readonly captureEnv: readonly string[];
  readonly redaction: RedactionConfig;
}

/** `shikra replay`: rules on recorded events. @returns the exit code */
export async function replay(file: string, options: ReplayOptions): Promise<number> {
  const chosen = options.rules === undefined ? ofConfig(options.config) : ofPaths(options.rules);
  // The layout of records is in the native part, which is not loaded before it is needed.
  const { RecordingReader } = await import('../collector/recording/reader.ts');
  const { Replay } = await import('../collector/recording/replay.ts');
  const { readSyscallRules } = await import('../collector/recording/rules.ts');
  const reader = new RecordingReader(file);
  try {
    const { rules, warnings } = await readSyscallRules(chosen.request);
    for (const warning of warnings) warn(warning);
    const run = new Replay(reader, { rules, matching: chosen.matching });
    const { header } = reader;
    const env = chosen.captureEnv.filter((name) => !header.captureEnv.includes(name));
    if (env.length > 0) warn(`${file}: environment variables that were not recorded: ${env.join(', ')}`);
    const types = run.notRecorded;
    if (types.length > 0)
      warn(`${file}: event types that rules look at and that were not recorded (see --all): ${types.join(', ')}`);
    const started = performance.now();
    const detections = await print(run.run(), formatter(options.format, chosen.redaction));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const losses = formatLosses(run.losses);
    if (losses !== undefined) warn(`${file}: lost while it was recorded: ${losses}`);
    const names = run.namesNotRecorded;
    if (names.length > 0)
      warn(
        `${file}: domain names in rules whose addresses were not recorded, so that no check of them holds: ${names.join(', ')}`,
      );
    if (run.unanswered > 0)
      warn(`${file}: processes that it tells nothing of, as another version recorded it: ${run.unanswered}`);
    console.error(
      `shikra: ${run.events} events of ${header.hostname} from ${header.startedAt} on, in ${seconds} s: ${detections} detections`,
    );
    if (run.damage === undefined) return 0;
    warn(`${file}: read as far as byte ${run.damage.offset}: ${run.damage.what}`);
    return 1;
  } finally {
    reader.close();
  }
}

function ofConfig(file: string | undefined): Chosen {
  const { config, warnings } = readConfig(file);
  for (const warning of warnings) warn(formatProblem(warning));
  const receivers = new ReceiversInUse(config);
  if (receivers.kernel === undefined)
    throw new ShikraError('CONFIG_INVALID', 'service.pipelines: no kernel receiver is in use, whose rules to load');
  const { rule_matching: matching, capture_env: captureEnv } = receivers.kernel.config;
  return { request: receivers.kernelRules(), matching, captureEnv, redaction: config.service.redaction };
}

function ofPaths(paths: readonly string[]): Chosen {
  const rulesFiles = rulePaths(paths);
  const request: RulesRequest = {
    rulesFiles,
    ruleSelection: [],
    source: 'syscall',
    receivers: { syscall: rulesFiles },
  };
  return { request, matching: 'first', captureEnv: [], redaction: redactionConfigSchema.parse({}) };
}

/** What is printed of a detection: with the secrets of command lines hidden, as the agent hides them before anybody sees them. */
function formatter(format: ReplayOptions['format'], config: RedactionConfig): (detection: Detection) => string {
  const text = textFormat(format);
  const redaction = createRedaction(config);
  return redaction === undefined ? text : (detection) => text(redaction.detection(detection));
}

function textFormat(format: ReplayOptions['format']): (detection: Detection) => string {
  const { isTTY } = process.stdout;
  if (format === 'json' || (format === undefined && !isTTY)) return toFalcoJson;
  const color = isTTY === true && (process.env.NO_COLOR ?? '') === '';
  return (detection) => formatText(detection, color);
}

/** As fast as the reader of standard output takes it. One that goes away (`| head`) ends the replay. @returns how many there were */
async function print(
  blocks: Iterable<readonly Detection[]>,
  format: (detection: Detection) => string,
): Promise<number> {
  const { stdout } = process;
  const gone = new AbortController();
  stdout.on('error', () => gone.abort());
  let count = 0;
  for (const detections of blocks) {
    if (gone.signal.aborted) break;
    count += detections.length;
    const text = detections.map((detection) => `${format(detection)}\n`).join('');
    if (text !== '' && !stdout.write(text)) await once(stdout, 'drain', { signal: gone.signal }).catch(() => {});
  }
  return count;
}

function warn(text: string): void {
  console.error(`shikra: warning: ${text}`);
}
