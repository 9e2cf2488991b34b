import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { PRIORITIES, type Priority } from '../../collector/detection/priority.ts';

/** What becomes a row. */
export interface Pending {
  readonly chain: string;
  readonly uid: string;
  readonly time: string;
  readonly rule: string;
  readonly priority: Priority;
  readonly source: string;
  readonly resource: ReadableLogRecord['resource'];
  readonly scope: ReadableLogRecord['instrumentationScope'];
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
  #text = 0;

  get count(): number {
    return this.#items.length;
  }

  add(item: Pending): void {
    this.#items.push(item);
    this.#text += textOf(item);
  }

  /** So much that waiting for more gains nothing. */
  get fillsTransaction(): boolean {
    return this.#text >= TRANSACTION_TEXT / 2;
  }

  /** What is to be written in one transaction, from the oldest on. */
  next(diskIsFull: boolean): readonly Pending[] {
    return this.#items.slice(0, diskIsFull ? FEW_ROWS : this.#inOneTransaction());
  }

  /** The oldest are on disk. */
  written(count: number): void {
    for (const item of this.#items.splice(0, count)) this.#text -= textOf(item);
  }

  /** Gives up one: the least severe, of those the oldest. */
  dropLeastSevere(): void {
    const ranks = this.#items.map(({ priority }) => PRIORITIES.indexOf(priority));
    const [dropped] = this.#items.splice(ranks.indexOf(Math.max(...ranks)), 1);
    if (dropped !== undefined) this.#text -= textOf(dropped);
  }

  clear(): void {
    this.#items = [];
    this.#text = 0;
  }

  #inOneTransaction(): number {
    let text = 0;
    const size = this.#items.findIndex((item) => {
      text += textOf(item);
      return text > TRANSACTION_TEXT;
    });
    return size === -1 ? this.#items.length : Math.max(1, size);
  }
}

function textOf({ detectionJson, recordJson }: Pending): number {
  return detectionJson.length + recordJson.length;
}
