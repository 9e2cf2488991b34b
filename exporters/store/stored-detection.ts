import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Detection } from '../../collector/detection/detection.ts';
import { parseExact } from '../../collector/detection/json.ts';
import type { Origins } from './origins.ts';
import { decodeRecord } from './record-codec.ts';

/** A row of the table `detections`. */
export interface DetectionRow {
  readonly seq: number;
  readonly uid: string;
  readonly detection: string;
  readonly record: string;
  readonly resource: number;
  readonly scope: number;
  /** Missing in a dead letter: it has an exporter. */
  readonly chain?: string;
}

/** Keeps what was made last, for as long as the same is asked for. */
class Last<Value> {
  #of: StoredDetection | undefined;
  #value: Value | undefined;

  get(of: StoredDetection, make: () => Value): Value {
    if (this.#of !== of) {
      this.#value = make();
      this.#of = of;
    }
    return this.#value as Value;
  }
}

const lastDetection = new Last<Detection>();
const lastRecord = new Last<ReadableLogRecord>();

/**
 * A detection out of the store. Parsed when asked for (an exporter needs either the detection or the record, seldom both) and kept until another one is: who
 * goes through a batch parses each once, and a batch as objects would grow old, which costs more than to parse again.
 */
export class StoredDetection {
  readonly row: DetectionRow;
  readonly #origins: Origins;

  constructor(row: DetectionRow, origins: Origins) {
    this.row = row;
    this.#origins = origins;
  }

  get seq(): number {
    return this.row.seq;
  }

  /** The processors that made the record, as the id of the first pipeline that has them. */
  get chain(): string {
    return this.row.chain ?? '';
  }

  get uid(): string {
    return this.row.uid;
  }

  /** About what the record takes on the wire. */
  get bytes(): number {
    return this.row.record.length;
  }

  /** Of both texts. */
  get textLength(): number {
    return this.row.detection.length + this.row.record.length;
  }

  get detection(): Detection {
    return lastDetection.get(this, () => parseExact(this.row.detection) as Detection);
  }

  get record(): ReadableLogRecord {
    const { record, resource, scope } = this.row;
    return lastRecord.get(this, () =>
      decodeRecord(record, this.#origins.resource(resource), this.#origins.scope(scope)),
    );
  }
}
