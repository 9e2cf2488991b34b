import { Agent, type AgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { z } from 'zod';
import { ShikraError } from '../../collector/errors.ts';
import { type Renewed, RenewedFiles } from '../../collector/renewed-files.ts';
import type { Logger } from '../../collector/telemetry/logger.ts';

/** `tls` of every exporter that can speak it. There is no key that turns checking off. */
export const tlsConfigSchema = z
  .strictObject({
    ca_file: z
      .string()
      .optional()
      .describe('Certificates that the receiver is checked against, as PEM. Default: the usual ones.'),
    cert_file: z.string().optional().describe('The certificate that the agent shows, as PEM.'),
    key_file: z.string().optional().describe('Its key, as PEM.'),
  })
  .refine(({ cert_file, key_file }) => (cert_file === undefined) === (key_file === undefined), {
    error: 'expected cert_file and key_file together',
  })
  .prefault({});

export type TlsConfig = z.infer<typeof tlsConfigSchema>;

/** What is trusted and shown over TLS, as the files have it now: every new connection asks. */
export type Tls = Renewed<SecureContextOptions>;

const OPTIONS = { ca_file: 'ca', cert_file: 'cert', key_file: 'key' } as const;
type TlsKey = keyof typeof OPTIONS;

/** @throws ShikraError CONFIG_INVALID with the key if a file cannot be read, or with what is wrong with them */
export function readTls(
  config: Readonly<Partial<Record<TlsKey, string | undefined>>>,
  { id, logger }: { readonly id: string; readonly logger: Logger },
): Tls {
  const keys = (Object.keys(OPTIONS) as TlsKey[]).filter((key) => config[key] !== undefined);
  const paths = keys.map((key) => config[key]!);
  const read = (contents: readonly Buffer[]): SecureContextOptions => {
    const options = Object.fromEntries(contents.map((content, index) => [OPTIONS[keys[index]!], content]));
    createSecureContext(options);
    return options;
  };
  const onTrouble = (error: Error) =>
    logger.warn({ err: error }, 'the files of tls changed and cannot be used; what they had before is in use');
  try {
    return new RenewedFiles({ paths, read, onTrouble });
  } catch (error) {
    throw new ShikraError('CONFIG_INVALID', messageOf(error as NodeJS.ErrnoException, config, id), { cause: error });
  }
}

function messageOf(
  error: NodeJS.ErrnoException,
  config: Readonly<Partial<Record<TlsKey, string | undefined>>>,
  id: string,
): string {
  const key = (Object.keys(OPTIONS) as TlsKey[]).find(
    (each) => error.path !== undefined && config[each] === error.path,
  );
  if (key === undefined)
    return `exporters.${id}.tls: expected certificates and a key that fit together, got: ${error.message}`;
  return `exporters.${id}.tls.${key}: expected a file that can be read, got ${error.path} (${error.code})`;
}

/** Keeps connections; a new one is made with what the files have then. */
export class TlsAgent extends Agent {
  readonly #tls: Tls;

  constructor(tls: Tls, options: AgentOptions) {
    // A session that is taken up again would be trusted for the certificates of before.
    super({ ...options, maxCachedSessions: 0 });
    this.#tls = tls;
  }

  override createConnection(...[options, callback]: Parameters<Agent['createConnection']>): Duplex | null | undefined {
    return super.createConnection({ ...options, ...this.#tls.get() }, callback);
  }
}
