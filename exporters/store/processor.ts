import type { Context } from '@opentelemetry/api';
import type { LogRecordProcessor, ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Detection, FieldValue } from '../../collector/detection/detection.ts';
import { ATTRIBUTES, detectionIn, writtenDetectionIn } from '../../collector/detection/log-record.ts';
import { parsePriority } from '../../collector/detection/priority.ts';
import { priorityOfSeverity } from '../../collector/detection/severity.ts';
import { formatTime } from '../../collector/detection/time.ts';
import { uuidv7 } from '../../collector/detection/uuid.ts';
import { FIRST_CHAIN, type Store } from './store.ts';

/**
 * The end of the processor chain: writes every record to the store, from which exporters read. It does not own the store: whoever opened
 * it closes it, after the exporters have had their time.
 */
export class StoreProcessor implements LogRecordProcessor {
  readonly #store: Store;
  readonly #chain: string;
  #isShutdown = false;

  /** @param chain names the processors before this one, where there are several chains of them */
  constructor(store: Store, chain = FIRST_CHAIN) {
    this.#store = store;
    this.#chain = chain;
  }

  onEmit(record: ReadableLogRecord, context?: Context): void {
    if (this.#isShutdown) return;
    const detection = detectionOf(record, context);
    const written = detection === detectionIn(context) ? writtenDetectionIn(context) : undefined;
    this.#store.append(detection, record, this.#chain, written);
  }

  async forceFlush(): Promise<void> {
    if (!this.#store.flush())
      throw new Error(`${this.#store.pending} detections are not on disk: the store could not write`);
  }

  async shutdown(): Promise<void> {
    if (this.#isShutdown) return;
    this.#isShutdown = true;
    this.#store.flush();
  }
}

/** The detection that the record was made from, with what processors have changed; or one made from a record that is not Shikra's own. */
function detectionOf(record: ReadableLogRecord, context: Context | undefined): Detection {
  const detection = detectionIn(context) ?? fromRecord(record);
  const priority = parsePriority(String(record.attributes[ATTRIBUTES.priority] ?? ''));
  return priority === undefined || priority === detection.priority ? detection : { ...detection, priority };
}

function fromRecord(record: ReadableLogRecord): Detection {
  const { attributes } = record;
  const nanos = BigInt(record.hrTime[0]) * 1_000_000_000n + BigInt(record.hrTime[1]);
  const text = (name: string) => (typeof attributes[name] === 'string' ? attributes[name] : undefined);
  const body = typeof record.body === 'string' ? record.body : JSON.stringify(record.body ?? '');
  return {
    uuid: text(ATTRIBUTES.uid) ?? uuidv7(nanos),
    time: formatTime(nanos),
    observed_time: formatTime(BigInt(record.hrTimeObserved[0]) * 1_000_000_000n + BigInt(record.hrTimeObserved[1])),
    rule: text(ATTRIBUTES.rule) ?? record.eventName ?? record.instrumentationScope.name,
    priority: priorityOfSeverity(record.severityNumber ?? 0),
    source: text(ATTRIBUTES.source) ?? record.instrumentationScope.name,
    tags: [],
    hostname: String(record.resource.attributes['host.name'] ?? ''),
    output: body,
    output_fields: attributes as Record<string, FieldValue>,
    evidence: {},
    description: '',
    ruleset: '',
  };
}
