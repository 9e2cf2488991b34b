import { AttributeList } from './attribute-list.ts';
import type { AttributeValue, DetectionAttributes } from './attribute-value.ts';

/** Below what Loki, Prometheus' and OpenTelemetry's defaults refuse: 128 entries, 64 KB of structured metadata, 256 KB a line. */
export const LIMITS = {
  attributeCount: 100,
  valueBytes: 4096,
  attributesBytes: 48 * 1024,
  bodyBytes: 16 * 1024,
} as const;

const TRUNCATED = 'shikra.truncated';

export interface Limited {
  readonly body: string;
  readonly attributes: DetectionAttributes;
}

/**
 * Holds a record to {@link LIMITS}. What is cut or left out is named in the attribute `shikra.truncated` (`body` for the body), so that a reader
 * knows that there was more. Attributes given first are kept first.
 */
export function applyLimits(body: string, attributes: AttributeList): Limited {
  if (isSurelyWithin(body, attributes)) return { body, attributes: attributes.toObject() };
  const cut: string[] = [];
  const shortBody = cutText(body, LIMITS.bodyBytes);
  if (shortBody !== body) cut.push('body');
  const kept = new AttributeList();
  let count = 1; // one place is kept for the mark
  let budget: number = LIMITS.attributesBytes;
  for (const [index, name] of attributes.names.entries()) {
    const value = attributes.values[index]!;
    const short = cutValue(value);
    const bytes = sizeOf(short) + name.length;
    if (count >= LIMITS.attributeCount || bytes > budget) {
      cut.push(name);
      continue;
    }
    if (short !== value) cut.push(name);
    kept.add(name, short);
    count++;
    budget -= bytes;
  }
  if (cut.length > 0) kept.set(TRUNCATED, cutList(cut, LIMITS.valueBytes));
  return { body: shortBody, attributes: kept.toObject() };
}

/** By the most that a text may take in UTF-8, without looking at its characters: nearly every record. */
function isSurelyWithin(body: string, { names, values }: AttributeList): boolean {
  if (names.length >= LIMITS.attributeCount || body.length * 3 > LIMITS.bodyBytes) return false;
  let total = 0;
  for (let index = 0; index < names.length; index++) {
    const bytes = mostBytes(values[index]!);
    if (bytes > LIMITS.valueBytes) return false;
    total += bytes + names[index]!.length;
  }
  return total <= LIMITS.attributesBytes;
}

function mostBytes(value: AttributeValue): number {
  if (typeof value === 'string') return value.length * 3;
  if (!Array.isArray(value)) return 8;
  let bytes = 0;
  for (const item of value) bytes += item.length * 3;
  return bytes;
}

function cutValue(value: AttributeValue): AttributeValue {
  if (typeof value === 'string') return cutText(value, LIMITS.valueBytes);
  if (Array.isArray(value)) return sizeOf(value) <= LIMITS.valueBytes ? value : cutList(value, LIMITS.valueBytes);
  return value;
}

function sizeOf(value: AttributeValue): number {
  if (typeof value === 'string') return value.length * 3 <= LIMITS.valueBytes ? value.length : Buffer.byteLength(value);
  if (Array.isArray(value)) return value.reduce((sum, item) => sum + Buffer.byteLength(item), 0);
  return 8;
}

function cutList(items: readonly string[], bytes: number): string[] {
  const kept: string[] = [];
  let left = bytes;
  for (const item of items) {
    const size = Buffer.byteLength(item);
    if (size > left) {
      const part = cutText(item, left);
      if (part !== '') kept.push(part);
      break;
    }
    kept.push(item);
    left -= size;
  }
  return kept;
}

/** Cuts at a character's edge: half a UTF-8 sequence makes protobuf refuse the whole request. */
function cutText(value: string, bytes: number): string {
  if (value.length * 3 <= bytes) return value;
  const encoded = Buffer.from(value);
  if (encoded.length <= bytes) return value;
  let end = bytes;
  while (end > 0 && (encoded[end]! & 0xc0) === 0x80) end--;
  return encoded.toString('utf8', 0, end);
}
