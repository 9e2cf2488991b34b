import type { StoredDetection } from './stored-detection.ts';

/** Of the texts of what is kept. An exporter that is further behind than that has other troubles than the disk. */
const MOST_TEXT = 1024 * 1024;

/**
 * The detections that were stored last: an exporter that keeps up with what comes does not need the disk. They
 * are kept as texts: as the objects that they were made from they would grow old, and cost the garbage collector more than parsing them.
 */
export class Recent {
  /** By their sequence number. */
  #items: StoredDetection[] = [];
  #text = 0;

  /** @param items written, with higher sequence numbers than those before */
  add(items: readonly StoredDetection[]): void {
    this.#items.push(...items);
    for (const item of items) this.#text += item.textLength;
    let first = 0;
    while (this.#text > MOST_TEXT) this.#text -= this.#items[first++]!.textLength;
    if (first > 0) this.#items = this.#items.slice(first);
  }

  /** Those after `seq`; undefined if the next one after it may be older than all that are kept. */
  after(seq: number, count: number): readonly StoredDetection[] | undefined {
    const oldest = this.#items[0]?.seq;
    if (oldest === undefined || seq < oldest) return undefined;
    const first = this.#firstAfter(seq);
    return this.#items.slice(first, first + count);
  }

  /** Nobody asks for what is before `seq` any more: it is delivered, or retention has removed it. */
  forgetBefore(seq: number): void {
    const first = this.#firstAfter(seq - 1);
    if (first === 0) return;
    for (const item of this.#items.slice(0, first)) this.#text -= item.textLength;
    this.#items = this.#items.slice(first);
  }

  #firstAfter(seq: number): number {
    let [low, high] = [0, this.#items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#items[middle]!.seq > seq) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
