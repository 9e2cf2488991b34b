import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { http } from '../../node-http.ts';
import type { AuditProblem } from './parse.ts';

export interface AuditWebhookOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly path: string;
  readonly maxBatchBytes: number;
  /** Certificate and key as PEM; with client authorities only clients with a certificate of theirs are let in. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer | undefined } | undefined;
  readonly bearerToken?: string | undefined;
}

/** What became of a batch. `unavailable`: its detections are not on disk, it should be sent again. */
export type BatchOutcome =
  | 'unavailable'
  | { readonly accepted: number; readonly rejected: number; readonly problems: readonly AuditProblem[] };

type Reply = { readonly status: number; readonly body: object; readonly headers?: Record<string, string> };

/** Bodies in memory at once: an API server sends one after the other. */
const MOST_BATCHES = 4;
const MOST_CONNECTIONS = 64;
/** Who sends slower is cut off. API servers themselves give up after 30 seconds. */
const LIMITS: ServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 5000,
  keepAliveTimeout: 60_000,
  maxHeaderSize: 16_384,
};
/** For requests at work when it is closed. */
const CLOSE_MILLIS = 500;

/**
 * Takes the batches that API servers send (`--audit-webhook-config-file`) over HTTP or HTTPS. It answers 200 when the detections are stored; anything else makes an
 * API server send the batch again.
 */
export class AuditWebhook {
  readonly #options: AuditWebhookOptions;
  readonly #take: (text: string, sender: string) => Promise<BatchOutcome>;
  readonly #server: Server;
  readonly #token: Buffer | undefined;
  #batches = 0;

  constructor(options: AuditWebhookOptions, take: (text: string, sender: string) => Promise<BatchOutcome>) {
    const { tls, bearerToken } = options;
    this.#options = options;
    this.#take = take;
    this.#token = bearerToken === undefined ? undefined : digest(bearerToken);
    const listener = (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response);
    this.#server =
      tls === undefined
        ? http.createServer(LIMITS, listener)
        : createTlsServer({ ...LIMITS, ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: true }, listener);
    this.#server.maxConnections = MOST_CONNECTIONS;
  }

  /** @throws the error of listening */
  async listen(): Promise<void> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    // What goes wrong with one connection is told to its sender, and must not end the agent.
    this.#server.removeAllListeners('error').on('error', () => {});
  }

  get url(): string {
    const { host, path, tls } = this.#options;
    const name = host.includes(':') ? `[${host}]` : host;
    return `${tls ? 'https' : 'http'}://${name}:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  /** Lets requests at work end. Calling it twice is fine. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_MILLIS);
    await closed;
    clearTimeout(timer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const refusal = this.#refuse(request);
      const { status, body, headers = {} } = refusal ?? (await this.#receive(request));
      // The rest of a refused body is thrown away as it comes: a sender that is cut off would not see the answer.
      request.resume();
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(`${JSON.stringify(body)}\n`);
    } catch {
      response.destroy(); // the sender went away
    }
  }

  /** What can be said before the body is read. */
  #refuse({ url = '/', method, headers }: IncomingMessage): Reply | undefined {
    const { path, maxBatchBytes } = this.#options;
    const [asked] = url.split('?');
    if (asked !== path) return refusal(404, `expected ${path}, got ${asked}`);
    if (method !== 'POST') return refusal(405, `expected POST, got ${method}`, { allow: 'POST' });
    if (!this.#mayEnter(headers.authorization))
      return refusal(401, 'expected the bearer token of this receiver', { 'www-authenticate': 'Bearer' });
    const { 'content-type': type = 'none', 'content-encoding': encoding = 'identity' } = headers;
    if (!/^application\/json\b/i.test(type)) return refusal(415, `expected content-type application/json, got ${type}`);
    if (encoding !== 'identity') return refusal(415, `expected no content-encoding, got ${encoding}`);
    if (Number(headers['content-length'] ?? 0) > maxBatchBytes) return tooLarge(maxBatchBytes);
    if (this.#batches >= MOST_BATCHES)
      return refusal(429, `${MOST_BATCHES} batches are at work`, { 'retry-after': '1' });
    return undefined;
  }

  #mayEnter(authorization = ''): boolean {
    const given = /^Bearer (.+)$/i.exec(authorization)?.[1] ?? '';
    return this.#token === undefined || timingSafeEqual(digest(given), this.#token);
  }

  async #receive(request: IncomingMessage): Promise<Reply> {
    this.#batches++;
    try {
      const body = await bodyOf(request, this.#options.maxBatchBytes);
      if (body === undefined) return tooLarge(this.#options.maxBatchBytes);
      const outcome = await this.#take(body.toString(), request.socket.remoteAddress ?? 'webhook');
      if (outcome === 'unavailable')
        return refusal(503, 'the detections could not be stored; send the batch again', { 'retry-after': '5' });
      const { accepted, rejected, problems } = outcome;
      const reasons = problems.map(({ place, message }) => (place === '' ? message : `${place}: ${message}`));
      // One bad event must not bring a batch again and again: it is told here and in the log.
      if (accepted === 0 && rejected > 0) return refusal(400, reasons.join('; '));
      return { status: 200, body: rejected === 0 ? { accepted } : { accepted, rejected, problems: reasons } };
    } finally {
      this.#batches--;
    }
  }
}

function refusal(status: number, error: string, headers: Record<string, string> = {}): Reply {
  return { status, body: { error }, headers };
}

function tooLarge(maxBytes: number): Reply {
  const remedy = 'lower --audit-webhook-batch-max-size, or raise receivers.k8s_audit.webhook.max_batch_size';
  return refusal(413, `a batch of more than ${maxBytes} bytes; ${remedy}`);
}

/** @returns undefined if it is too large. @throws if the sender goes away */
async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > maxBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts, bytes);
}

/** Of equal length, whatever was given. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
