/** The same bytes under every element type that records need. */
export class Memory {
  readonly bytes: Buffer;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;

  /** @param start offset of the first byte: a multiple of 8 */
  constructor(buffer: ArrayBuffer, start = 0, length = buffer.byteLength - start) {
    this.bytes = Buffer.from(buffer, start, length);
    this.u16 = new Uint16Array(buffer, start, length >>> 1);
    this.u32 = new Uint32Array(buffer, start, length >>> 2);
    this.i32 = new Int32Array(buffer, start, length >>> 2);
  }

  /** A 64-bit number at a multiple of 8, as a double: exact up to 2^53, and so for 104 days of nanoseconds; beyond, the last bit or two are lost. */
  u64(at: number): number {
    return this.u32[at >>> 2]! + this.u32[(at >>> 2) + 1]! * 4294967296;
  }

  /** A signed 64-bit number at a multiple of 8. */
  i64(at: number): number {
    return this.u32[at >>> 2]! + this.i32[(at >>> 2) + 1]! * 4294967296;
  }

  /** A 64-bit number at a multiple of 8, exact. Allocates. */
  big64(at: number): bigint {
    return this.bytes.readBigUInt64LE(at);
  }
}
