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

/** What was parsed last. */
const parsed: {
  detectionOf?: StoredDetection;
  detection?: Detection;
  recordOf?: StoredDetection;
  record?: ReadableLogRecord;
} = {};

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
    if (parsed.detectionOf !== this) {
      parsed.detection = parseExact(this.row.detection) as Detection;
      parsed.detectionOf = this;
    }
    return parsed.detection!;
  }

  get record(): ReadableLogRecord {
    if (parsed.recordOf !== this) {
      const { record, resource, scope } = this.row;
      parsed.record = decodeRecord(record, this.#origins.resource(resource), this.#origins.scope(scope));
      parsed.recordOf = this;
    }
    return parsed.record!;
  }
}
