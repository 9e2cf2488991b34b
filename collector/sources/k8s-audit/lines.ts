import { createReadStream } from 'node:fs';

const NEWLINE = 0x0a;

/** Lines of a file one after the other. Of one that is too long nothing is kept but that it was there: undefined. */
export async function* readLines(path: string, maxBytes: number): AsyncGenerator<string | undefined> {
  let parts: Buffer[] = [];
  let bytes = 0;
  const add = (part: Buffer): void => {
    bytes += part.length;
    if (bytes <= maxBytes) parts.push(part);
    else parts = [];
  };
  const take = (): string | undefined => {
    const line = bytes > maxBytes ? undefined : Buffer.concat(parts).toString();
    parts = [];
    bytes = 0;
    return line;
  };
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      add(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    add(chunk.subarray(start));
  }
  if (bytes > 0) yield take();
}
