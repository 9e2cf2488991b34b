import type { Agent, ClientRequest, IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { http } from '../../collector/node-http.ts';
import { type Tls, TlsAgent } from './tls.ts';

export interface HttpRequest {
  readonly url: string;
  /** Default POST. */
  readonly method?: 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
  /** Default false. */
  readonly gzip?: boolean;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const USUAL_TLS: Tls = { get: () => ({}) };

/** In a thread of its own: a full batch would hold up the event loop for tens of milliseconds. */
const compress = promisify(gzip);

/** More of an answer is not kept; Elasticsearch's to a batch is the longest. */
const LONGEST_BODY = 16 * 1024 * 1024;

/**
 * HTTP with connections that are kept, certificates of one's own, and the proxies that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name. Redirects are not
 * followed: the next host would get the secrets.
 */
export class HttpClient {
  readonly #agents: { readonly http: Agent; readonly https: TlsAgent };

  constructor(tls: Tls = USUAL_TLS, environment: NodeJS.ProcessEnv = process.env) {
    const options = { keepAlive: true, maxSockets: 4, proxyEnv: environment };
    this.#agents = { http: new http.Agent(options), https: new TlsAgent(tls, options) };
  }

  /** Rejects if the connection fails or `signal` aborts; every answer resolves. */
  async send(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    const url = new URL(request.url);
    const body = request.gzip ? await compress(request.body) : Buffer.from(request.body);
    return new Promise((resolve, reject) => {
      const headers = {
        'content-length': String(body.length),
        'user-agent': 'shikra',
        ...(request.gzip && { 'content-encoding': 'gzip' }),
        ...request.headers,
      };
      const options = { method: request.method ?? 'POST', headers, signal };
      const sending: ClientRequest =
        url.protocol === 'https:'
          ? httpsRequest(url, { ...options, agent: this.#agents.https })
          : http.request(url, { ...options, agent: this.#agents.http });
      sending.on('error', reject);
      sending.on('response', (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= LONGEST_BODY) chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      });
      sending.end(body);
    });
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }
}
