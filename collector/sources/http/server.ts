import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type {
  IncomingHttpHeaders,
  IncomingMessage,
  RequestListener,
  Server,
  ServerOptions,
  ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { ShikraError } from '../../errors.ts';
import { http } from '../../node-http.ts';
import type { Renewed } from '../../renewed-files.ts';
import { type Body, readBody } from './body.ts';
import { Slots } from './slots.ts';

/** Where a receiver listens, and whom it lets in. */
export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** What the files have at the time of a connection. */
  readonly tls?: Renewed<ServerTls> | undefined;
  /** What its file has at the time of a request. */
  readonly bearerToken?: Renewed<string> | undefined;
}

/** Certificate and key as PEM; with client authorities only clients with a certificate of theirs are let in. */
export interface ServerTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
}

export interface Reply {
  readonly status: number;
  /** An object is sent as JSON. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A path that bodies are posted to. */
export interface Route {
  readonly path: string;
  /** Media types that are taken, without parameters. */
  readonly contentTypes: readonly string[];
  /** Whether bodies may come compressed. */
  readonly gzip: boolean;
  /** A larger body, or one that is larger when it is unpacked, is refused. */
  readonly maxBytes: number;
  /** Ends the message of such a refusal: what it is that is too large, and what can be done. */
  readonly tooLarge: { readonly what: string; readonly remedy: string };
  /** Ends the message about another media type. */
  readonly typeRemedy?: string;
  /** Does the work. What it throws is an answer 500. */
  take(body: Buffer, request: { readonly sender: string; readonly contentType: string }): Promise<Reply>;
  /** How a refusal is said where that is not `{"error": ...}`. */
  refusal?(status: number, message: string, contentType: string): Reply;
  /** A request was refused before its body was looked at, or the work on it failed. */
  onRefused?(status: number, message: string, sender: string): void;
}

export interface HttpServerOptions {
  /** The receiver's key in the configuration, for messages. */
  readonly key: string;
  readonly routes: readonly Route[];
  /** Answered to whoever asks, with any method and without the token: path -> text. */
  readonly pages?: Readonly<Record<string, { readonly contentType: string; readonly text: string }>>;
  /** Bodies in memory at once; others wait. */
  readonly mostBodies: number;
  readonly mostConnections: number;
}

/** Who sends slower is cut off. */
const LIMITS: ServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 5000,
  keepAliveTimeout: 60_000,
  maxHeaderSize: 16_384,
};
/** For requests at work when it is closed. */
const CLOSE_MILLIS = 500;

/** The frame of every receiver that is posted to: HTTP or HTTPS, who may enter, what is too large, and an answer with a reason to all that is refused. */
export class HttpServer {
  readonly #listen: ListenOptions;
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #slots: Slots;
  readonly #mayEnter: (authorization: string | undefined) => boolean;

  private constructor(listen: ListenOptions, options: HttpServerOptions) {
    const { tls } = listen;
    this.#listen = listen;
    this.#options = options;
    this.#slots = new Slots(options.mostBodies);
    this.#mayEnter = bearerCheck(listen.bearerToken);
    const listener = (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response);
    this.#server = tls === undefined ? http.createServer(LIMITS, listener) : tlsServer(tls, listener);
    this.#server.maxConnections = options.mostConnections;
  }

  /** @throws ShikraError CONFIG_INVALID for a certificate or key that is none, ADDRESS_IN_USE if it cannot listen */
  static async open(listen: ListenOptions, options: HttpServerOptions): Promise<HttpServer> {
    let server: HttpServer;
    try {
      server = new HttpServer(listen, options);
    } catch (error) {
      throw new ShikraError('CONFIG_INVALID', `${options.key}.tls: ${(error as Error).message}`);
    }
    try {
      await server.#begin();
    } catch (error) {
      throw cannotListen(listen, options.key, error as Error);
    }
    return server;
  }

