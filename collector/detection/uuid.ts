import { createHash, randomFillSync } from 'node:crypto';

const NANOS_PER_MILLI = 1_000_000n;
const pool = Buffer.alloc(8 * 256);
let poolOffset = pool.length;

let lastMillis = 0;
let lastFraction = 0;
let lastCounter = 0;

/**
 * A UUIDv7 (RFC 9562, method 3): 48 bits of milliseconds, 12 bits of the millisecond's fraction, then a counter of 30 bits that starts
 * at random, then 32 random bits. Two calls in one process never give the same value, and later calls sort later even if `nanos` goes back.
 */
export function uuidv7(nanos: bigint): string {
  const millis = Number(nanos / NANOS_PER_MILLI);
  const fraction = Number(((nanos % NANOS_PER_MILLI) * 4096n) / NANOS_PER_MILLI);
  if (millis > lastMillis || (millis === lastMillis && fraction > lastFraction)) {
    lastMillis = millis;
    lastFraction = fraction;
    lastCounter = random32() >>> 4;
  } else {
    advance();
  }
  const time = lastMillis.toString(16).padStart(12, '0');
  const high = (0x8000 | (lastCounter >>> 16)).toString(16);
  const low = (lastCounter & 0xffff).toString(16).padStart(4, '0') + random32().toString(16).padStart(8, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${lastFraction.toString(16).padStart(3, '0')}-${high}-${low}`;
}

/**
 * A UUIDv8 (RFC 9562) that is the same whenever the same is read again: 48 bits of milliseconds, then bits of a hash. Sorts by time as a UUIDv7 does.
 * @param identity all that makes it another one
 */
export function repeatableUuid(nanos: bigint, ...identity: string[]): string {
  const time = (nanos / NANOS_PER_MILLI).toString(16).padStart(12, '0');
  const hash = createHash('sha256');
  for (const part of identity) hash.update(`${part.length}:${part}`);
  const hex = hash.digest('hex');
  const variant = ((Number.parseInt(hex.charAt(3), 16) & 0x3) | 0x8).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-8${hex.slice(0, 3)}-${variant}${hex.slice(4, 7)}-${hex.slice(7, 19)}`;
}

function advance(): void {
  lastCounter++;
  if (lastCounter < 0x4000_0000) return;
  lastCounter = 0;
  lastFraction++;
  if (lastFraction < 4096) return;
  lastFraction = 0;
  lastMillis++;
}

function random32(): number {
  if (poolOffset >= pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  const value = pool.readUInt32LE(poolOffset);
  poolOffset += 4;
  return value;
}
