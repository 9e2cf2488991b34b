import type { AttributeValue, DetectionAttributes } from './attribute-value.ts';
import { compactObject } from './compact.ts';

/** Attributes as they are gathered, in this order: as an object they would be a hash table that grows with each. */
export class AttributeList {
  readonly names: string[] = [];
  readonly values: AttributeValue[] = [];

  /** One that is not there yet. */
  add(name: string, value: AttributeValue): void {
    this.names.push(name);
    this.values.push(value);
  }

  /** One that may be there: it keeps its place. */
  set(name: string, value: AttributeValue): void {
    const index = this.names.indexOf(name);
    if (index < 0) this.add(name, value);
    else this.values[index] = value;
  }

  has(name: string): boolean {
    return this.names.includes(name);
  }

  get(name: string): AttributeValue | undefined {
    const index = this.names.indexOf(name);
    return index < 0 ? undefined : this.values[index];
  }

  toObject(): DetectionAttributes {
    return compactObject(this.names, this.values);
  }
}
