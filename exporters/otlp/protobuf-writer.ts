import type { HrTime } from '@opentelemetry/api';

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

// common.v1.AnyValue, ArrayValue, KeyValueList and KeyValue
const ANY_VALUE = { text: 1, flag: 2, integer: 3, double: 4, list: 5, map: 6, bytes: 7 };
const ITEM = 1;
const KEY_VALUE = { key: 1, value: 2 };

/** The most that tag and length, or one number with its tag, take. */
const HEAD_BYTES = 16;
/** Below this a loop over the characters is quicker than a call into C++. */
const SHORT_TEXT = 24;
const MOST_KEYS = 10_000;

/** Protobuf's wire format, for what a log record holds. Every method writes a field with its number; numbers above 15 are not known to it. */
export class ProtobufWriter {
  #buffer: Buffer;
  #at = 0;
  /** Names of attributes as the field of a KeyValue: the same ones again and again. */
  readonly #keys = new Map<string, Buffer>();

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  reset(): void {
    this.#at = 0;
  }

  /** A copy of what was written since {@link reset}. */
  finish(): Uint8Array {
    return Buffer.from(this.#buffer.subarray(0, this.#at));
  }

  /**
   * @param write writes the fields of the message inside
   * @param lengthBytes what its length is expected to take: 1 below 128 bytes, 2 below 16 KiB; if that is wrong, what was written is moved
   */
  message(field: number, write: () => void, lengthBytes = 1): void {
    this.#need(HEAD_BYTES);
    this.#buffer[this.#at++] = (field << 3) | DELIMITED;
    const start = this.#at + lengthBytes;
    this.#at = start;
    write();
    this.#setLength(start, lengthBytes);
  }

  text(field: number, text: string): void {
    this.#text(field, text, Buffer.byteLength(text));
  }

  bytes(field: number, bytes: Uint8Array): void {
    this.#need(HEAD_BYTES + bytes.length);
    this.#buffer[this.#at++] = (field << 3) | DELIMITED;
    this.#varint(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  varint(field: number, value: number): void {
    this.#need(HEAD_BYTES);
    this.#buffer[this.#at++] = (field << 3) | VARINT;
    this.#varint(value);
  }

  fixed32(field: number, value: number): void {
    this.#need(HEAD_BYTES);
    this.#buffer[this.#at++] = (field << 3) | FIXED32;
    this.#at = this.#buffer.writeUInt32LE(value >>> 0, this.#at);
  }

  nanos(field: number, [seconds, nanos]: HrTime): void {
    this.#need(HEAD_BYTES);
    this.#buffer[this.#at++] = (field << 3) | FIXED64;
    this.#at = this.#buffer.writeBigUInt64LE(BigInt(seconds) * 1_000_000_000n + BigInt(nanos), this.#at);
  }

  /** Each a KeyValue. */
  attributes(field: number, attributes: Readonly<Record<string, unknown>>): void {
    for (const name of Object.keys(attributes)) {
      const value = attributes[name];
      if (typeof value === 'string') this.#textAttribute(field, this.#key(name), value);
      else this.message(field, () => this.#pair(name, value));
    }
  }

  /** An AnyValue. */
  value(field: number, value: unknown, lengthBytes = 1): void {
    this.message(field, () => this.#any(value), lengthBytes);
  }

  /** What most attributes are: with all lengths known, nothing has to be moved. */
  #textAttribute(field: number, key: Buffer, text: string): void {
    const bytes = Buffer.byteLength(text);
    const valueBytes = 1 + varintBytes(bytes) + bytes;
    const pairBytes = key.length + 1 + varintBytes(valueBytes) + valueBytes;
    this.#need(HEAD_BYTES + pairBytes);
    this.#buffer[this.#at++] = (field << 3) | DELIMITED;
    this.#varint(pairBytes);
    this.#buffer.set(key, this.#at);
    this.#at += key.length;
    this.#buffer[this.#at++] = (KEY_VALUE.value << 3) | DELIMITED;
    this.#varint(valueBytes);
    this.#text(ANY_VALUE.text, text, bytes);
  }

  #pair(name: string, value: unknown): void {
    const key = this.#key(name);
    this.#need(key.length);
    this.#buffer.set(key, this.#at);
    this.#at += key.length;
    this.value(KEY_VALUE.value, value);
  }

  #any(value: unknown): void {
    if (typeof value === 'string') this.text(ANY_VALUE.text, value);
    else if (typeof value === 'boolean') this.varint(ANY_VALUE.flag, value ? 1 : 0);
    else if (typeof value === 'number') this.#number(value);
    else if (value instanceof Uint8Array) this.bytes(ANY_VALUE.bytes, value);
    else if (Array.isArray(value))
      this.message(ANY_VALUE.list, () => {
        for (const item of value) this.value(ITEM, item);
      });
    else if (typeof value === 'object' && value !== null)
      this.message(ANY_VALUE.map, () => this.#map(value as Record<string, unknown>));
  }

  #map(object: Readonly<Record<string, unknown>>): void {
    for (const name of Object.keys(object)) this.message(ITEM, () => this.#pair(name, object[name]));
  }

  #number(value: number): void {
    if (Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63) {
      this.varint(ANY_VALUE.integer, value);
      return;
    }
    this.#need(HEAD_BYTES);
    this.#buffer[this.#at++] = (ANY_VALUE.double << 3) | FIXED64;
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  #key(name: string): Buffer {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const text = Buffer.from(name);
    const head = [(KEY_VALUE.key << 3) | DELIMITED];
    for (let left = text.length; ; left >>>= 7) {
      head.push(left > 0x7f ? (left & 0x7f) | 0x80 : left);
      if (left <= 0x7f) break;
    }
    const key = Buffer.concat([Buffer.from(head), text]);
    if (this.#keys.size < MOST_KEYS) this.#keys.set(name, key);
    return key;
  }

  /** @param bytes that the text takes in UTF-8 */
  #text(field: number, text: string, bytes: number): void {
    this.#need(HEAD_BYTES + bytes);
    this.#buffer[this.#at++] = (field << 3) | DELIMITED;
    this.#varint(bytes);
    const buffer = this.#buffer;
    const at = this.#at;
    if (bytes < SHORT_TEXT && bytes === text.length)
      for (let index = 0; index < bytes; index++) buffer[at + index] = text.charCodeAt(index);
    else buffer.write(text, at, bytes);
    this.#at = at + bytes;
  }

  #varint(value: number): void {
    if (value < 0 || value > 0x7fff_ffff) {
      this.#longVarint(BigInt.asUintN(64, BigInt(value)));
      return;
    }
    let left = value;
    for (; left > 0x7f; left >>>= 7) this.#buffer[this.#at++] = (left & 0x7f) | 0x80;
    this.#buffer[this.#at++] = left;
  }

  #longVarint(value: bigint): void {
    let left = value;
    for (; left > 0x7fn; left >>= 7n) this.#buffer[this.#at++] = Number(left & 0x7fn) | 0x80;
    this.#buffer[this.#at++] = Number(left);
  }

  /** Writes the length of what stands from `start` on before it. */
  #setLength(start: number, lengthBytes: number): void {
    const length = this.#at - start;
    const shift = varintBytes(length) - lengthBytes;
    if (shift > 0) this.#need(shift);
    if (shift !== 0) this.#buffer.copyWithin(start + shift, start, this.#at);
    const end = this.#at + shift;
    this.#at = start - lengthBytes;
    this.#varint(length);
    this.#at = end;
  }

  #need(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#at + bytes));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let left = value; left > 0x7f; left >>>= 7) bytes++;
  return bytes;
}
