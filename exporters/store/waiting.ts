import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Detection } from '../../collector/detection/detection.ts';
import { PRIORITIES } from '../../collector/detection/priority.ts';

export interface Pending {
  readonly chain: string;
  readonly detection: Detection;
  readonly record: ReadableLogRecord;
  readonly detectionJson: string;
  readonly recordJson: string;
}

/** So much text is written in one transaction: the log must not outgrow what the reserve can bring into the file (reserve.ts). */
const TRANSACTION_TEXT = 2 * 1024 * 1024;
/** On a full disk there is room for a few again when some have gone. */
const FEW_ROWS = 50;

/** What is not on disk yet, in the order of its coming. */
export class Waiting {
  #items: Pending[] = [];

  get count(): number {
    return this.#items.length;
  }

  add(item: Pending): void {
    this.#items.push(item);
  }

  /** What is to be written in one transaction, from the oldest on. */
  next(diskIsFull: boolean): readonly Pending[] {
    return this.#items.slice(0, diskIsFull ? FEW_ROWS : this.#inOneTransaction());
  }

  /** The oldest are on disk. */
  written(count: number): void {
    this.#items = this.#items.slice(count);
  }

  /** Gives up one: the least severe, of those the oldest. */
  dropLeastSevere(): void {
    const ranks = this.#items.map(({ detection }) => PRIORITIES.indexOf(detection.priority));
    this.#items.splice(ranks.indexOf(Math.max(...ranks)), 1);
  }

  clear(): void {
    this.#items = [];
  }

  #inOneTransaction(): number {
    let text = 0;
    const size = this.#items.findIndex(({ detectionJson, recordJson }) => {
      text += detectionJson.length + recordJson.length;
      return text > TRANSACTION_TEXT;
    });
    return size === -1 ? this.#items.length : Math.max(1, size);
  }
}
