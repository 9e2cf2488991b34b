import type { LogRecord } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { Detection } from '../detection/detection.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ReceiverOutcome } from '../telemetry/metrics.ts';

/** Who made log records. */
export interface RecordOrigin {
  /** Equal for equal origins. */
  readonly key: string;
  readonly resource: Resource;
  readonly scope: {
    readonly name: string;
    readonly version: string | undefined;
    readonly schemaUrl: string | undefined;
  };
}

/** A log record as its maker sent it: it goes on as it is, under the name of who made it. */
export interface ForeignRecord {
  readonly record: LogRecord;
  readonly origin: RecordOrigin;
}

/** What a receiver of finished detections is handed when it begins. */
export interface ReceiverSink {
  /** Sends a detection on its way. @param record where it came as a log record. @returns false if it is lost: it must not be acknowledged */
  emit(detection: Detection, record?: ForeignRecord): boolean;
  /** Settles when what was emitted before is on disk; with false if it could not be written. Many may wait for one write. */
  stored(): Promise<boolean>;
  /** For the metric; counts alerts or log records, or requests where nothing else is known. */
  count(outcome: ReceiverOutcome, count?: number): void;
  /** Says in the log what was wrong with what came; a flood is cut short. */
  tell(sender: string, message: string): void;
  readonly logger: Logger;
}

/** Takes detections that others have made. */
export interface DetectionReceiver {
  /** Begins to listen. Once. @throws ShikraError CONFIG_INVALID or ADDRESS_IN_USE */
  begin(sink: ReceiverSink): Promise<void>;
  /** Answers what was begun with, and listens no more. Calling it twice is fine. */
  stop(): Promise<void>;
}

/** The outcome that a refusal of the HTTP frame counts as. */
export function outcomeOfStatus(status: number): ReceiverOutcome {
  if (status === 401) return 'unauthorized';
  if (status === 413) return 'too_large';
  if (status >= 500) return 'unavailable';
  return status === 400 ? 'malformed' : 'unsupported';
}
