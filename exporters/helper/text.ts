/** Cuts at `most` UTF-16 units, never between the two halves of a character, and says so with an ellipsis. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const end = most - 1;
  const half = end > 0 && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800 ? 1 : 0;
  return `${text.slice(0, Math.max(0, end - half))}…`;
}

/** Cuts so that the text is no longer than `most` after `encode`, which makes single characters longer. */
export function cutEscaped(text: string, most: number, encode: (text: string) => string): string {
  let length = Math.min(text.length, most);
  for (;;) {
    const escaped = encode(cut(text, length));
    if (escaped.length <= most || length <= 1) return escaped;
    length = Math.max(1, Math.floor(length * (most / escaped.length)) - 1);
  }
}

/** Cuts at `most` bytes of UTF-8. */
export function cutBytes(text: string, most: number): string {
  if (text.length * 3 <= most) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return text;
  const end = Math.max(0, most - 3);
  let at = end;
  while (at > 0 && (bytes[at]! & 0xc0) === 0x80) at--;
  return `${bytes.toString('utf8', 0, at)}…`;
}
