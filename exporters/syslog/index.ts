import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import { SUCCESS } from '../helper/outcome.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { openSocket } from '../helper/socket.ts';
import { readTls, type Tls, tlsConfigSchema } from '../helper/tls.ts';
import { FACILITIES, FORMATS, formatMessage } from './message.ts';

const DEFAULT_PORTS = { udp: 514, tcp: 601, tls: 6514 } as const;

export const syslogConfigSchema = z.strictObject({
  host: z.string().min(1).describe('The syslog server.'),
  protocol: z
    .enum(['udp', 'tcp', 'tls'])
    .describe('How messages travel. Over UDP they may be lost on the way without a trace, and long ones are cut.'),
  port: z.int().min(1).max(65535).optional().describe('Default: 514 for udp, 601 for tcp, 6514 for tls.'),
  format: z
    .enum(FORMATS)
    .default('json')
    .describe("The message: Falco's alert as JSON, the rule's output as text, or CEF."),
  facility: z.enum(FACILITIES).default('local0').describe('The facility that messages are sent under.'),
  app_name: z
    .string()
    .regex(/^[!-~]{1,48}$/, 'expected at most 48 visible ASCII characters')
    .default('shikra')
    .describe('The name that messages are sent under.'),
  max_message_bytes: z
    .int()
    .min(480)
    .max(65_000)
    .default(8192)
    .describe('A longer message is cut. Over UDP at most 2048, which is what every server takes.'),
  tls: tlsConfigSchema.describe('For tls.'),
  ...batchedDeliveryKeys(100, 1000),
});

export type SyslogConfig = z.infer<typeof syslogConfigSchema>;

export const component = { configSchema: syslogConfigSchema, signals: ['logs'], create: createSyslogExporter } as const;

const MOST_UDP_BYTES = 2048;
/** So long is waited for the word that nobody listens. */
const UNREACHABLE_MILLIS = 100;

/** Detections as messages of RFC 5424. */
export function createSyslogExporter(config: SyslogConfig, context: ExporterContext): DeliveringExporter {
  const isUdp = config.protocol === 'udp';
  const settings = {
    ...config,
    maxBytes: isUdp ? Math.min(MOST_UDP_BYTES, config.max_message_bytes) : config.max_message_bytes,
  };
  const transport = isUdp ? new UdpTransport(config) : new StreamTransport(config, context);
  let isStarted = false;
  return {
    kind: 'delivering',
    delivery: deliverySettings(config),
    async start() {
      isStarted = true;
    },
    async export(batch, signal) {
      if (!isStarted) return { status: 'retryable', reason: 'the exporter is not started' };
      try {
        await transport.send(
          batch.map(({ detection }) => formatMessage(detection, settings)),
          signal,
        );
        return SUCCESS;
      } catch (error) {
        transport.close();
        return { status: 'retryable', reason: (error as Error).message };
      }
    },
    async shutdown() {
      isStarted = false;
      transport.close();
    },
  };
}

interface Transport {
  /** Rejects if it is known that a message did not arrive. */
  send(messages: readonly string[], signal: AbortSignal): Promise<void>;
  close(): void;
}

/**
 * A socket for each batch, connected to the server: so the kernel tells if nobody listens there (ICMP: port unreachable), and a name is looked up again. Most
 * servers are nearer than the pause at the end.
 */
class UdpTransport implements Transport {
  readonly #config: SyslogConfig;
  #socket: UdpSocket | undefined;

  constructor(config: SyslogConfig) {
    this.#config = config;
  }

  async send(messages: readonly string[], signal: AbortSignal): Promise<void> {
    const { host, port = DEFAULT_PORTS.udp } = this.#config;
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4').unref();
    this.#socket = socket;
    const { promise: refused, reject } = Promise.withResolvers<never>();
    refused.catch(() => {}); // told below, where it is waited for
    socket.on('error', reject);
    socket.connect(port, host);
    await Promise.race([once(socket, 'connect', { signal }), refused]);
    for (const message of messages)
      await new Promise<void>((resolve, fail) => {
        socket.send(message, (error) => (error === null ? resolve() : fail(error)));
      });
    await Promise.race([sleep(UNREACHABLE_MILLIS), refused]);
    this.close();
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }
}

/** One connection that is kept. Syslog has no acknowledgements: a connection that the server has closed is noticed before the next batch. */
class StreamTransport implements Transport {
  readonly #config: SyslogConfig;
  readonly #tls: Tls | undefined;
  #socket: Socket | undefined;

  constructor(config: SyslogConfig, context: ExporterContext) {
    this.#config = config;
    this.#tls = config.protocol === 'tls' ? readTls(config.tls, context) : undefined;
  }

  async send(messages: readonly string[], signal: AbortSignal): Promise<void> {
    const socket = await this.#open(signal);
    // RFC 6587's octet counting: a message may hold a newline.
    const frames = messages.map((message) => `${Buffer.byteLength(message)} ${message}`).join('');
    await new Promise<void>((resolve, reject) => {
      const onClose = () => reject(new Error('the server closed the connection'));
      socket.once('close', onClose);
      signal.addEventListener('abort', onClose, { once: true });
      socket.write(frames, (error) => {
        socket.off('close', onClose);
        signal.removeEventListener('abort', onClose);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #open(signal: AbortSignal): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed && this.#socket.writable) return this.#socket;
    const { host, protocol, port } = this.#config;
    const socket = await openSocket({ host, port: port ?? DEFAULT_PORTS[protocol] }, this.#tls, signal);
    socket.setKeepAlive(true, 30_000);
    socket.resume(); // a server says nothing, but its end of the connection is noticed only by reading
    socket.once('end', () => socket.destroy());
    socket.unref();
    this.#socket = socket;
    return socket;
  }
}
