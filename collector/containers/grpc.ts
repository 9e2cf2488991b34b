import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { createConnection } from 'node:net';

/** grpc-status as https://grpc.github.io/grpc/core/md_doc_statuscodes.html has them. */
export const GRPC_STATUS = {
  ok: 0,
  unknown: 2,
  deadlineExceeded: 4,
  notFound: 5,
  unimplemented: 12,
  unavailable: 14,
} as const;

export class GrpcError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'GrpcError';
    this.status = status;
  }
}

/** A message has a flag and its length before it. */
const PREFIX_BYTES = 5;
/** An engine that sends more in one message is not one. */
const MOST_MESSAGE_BYTES = 64 * 1024 * 1024;

export interface CallOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** For unary calls. */
  readonly timeoutMillis?: number;
}

export interface GrpcStream {
  /** Settles when the server ended the stream: with undefined, or why. */
  readonly ended: Promise<GrpcError | undefined>;
  cancel(): void;
}

/** gRPC to a Unix socket: unary calls, and streams from the server. Messages are bytes. Not compressed, without TLS. */
export class GrpcChannel {
  readonly #session: ClientHttp2Session;
  #failure: Error | undefined;

  constructor(socketPath: string) {
    this.#session = connect('http://localhost', { createConnection: () => createConnection(socketPath) });
    // Whoever has a call open hears of it there.
    this.#session.on('error', (error) => {
      this.#failure = error;
    });
  }

  /** @throws GrpcError */
  async unary(method: string, request: Buffer, options: CallOptions = {}): Promise<Buffer> {
    let answer: Buffer | undefined;
    const call = this.stream(method, request, options, (message) => {
      answer = message;
    });
    const limit = options.timeoutMillis ?? 5000;
    const timer = setTimeout(() => call.cancel(), limit);
    const error = await call.ended;
    clearTimeout(timer);
    if (error !== undefined) throw error;
    if (answer === undefined) throw new GrpcError(GRPC_STATUS.unknown, `${method}: the answer is empty`);
    return answer;
  }

  stream(method: string, request: Buffer, options: CallOptions, onMessage: (message: Buffer) => void): GrpcStream {
    const { promise: ended, resolve } = Promise.withResolvers<GrpcError | undefined>();
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.request({
        ':method': 'POST',
        ':path': `/${method}`,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...options.metadata,
      });
    } catch (error) {
      resolve(new GrpcError(GRPC_STATUS.unavailable, (this.#failure ?? (error as Error)).message));
      return { ended, cancel: () => {} };
    }
    let status: { readonly error?: GrpcError } | undefined;
    const readStatus = (headers: IncomingHttpHeaders): void => {
      if (headers['grpc-status'] !== undefined) status = statusOf(headers);
      else if (headers[':status'] !== undefined && Number(headers[':status']) !== 200)
        status = { error: new GrpcError(GRPC_STATUS.unavailable, `${method}: HTTP status ${headers[':status']}`) };
    };
    const messages = new MessageReader((message) => onMessage(message));
    stream.on('response', readStatus);
    stream.on('trailers', readStatus);
    stream.on('data', (chunk: Buffer) => {
      try {
        messages.push(chunk);
      } catch (error) {
        status = { error: new GrpcError(GRPC_STATUS.unknown, `${method}: ${(error as Error).message}`) };
        stream.close(constants.NGHTTP2_CANCEL);
      }
    });
    stream.on('error', (error) => {
      status ??= { error: new GrpcError(GRPC_STATUS.unavailable, (this.#failure ?? error).message) };
    });
    stream.on('close', () => {
      status ??= { error: new GrpcError(GRPC_STATUS.unavailable, `${method}: the connection was closed`) };
      resolve(status.error);
    });
    stream.end(framed(request));
    return {
      ended,
      cancel: () => {
        status ??= { error: new GrpcError(GRPC_STATUS.deadlineExceeded, `${method}: no answer in time`) };
        stream.close(constants.NGHTTP2_CANCEL);
      },
    };
  }

  /** Ends every call. */
  close(): void {
    this.#session.destroy();
  }
}

function statusOf(headers: IncomingHttpHeaders): { readonly error?: GrpcError } {
  const status = Number(headers['grpc-status']);
  if (status === GRPC_STATUS.ok) return {};
  return { error: new GrpcError(status, decode(String(headers['grpc-message'] ?? `gRPC status ${status}`))) };
}

/** grpc-message is percent-encoded. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not encoded after all: the words are for people
  }
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Cuts what comes over the wire into messages. */
class MessageReader {
  readonly #onMessage: (message: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(onMessage: (message: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  push(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= PREFIX_BYTES) {
      const length = this.#rest.readUInt32BE(1);
      if (this.#rest[0] !== 0) throw new Error('a message is compressed, which was not agreed');
      if (length > MOST_MESSAGE_BYTES) throw new Error(`a message of ${length} bytes`);
      if (this.#rest.length < PREFIX_BYTES + length) return;
      this.#onMessage(this.#rest.subarray(PREFIX_BYTES, PREFIX_BYTES + length));
      this.#rest = this.#rest.subarray(PREFIX_BYTES + length);
    }
  }
}
