import { z } from 'zod';
import { readSecret, type Secret, type SecretConfig, secretKeys } from './secret.ts';

/** Keys of exporters whose receivers stand behind a proxy of the user's own. */
export const authKeys = {
  headers: z
    .record(z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/, 'expected the name of a header'), z.string())
    .default({})
    .describe('Sent with every request. Values are kept out of messages.'),
  username: z.string().min(1).optional().describe('For HTTP Basic authentication, with `password`.'),
  ...secretKeys('password', 'For HTTP Basic authentication'),
  ...secretKeys('bearer_token', 'Sent as `Authorization: Bearer`'),
};

export interface AuthConfig extends SecretConfig<'password'>, SecretConfig<'bearer_token'> {
  readonly headers: Readonly<Record<string, string>>;
  readonly username?: string | undefined;
}

export interface Auth {
  /** Names in lower case. */
  headers(): Record<string, string>;
  readonly secrets: readonly (Secret | undefined)[];
}

/** @throws ShikraError CONFIG_INVALID as {@link readSecret} */
export function readAuth(config: AuthConfig, id: string): Auth {
  const password = readSecret(config, 'password', id);
  const token = readSecret(config, 'bearer_token', id);
  const { username } = config;
  const own = Object.entries(config.headers).map(([name, value]) => [name.toLowerCase(), value]);
  return {
    headers: () => ({
      ...(username !== undefined && { authorization: basic(username, password?.get() ?? '') }),
      ...(token !== undefined && { authorization: `Bearer ${token.get()}` }),
      ...Object.fromEntries(own),
    }),
    secrets: [password, token, ...Object.values(config.headers).map((value) => ({ get: () => value }))],
  };
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
