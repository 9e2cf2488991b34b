import type { SecureContextOptions } from 'node:tls';
import { z } from 'zod';
import { readText } from './secret.ts';

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

/** @throws ShikraError CONFIG_INVALID with the key if a file cannot be read */
export function readTls({ ca_file, cert_file, key_file }: TlsConfig, id: string): SecureContextOptions {
  const read = (key: keyof TlsConfig, path: string) => readText(`exporters.${id}.tls.${key}`, path);
  return {
    ...(ca_file !== undefined && { ca: read('ca_file', ca_file) }),
    ...(cert_file !== undefined && { cert: read('cert_file', cert_file) }),
    ...(key_file !== undefined && { key: read('key_file', key_file) }),
  };
}
