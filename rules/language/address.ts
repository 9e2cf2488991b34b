/** IP addresses and networks, without allocation where events are compared. */

const NONE = -1;
const DOT = 46;
const COLON = 58;

/** The last IPv6 address that {@link parseV6} read, as four 32-bit words. */
const words = new Int32Array(4);
/** Its eight groups. */
const groups = new Uint16Array(8);

/** Reads a dotted IPv4 address from `start` to `end`. @returns its 32 bits as an unsigned number, or -1 */
function parseV4(text: string, start = 0, end = text.length): number {
  let address = 0;
  let part = NONE;
  let dots = 0;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (part === NONE || ++dots > 3) return NONE;
      address = address * 256 + part;
      part = NONE;
    } else {
      // A leading zero would mean octal to some readers; it is no address.
      if (code < 48 || code > 57 || part === 0) return NONE;
      part = part === NONE ? code - 48 : part * 10 + code - 48;
      if (part > 255) return NONE;
    }
  }
  return dots === 3 && part !== NONE ? address * 256 + part : NONE;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : NONE;
}

/** Reads an IPv6 address into {@link groups} and {@link words}. */
function parseV6(text: string): boolean {
  groups.fill(0);
  const end = text.length;
  let count = 0;
  let gapAt = NONE;
  let at = 0;
  if (text.startsWith('::')) {
    gapAt = 0;
    at = 2;
    if (at === end) return finishV6(0, 0);
  }
  for (;;) {
    const start = at;
    let value = 0;
    for (let digit = NONE; at < end; at++) {
      digit = hexDigit(text.charCodeAt(at));
      if (digit === NONE) break;
      value = value * 16 + digit;
    }
    if (text.charCodeAt(at) === DOT) {
      const tail = parseV4(text, start, end);
      if (tail === NONE || count > 6) return false;
      groups[count++] = tail / 65536;
      groups[count++] = tail % 65536;
      return finishV6(count, gapAt);
    }
    if (at === start || at - start > 4 || count > 7) return false;
    groups[count++] = value;
    if (at === end) return finishV6(count, gapAt);
    if (text.charCodeAt(at++) !== COLON || at === end) return false;
    if (text.charCodeAt(at) === COLON) {
      if (gapAt !== NONE) return false;
      gapAt = count;
      if (++at === end) return finishV6(count, gapAt);
    }
  }
}

/** Moves the groups after `::` to the end. */
function finishV6(count: number, gapAt: number): boolean {
  if (gapAt === NONE ? count !== 8 : count > 7) return false;
  if (gapAt !== NONE) {
    const moved = count - gapAt;
    groups.copyWithin(8 - moved, gapAt, count);
    groups.fill(0, gapAt, 8 - moved);
  }
  for (let i = 0; i < 4; i++) words[i] = (groups[2 * i]! << 16) | groups[2 * i + 1]!;
  return true;
}

/** The canonical text of an address (RFC 5952 for IPv6), or undefined if the text is none. */
export function canonicalAddress(text: string): string | undefined {
  const v4 = parseV4(text);
  if (v4 !== NONE) return [v4 >>> 24, (v4 >>> 16) & 255, (v4 >>> 8) & 255, v4 & 255].join('.');
  if (!text.includes(':') || !parseV6(text)) return undefined;
  return formatV6();
}

function formatV6(): string {
  let best = NONE;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > bestLength) {
      best = start;
      bestLength = length;
    }
  }
  const hex = (from: number, to: number) =>
    Array.from(groups.subarray(from, to), (group) => group.toString(16)).join(':');
  return best === NONE ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
}

/** The canonical text of `address/length`, host bits cleared; undefined if the text is none. */
export function canonicalNetwork(text: string): string | undefined {
  const slash = text.lastIndexOf('/');
  const lengthText = text.slice(slash + 1);
  if (slash < 0 || !/^\d{1,3}$/.test(lengthText)) return undefined;
  const address = text.slice(0, slash);
  const length = Number(lengthText);
  const v4 = parseV4(address);
  if (v4 !== NONE) {
    if (length > 32) return undefined;
    const base = (v4 & maskOf(length)) >>> 0;
    return `${[base >>> 24, (base >>> 16) & 255, (base >>> 8) & 255, base & 255].join('.')}/${length}`;
  }
  if (!address.includes(':') || length > 128 || !parseV6(address)) return undefined;
  for (let i = 0; i < 8; i++) groups[i] = groups[i]! & (maskOf(clamp(length - 16 * i, 16) + 16) & 0xffff);
  return `${formatV6()}/${length}`;
}

function clamp(bits: number, most: number): number {
  return Math.max(0, Math.min(most, bits));
}

/** A 32-bit mask with `bits` leading ones. */
function maskOf(bits: number): number {
  return bits === 0 ? 0 : -1 << (32 - bits);
}

/** Networks compiled once, asked often. */
export class NetworkSet {
  /** Base and mask of each IPv4 network, in turn. */
  readonly #v4: Int32Array;
  /** Four words of base and four of mask for each IPv6 network. */
  readonly #v6: Int32Array;

  /** @param networks as {@link canonicalNetwork} writes them */
  constructor(networks: readonly string[]) {
    const v4: number[] = [];
    const v6: number[] = [];
    for (const network of networks) {
      const slash = network.lastIndexOf('/');
      const length = Number(network.slice(slash + 1));
      const address = parseV4(network.slice(0, slash));
      if (address !== NONE) v4.push(address & maskOf(length), maskOf(length));
      else if (parseV6(network.slice(0, slash))) {
        const masks = [0, 1, 2, 3].map((index) => maskOf(clamp(length - 32 * index, 32)));
        v6.push(...masks.map((mask, index) => words[index]! & mask), ...masks);
      }
    }
    this.#v4 = Int32Array.from(v4);
    this.#v6 = Int32Array.from(v6);
  }

  /** True if the address lies in one of the networks; an IPv4 address mapped into IPv6 counts as IPv4. */
  has(address: string): boolean {
    const v4 = parseV4(address);
    if (v4 !== NONE) return this.#hasV4(v4 | 0);
    if (!parseV6(address)) return false;
    if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff && this.#hasV4(words[3]!)) return true;
    const networks = this.#v6;
    for (let at = 0; at < networks.length; at += 8) {
      if (
        (words[0]! & networks[at + 4]!) === networks[at] &&
        (words[1]! & networks[at + 5]!) === networks[at + 1] &&
        (words[2]! & networks[at + 6]!) === networks[at + 2] &&
        (words[3]! & networks[at + 7]!) === networks[at + 3]
      )
        return true;
    }
    return false;
  }

  #hasV4(address: number): boolean {
    const networks = this.#v4;
    for (let at = 0; at < networks.length; at += 2) {
      if ((address & networks[at + 1]!) === networks[at]) return true;
    }
    return false;
  }
}
