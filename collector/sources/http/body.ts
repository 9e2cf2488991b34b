import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

const unpack = promisify(gunzip);

export type Body = Buffer | 'too large' | 'not gzip';

/**
 * The body of a request, unpacked if it is compressed: a few bytes that unpack to gigabytes are too large too.
 * @throws if the sender goes away
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Body> {
  const sent = await bytesOf(request, maxBytes);
  if (sent === undefined) return 'too large';
  if (request.headers['content-encoding'] !== 'gzip') return sent;
  try {
    return await unpack(sent, { maxOutputLength: maxBytes });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too large' : 'not gzip';
  }
}

async function bytesOf(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > maxBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts, bytes);
}
