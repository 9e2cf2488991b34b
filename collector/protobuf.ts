/**
 * Just enough of protobuf's wire format for the few messages of container engines and of OTLP: fields by number, as
 * https://protobuf.dev/programming-guides/encoding defines them.
 */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A value to write: text, a message, a number or a flag; a list is a repeated field. Undefined is left out. */
export type Writable = string | Buffer | number | boolean | readonly Writable[] | undefined;

/** Writes a message. @param fields by number */
export function encode(fields: Readonly<Record<number, Writable>>): Buffer {
  return Buffer.concat(Object.entries(fields).flatMap(([number, value]) => encodeField(Number(number), value)));
}

/** A map<string, string>. */
export function encodeMap(entries: Readonly<Record<string, string>>): Buffer[] {
  return Object.entries(entries).map(([key, value]) => encode({ 1: key, 2: value }));
}

function encodeField(number: number, value: Writable): Buffer[] {
  if (value === undefined) return [];
  if (typeof value === 'object' && !Buffer.isBuffer(value)) return value.flatMap((each) => encodeField(number, each));
  if (typeof value === 'number' || typeof value === 'boolean')
    return [varint((number << 3) | VARINT), varint(Number(value))];
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return [varint((number << 3) | BYTES), varint(bytes.length), bytes];
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** A message that was read. A field that is not there has its default: '', 0, false, no message. Unknown ones are skipped. */
export class Message {
  readonly #fields = new Map<number, (Buffer | bigint)[]>();

  /** @throws Error if it is no message */
  constructor(bytes: Buffer = Buffer.alloc(0)) {
    const reader = new Reader(bytes);
    while (!reader.isAtEnd) {
      const key = Number(reader.varint());
      const value = reader.value(key & 7);
      const values = this.#fields.get(key >>> 3);
      if (values === undefined) this.#fields.set(key >>> 3, [value]);
      else values.push(value);
    }
  }

  has(number: number): boolean {
    return this.#fields.has(number);
  }

  bytes(number: number): Buffer | undefined {
    const value = this.#fields.get(number)?.at(-1);
    return Buffer.isBuffer(value) ? value : undefined;
  }

  text(number: number): string {
    return this.bytes(number)?.toString() ?? '';
  }

  texts(number: number): string[] {
    return this.#all(number).map(String);
  }

  integer(number: number): bigint {
    const value = this.#fields.get(number)?.at(-1);
    return typeof value === 'bigint' ? BigInt.asIntN(64, value) : 0n;
  }

  /** A fixed64 without sign, or a varint. */
  unsigned(number: number): bigint {
    return BigInt.asUintN(64, this.integer(number));
  }

  double(number: number): number {
    const bits = Buffer.allocUnsafe(8);
    bits.writeBigUInt64LE(this.unsigned(number));
    return bits.readDoubleLE();
  }

  flag(number: number): boolean {
    return this.integer(number) !== 0n;
  }

  /** The message in a field; an empty one if there is none. */
  message(number: number): Message {
    return new Message(this.bytes(number));
  }

  messages(number: number): Message[] {
    return this.#all(number).map((bytes) => new Message(bytes));
  }

  /** A map<string, string>. */
  map(number: number): Record<string, string> {
    return Object.fromEntries(this.messages(number).map((entry) => [entry.text(1), entry.text(2)]));
  }

  #all(number: number): Buffer[] {
    return (this.#fields.get(number) ?? []).filter((value) => Buffer.isBuffer(value));
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#take(1)[0]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Error('a number of a protobuf message is longer than ten bytes');
  }

  value(wireType: number): Buffer | bigint {
    switch (wireType) {
      case VARINT:
        return this.varint();
      case FIXED64:
        return this.#take(8).readBigUInt64LE();
      case BYTES:
        return this.#take(Number(this.varint()));
      case FIXED32:
        return BigInt(this.#take(4).readUInt32LE());
      default:
        throw new Error(`a protobuf message has a field of the unknown wire type ${wireType}`);
    }
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error('a protobuf message ends within a field');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