  /** `http://host:port`. */
  get origin(): string {
    const { host, tls } = this.#listen;
    const name = host.includes(':') ? `[${host}]` : host;
    return `${tls ? 'https' : 'http'}://${name}:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Lets requests at work end. Calling it twice is fine. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_MILLIS);
    await closed;
    clearTimeout(timer);
  }

  async #begin(): Promise<void> {
    const { host, port } = this.#listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    // What goes wrong with one connection is told to its sender, and must not end the agent.
    this.#server.removeAllListeners('error').on('error', () => {});
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { status, body, headers = {} } = await this.#reply(request);
      // The rest of a refused body is thrown away as it comes: a sender that is cut off would not see the answer.
      request.resume();
      const isText = typeof body === 'string' || Buffer.isBuffer(body);
      response.writeHead(status, { ...(!isText && { 'content-type': 'application/json' }), ...headers });
      response.end(isText ? body : `${JSON.stringify(body)}\n`);
    } catch {
      response.destroy(); // the sender went away
    }
  }

  async #reply(request: IncomingMessage): Promise<Reply> {
    const [path = '/'] = (request.url ?? '/').split('?');
    const page = this.#options.pages?.[path];
    if (page !== undefined) return { status: 200, body: page.text, headers: { 'content-type': page.contentType } };
    const route = this.#options.routes.find((each) => each.path === path);
    if (route !== undefined) return this.#take(route, request);
    const known = this.#options.routes.map((each) => each.path).join(', ');
    return { status: 404, body: { error: `expected ${known}, got ${path}` } };
  }

  async #take(route: Route, request: IncomingMessage): Promise<Reply> {
    const sender = request.socket.remoteAddress ?? 'unknown';
    const contentType = mediaType(request.headers);
    const refused = ({ status, message, headers = {} }: Refusal): Reply => {
      route.onRefused?.(status, message, sender);
      const reply: Reply = route.refusal?.(status, message, contentType) ?? { status, body: { error: message } };
      return { ...reply, headers: { ...reply.headers, ...headers } };
    };
    const refusal = this.#refuse(route, request, contentType);
    if (refusal !== undefined) return refused(refusal);
    return this.#slots.hold(async () => {
      const body = await readBody(request, route.maxBytes);
      if (!Buffer.isBuffer(body)) return refused(unreadable(route, body));
      try {
        return await route.take(body, { sender, contentType });
      } catch (error) {
        return refused({ status: 500, message: `${(error as Error).message}; send it again later` });
      }
    });
  }

  /** What can be said before the body is read. */
  #refuse(route: Route, { method, headers }: IncomingMessage, contentType: string): Refusal | undefined {
    if (method !== 'POST') return { status: 405, message: `expected POST, got ${method}`, headers: { allow: 'POST' } };
    if (!this.#mayEnter(headers.authorization)) {
      const message = 'expected the bearer token of this receiver';
      return { status: 401, message, headers: { 'www-authenticate': 'Bearer' } };
    }
    if (!route.contentTypes.includes(contentType)) {
      const remedy = route.typeRemedy === undefined ? '' : `; ${route.typeRemedy}`;
      const expected = route.contentTypes.join(' or ');
      return { status: 415, message: `expected content-type ${expected}, got ${contentType}${remedy}` };
    }
    const encoding = headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity' && !(route.gzip && encoding === 'gzip')) {
      const expected = route.gzip ? 'content-encoding gzip or none' : 'no content-encoding';
      return { status: 415, message: `expected ${expected}, got ${encoding}` };
    }
    if (Number(headers['content-length'] ?? 0) > route.maxBytes) return unreadable(route, 'too large');
    return undefined;
  }
}

interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function unreadable({ maxBytes, tooLarge }: Route, body: Exclude<Body, Buffer>): Refusal {
  if (body === 'too large')
    return { status: 413, message: `${tooLarge.what} of more than ${maxBytes} bytes; ${tooLarge.remedy}` };
  return { status: 400, message: 'expected a body that is gzip, as content-encoding says' };
}

/** Connections that begin after a renewal are spoken to with the new certificate, and let in by the new authorities; those that there are go on. */
function tlsServer(tls: Renewed<ServerTls>, listener: RequestListener): TlsServer {
  let inUse = tls.get();
  const server = createTlsServer(
    { ...LIMITS, ...inUse, requestCert: inUse.ca !== undefined, rejectUnauthorized: true },
    listener,
  );
  // Before the server's own listener, which begins to speak TLS.
  server.prependListener('connection', () => {
    const now = tls.get();
    if (now === inUse) return;
    inUse = now;
    server.setSecureContext(now);
    // A session that is taken up again would be let in by the authorities of before.
    server.setTicketKeys(randomBytes(48));
  });
  return server;
}

/** @throws never. @returns whether what stands in `authorization` opens the door */
export function bearerCheck(token: Renewed<string> | undefined): (authorization: string | undefined) => boolean {
  if (token === undefined) return () => true;
  return (authorization = '') => {
    const given = /^Bearer (.+)$/i.exec(authorization)?.[1] ?? '';
    return timingSafeEqual(digest(given), digest(token.get()));
  };
}

/** Of equal length, whatever was given. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

export function cannotListen({ host, port }: ListenOptions, key: string, error: Error): ShikraError {
  return new ShikraError('ADDRESS_IN_USE', `${host}:${port} (${key}): ${error.message}`, { cause: error });
}

/** True if whoever reaches the address can send what he likes. */
export function isOpenToAll({ host, bearerToken, tls }: ListenOptions): boolean {
  return bearerToken === undefined && tls?.get().ca === undefined && !/^(127\.|::1$|localhost$)/.test(host);
}

function mediaType(headers: IncomingHttpHeaders): string {
  return (headers['content-type'] ?? 'none').split(';')[0]!.trim().toLowerCase();
}
