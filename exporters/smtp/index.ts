import { createTransport } from 'nodemailer';
import { z } from 'zod';
import type { DeliveringExporter, ExporterContext } from '../helper/exporter.ts';
import { type ExportOutcome, SUCCESS } from '../helper/outcome.ts';
import { readSecret, secretKeys } from '../helper/secret.ts';
import { batchedDeliveryKeys, deliverySettings } from '../helper/settings.ts';
import { readTls, tlsConfigSchema } from '../helper/tls.ts';
import { mailOf } from './mail.ts';

const DEFAULT_PORTS = { starttls: 587, tls: 465, none: 25 } as const;

const address = z.string().regex(/^[^\r\n]*@[^\r\n]*$/, 'expected an address such as soc@example.com');

export const smtpConfigSchema = z.strictObject({
  host: z.string().min(1).describe('The mail server.'),
  port: z.int().min(1).max(65535).optional().describe('Default: 587 for starttls, 465 for tls, 25 for none.'),
  security: z
    .enum(['starttls', 'tls', 'none'])
    .default('starttls')
    .describe(
      'How the connection is encrypted. A server that does not offer it is refused, not written to in the clear.',
    ),
  username: z.string().min(1).optional().describe('For authentication, with `password`.'),
  ...secretKeys('password', 'For authentication'),
  from: address.describe('The sender.'),
  to: z.array(address).min(1).describe('Who gets the mails.'),
  tls: tlsConfigSchema.describe('For starttls and tls.'),
  ...batchedDeliveryKeys(20, 100),
});

export type SmtpConfig = z.infer<typeof smtpConfigSchema>;

export const component = { configSchema: smtpConfigSchema, signals: ['logs'], create: createSmtpExporter } as const;

/** Detections as mails: what has come up since the last one goes into one. */
export function createSmtpExporter(config: SmtpConfig, context: ExporterContext): DeliveringExporter {
  const { id } = context;
  const password = readSecret(config, 'password', id);
  const tls = readTls(config.tls, context);
  let isStarted = false;
  return {
    kind: 'delivering',
    delivery: deliverySettings(config),
    async start() {
      isStarted = true;
    },
    async export(batch, signal) {
      if (!isStarted) return { status: 'retryable', reason: 'the exporter is not started' };
      const { host, port, security, username, from, to, timeout } = config;
      const transport = createTransport({
        host,
        port: port ?? DEFAULT_PORTS[security],
        secure: security === 'tls',
        requireTLS: security === 'starttls',
        ignoreTLS: security === 'none',
        connectionTimeout: timeout,
        greetingTimeout: timeout,
        socketTimeout: timeout,
        tls: tls.get(),
        ...(username !== undefined && { auth: { user: username, pass: password?.get() ?? '' } }),
      });
      const stop = () => transport.close();
      signal.addEventListener('abort', stop, { once: true });
      try {
        await transport.sendMail({ from, to: [...to], ...mailOf(batch.map(({ detection }) => detection)) });
        return SUCCESS;
      } catch (error) {
        return outcomeOf(error as SmtpError);
      } finally {
        signal.removeEventListener('abort', stop);
        transport.close();
      }
    },
    async shutdown() {
      isStarted = false;
    },
  };
}

interface SmtpError extends Error {
  readonly code?: string;
  readonly responseCode?: number;
  readonly response?: string;
}

/** SMTP's own division: 4xx may pass, 5xx will not. A batch that is too large (552) is worth halving, a refused sender or login is not. */
function outcomeOf({ message, responseCode = 0 }: SmtpError): ExportOutcome {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a server's words must not steer a terminal
  const reason = message.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
  if (responseCode < 500) return { status: 'retryable', reason };
  return { status: 'permanent', reason, splittable: responseCode === 552 || responseCode === 554 };
}
