import type { Socket } from 'node:net';
import { type Address, openSocket } from '../helper/socket.ts';
import type { Tls } from '../helper/tls.ts';
import { ReplyReader } from './reply-reader.ts';

/** What the server answered in the place of a result: `WRONGTYPE Operation against a key ...`. */
export class RedisError extends Error {}

export interface RedisConnectionSettings {
  readonly address: Address;
  readonly tls: Tls | undefined;
  /** Commands at the beginning of every connection. */
  readonly greeting: () => readonly (readonly string[])[];
}

/** Enough of Redis' protocol (RESP2) to send commands and to learn whether each was taken. One call of `run` at a time. */
export class RedisConnection {
  readonly #settings: RedisConnectionSettings;
  #socket: Socket | undefined;
  #replies = new ReplyReader();

  constructor(settings: RedisConnectionSettings) {
    this.#settings = settings;
  }

  /** Sends the commands at once and waits for an answer to each. Rejects with a {@link RedisError} if one of them is an error. */
  async run(commands: readonly (readonly string[])[], signal: AbortSignal): Promise<void> {
    const socket = this.#socket?.writable ? this.#socket : await this.#open(signal);
    await this.#exchange(socket, commands, signal);
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #open(signal: AbortSignal): Promise<Socket> {
    const { address, tls, greeting } = this.#settings;
    const socket = await openSocket(address, tls, signal);
    socket.unref();
    this.#socket = socket;
    this.#replies = new ReplyReader();
    socket.on('data', (chunk: Buffer) => this.#replies.push(chunk));
    await this.#exchange(socket, greeting(), signal);
    return socket;
  }

  async #exchange(socket: Socket, commands: readonly (readonly string[])[], signal: AbortSignal): Promise<void> {
    if (commands.length === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onClose = () => reject(new Error('the server closed the connection'));
    const onAbort = () => reject(new Error('no answer in time'));
    let missing = commands.length;
    let firstError: string | undefined;
    this.#replies.onReply = (error) => {
      firstError ??= error;
      missing--;
      if (missing > 0) return;
      if (firstError === undefined) resolve();
      else reject(new RedisError(firstError));
    };
    socket.once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.ref();
    try {
      socket.write(commands.map(encode).join(''));
      await promise;
    } finally {
      socket.unref();
      socket.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      this.#replies.onReply = undefined;
    }
  }
}

/** A command is an array of bulk strings; lengths are in bytes. */
function encode(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}
