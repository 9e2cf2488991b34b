import { z } from 'zod';

/** The keys of every receiver that listens. */
export function listenKeys(port: number) {
  return {
    host: z
      .string()
      .min(1)
      .default('127.0.0.1')
      .describe('The address to listen on. 0.0.0.0 for senders on other machines: then let nobody else in.'),
    port: z.int().min(0).max(65_535).default(port).describe('The port to listen on; 0 takes a free one.'),
  };
}

/** Who is let in, and whether they are spoken to in secret. */
export function guardKeys(tokenHint = '') {
  return {
    bearer_token_file: z
      .string()
      .min(1)
      .optional()
      .describe(`A file with the token that a sender must show${tokenHint}. A change takes effect at once.`),
    tls: z
      .strictObject({
        cert_file: z.string().min(1).describe('The certificate that is shown, with its chain, as PEM.'),
        key_file: z.string().min(1).describe('Its key, as PEM.'),
        client_ca_file: z
          .string()
          .min(1)
          .optional()
          .describe('Only senders with a certificate of one of these authorities are let in, as PEM.'),
      })
      .optional()
      .describe('Speaks HTTPS. Files that are replaced take effect with the next connection.'),
  };
}

export interface GuardConfig {
  readonly bearer_token_file?: string | undefined;
  readonly tls?:
    | { readonly cert_file: string; readonly key_file: string; readonly client_ca_file?: string | undefined }
    | undefined;
}
