import { DiagLogLevel, diag } from '@opentelemetry/api';
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerSettings {
  /** Default `info`. */
  readonly level?: LogLevel | 'silent';
  /** Where lines go. Default: standard error, so that standard output has detections and nothing else. */
  readonly destination?: NodeJS.WritableStream & { isTTY?: boolean };
}

/** The agent's own diagnostics: JSON lines in a pipe, a readable line on a terminal. Never sent through the pipeline that they are about. */
export function createLogger(settings: LoggerSettings = {}): Logger {
  const { level = 'info', destination = process.stderr } = settings;
  const options = { level, base: { service: 'shikra' }, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, destination.isTTY === true ? readable(destination) : destination);
}

/** Sends OpenTelemetry's own diagnostics to the logger. */
export function routeDiagnostics(logger: Logger): void {
  const component = logger.child({ component: 'opentelemetry' });
  const write =
    (level: LogLevel) =>
    (message: string, ...rest: unknown[]) =>
      component[level](rest.length > 0 ? { details: rest.map(detail) } : {}, message);
  const target = {
    verbose: write('trace'),
    debug: write('trace'),
    info: write('debug'),
    warn: write('warn'),
    error: write('error'),
  };
  diag.setLogger(target, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}

function detail(value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}

interface Line {
  readonly level: number;
  readonly time: string;
  readonly msg?: string;
  readonly [key: string]: unknown;
}

const HIDDEN = new Set(['level', 'time', 'msg', 'service', 'pid', 'hostname']);

/** One line for people: time, level, message, then `key=value`. */
export function formatLine(line: Line): string {
  const label = pino.levels.labels[line.level]?.toUpperCase().padEnd(5) ?? '?    ';
  const rest = Object.entries(line).filter(([key]) => !HIDDEN.has(key));
  const pairs = rest.map(
    ([key, value]) =>
      ` ${key}=${typeof value === 'string' ? value : key === 'err' ? errorText(value) : JSON.stringify(value)}`,
  );
  return `${line.time.slice(11, 19)} ${label} ${line.msg ?? ''}${pairs.join('')}\n`;
}

function errorText(value: unknown): string {
  const error = value as { message?: string };
  return JSON.stringify(error.message ?? value);
}

function readable(target: NodeJS.WritableStream): DestinationStream {
  return {
    write(text: string) {
      target.write(formatLine(JSON.parse(text) as Line));
    },
  };
}
