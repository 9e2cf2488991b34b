/**
 * Cuts what a Redis server sends into replies, and says of each whether it is an error.
 *
 *   Reply = '+' text CRLF | '-' text CRLF | ':' number CRLF | '$' length CRLF bytes CRLF | '*' count CRLF { Reply } ;
 *
 * A length or count of -1 stands for "nothing". An error inside an array (EXEC's) is the array's.
 */
export class ReplyReader {
  /** Told of each whole reply: undefined, or the error's text. */
  onReply: ((error: string | undefined) => void) | undefined;
  #bytes: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (let reply = readReply(this.#bytes, 0); reply !== undefined; reply = readReply(this.#bytes, 0)) {
      this.#bytes = this.#bytes.subarray(reply.end);
      this.onReply?.(reply.error);
    }
  }
}

interface Reply {
  readonly end: number;
  readonly error: string | undefined;
}

/** @returns undefined if the reply is not whole yet */
function readReply(bytes: Buffer, start: number): Reply | undefined {
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd < 0) return undefined;
  const text = bytes.toString('utf8', start + 1, lineEnd);
  const end = lineEnd + 2;
  switch (bytes.toString('latin1', start, start + 1)) {
    case '-':
      return { end, error: text };
    case '$': {
      const length = Number(text);
      const after = length < 0 ? end : end + length + 2;
      return after <= bytes.length ? { end: after, error: undefined } : undefined;
    }
    case '*':
      return readArray(bytes, end, Number(text));
    default:
      return { end, error: undefined };
  }
}

function readArray(bytes: Buffer, start: number, count: number): Reply | undefined {
  // EXEC answers with nothing if the transaction was given up.
  if (count < 0) return { end: start, error: 'EXECABORT the transaction was not done' };
  let end = start;
  let error: string | undefined;
  for (let index = 0; index < count; index++) {
    const reply = readReply(bytes, end);
    if (reply === undefined) return undefined;
    error ??= reply.error;
    end = reply.end;
  }
  return { end, error };
}
