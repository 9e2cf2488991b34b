import { type Attributes, type Context, createContextKey, type Logger } from '@opentelemetry/api';
import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import type { toLogRecord } from '../detection/log-record.ts';

const ATTRIBUTES_KEY = createContextKey('shikra attributes');

/**
 * Emits a record of our own through the SDK, but for its attributes: it would look at each value and copy it, which takes longer than making them. They are
 * valid and within the limits as they come out of {@link toLogRecord}. {@link AttributesInPlace} must be the first processor.
 */
export function emitInPlace(logger: Logger, { attributes, context, ...rest }: ReturnType<typeof toLogRecord>): void {
  logger.emit({ ...rest, context: context.setValue(ATTRIBUTES_KEY, attributes) });
}

/** Gives records the attributes that {@link emitInPlace} has put aside for them; others have theirs already. */
export class AttributesInPlace implements LogRecordProcessor {
  readonly #next: LogRecordProcessor;

  constructor(next: LogRecordProcessor) {
    this.#next = next;
  }

  onEmit(record: ReadWriteLogRecord, context?: Context): void {
    const attributes = context?.getValue(ATTRIBUTES_KEY) as Attributes | undefined;
    // Processors add to them: each way through them has its own.
    if (attributes !== undefined) (record as { attributes: Attributes }).attributes = { ...attributes };
    this.#next.onEmit(record, context);
  }

  forceFlush(options?: { timeoutMillis?: number }): Promise<void> {
    return this.#next.forceFlush(options);
  }

  shutdown(): Promise<void> {
    return this.#next.shutdown();
  }
}
