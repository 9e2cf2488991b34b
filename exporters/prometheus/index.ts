import type { RequestListener, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ShikraError } from '../../collector/errors.ts';
import { http } from '../../collector/node-http.ts';
import type { ExporterContext, ServingExporter } from '../helper/exporter.ts';
import { type PrometheusConfig, prometheusConfigSchema } from './config.ts';
import { FalcoCompat } from './falco-compat.ts';

export { type PrometheusConfig, prometheusConfigSchema } from './config.ts';

export const component = {
  configSchema: prometheusConfigSchema,
  signals: ['metrics'],
  create: (config: PrometheusConfig, context: ExporterContext) => createPrometheusExporter(config, context),
} as const;

export interface PrometheusExporter extends ServingExporter {
  /** Where it listens; undefined before `start` and after `shutdown`. */
  readonly address: AddressInfo | undefined;
}

/**
 * `/metrics` for Prometheus, `/healthz` (the process lives) and `/readyz` (it does its work: 503 and the parts that do not, otherwise).
 * The registry is the one that the OTLP exporter reads, so nothing is counted twice.
 */
export function createPrometheusExporter(config: PrometheusConfig, context: ExporterContext): PrometheusExporter {
  let server: Server | undefined;
  return {
    kind: 'serving',
    get address() {
      return (server?.address() as AddressInfo | null | undefined) ?? undefined;
    },
    async start() {
      if (server !== undefined) return;
      server = http.createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, handler(config, context));
      try {
        await listen(server, config);
      } catch (error) {
        server = undefined;
        throw error;
      }
      server.unref();
      context.logger.info({ url: `http://${config.host}:${this.address?.port}/metrics` }, 'metrics are served');
    },
    async shutdown() {
      const closing = server;
      server = undefined;
      if (closing === undefined) return;
      closing.closeAllConnections();
      await new Promise<void>((resolve) => closing.close(() => resolve()));
    },
  };
}

function listen(server: Server, { host, port }: PrometheusConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const where = `${host}:${port} (exporters.prometheus): ${error.message}`;
      reject(new ShikraError('ADDRESS_IN_USE', where, { cause: error }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      server.on('error', () => {});
      resolve();
    });
  });
}

type Reply = (response: ServerResponse) => void | Promise<void>;

function handler({ falco_compat }: PrometheusConfig, context: ExporterContext): RequestListener {
  const { metrics, ready, logger, resource } = context;
  const compat = falco_compat
    ? new FalcoCompat(metrics.registry, String(resource.attributes['host.name'] ?? 'unknown'))
    : undefined;
  const page = async () => `${await metrics.registry.metrics()}${(await compat?.text()) ?? ''}`;
  const replies: Readonly<Record<string, Reply>> = {
    '/metrics': async (response) => send(response, 200, await page(), metrics.registry.contentType),
    '/healthz': (response) => sendJson(response, 200, { status: 'ok' }),
    '/readyz': (response) => {
      const { ready: isReady, parts } = ready();
      sendJson(response, isReady ? 200 : 503, { status: isReady ? 'ok' : 'unavailable', parts });
    },
  };
  return async (request, response) => {
    const path = (request.url ?? '/').split('?')[0]!;
    const reply = Object.hasOwn(replies, path) ? replies[path] : undefined;
    try {
      if (reply === undefined)
        sendJson(response, 404, { error: `expected ${Object.keys(replies).join(', ')}, got ${path}` });
      else if (request.method !== 'GET' && request.method !== 'HEAD')
        sendJson(response, 405, { error: `expected GET, got ${request.method}` });
      else await reply(response);
    } catch (error) {
      logger.error({ err: error, path }, 'a request for metrics failed');
      if (!response.headersSent) sendJson(response, 500, { error: 'internal error' });
    }
  };
}

function send(response: ServerResponse, status: number, body: string, type: string): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  send(response, status, `${JSON.stringify(body)}\n`, 'application/json');
}
