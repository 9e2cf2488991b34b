import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ShikraError } from '../../collector/errors.ts';

/** The part of a configuration that {@link secretKeys} makes. */
export type SecretConfig<Name extends string> = { readonly [K in Name | `${Name}_file`]?: string | undefined };

/**
 * A key for a secret and one for a file that holds it. Values are marked, so that no message shows them.
 * @param what goes on "…", such as "The bot's token"
 */
export function secretKeys<Name extends string>(
  name: Name,
  what: string,
  schema: z.ZodString | z.ZodURL = z.string().min(1),
) {
  return {
    [name]: schema
      .optional()
      .meta({ writeOnly: true })
      .describe(`${what}. Better out of the environment: \`\${env:NAME}\`.`),
    [`${name}_file`]: z.string().min(1).optional().describe(`The file that holds \`${name}\`; read for every request.`),
  } as unknown as { [K in Name | `${Name}_file`]: z.ZodOptional<z.ZodString> };
}

/** A check of a whole configuration: exactly one of the keys that {@link secretKeys} made is there. */
export function needsSecret(...names: readonly string[]) {
  return (config: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void => {
    const keys = names.flatMap((name) => [name, `${name}_file`]);
    const found = keys.filter((key) => config[key] !== undefined);
    if (found.length === 1) return;
    const wanted = keys.map((key) => `\`${key}\``).join(' or ');
    const got = found.length === 0 ? 'none' : found.map((key) => `\`${key}\``).join(' and ');
    context.addIssue({ code: 'custom', message: `needs ${wanted}, got ${got}` });
  };
}

/** A secret that may change while the agent runs. */
export interface Secret {
  /** Throws if its file cannot be read: the delivery is then tried again. */
  get(): string;
}

/**
 * @param id of the exporter, for messages
 * @returns undefined if neither key is set
 * @throws ShikraError CONFIG_INVALID if both are set, or the file cannot be read or is empty
 */
export function readSecret<Name extends string>(
  config: SecretConfig<NoInfer<Name>>,
  name: Name,
  id: string,
): Secret | undefined {
  const value = config[name] as string | undefined;
  const path = config[`${name}_file`] as string | undefined;
  if (value !== undefined && path !== undefined)
    throw new ShikraError('CONFIG_INVALID', `exporters.${id}: expected either ${name} or ${name}_file, got both`);
  if (value !== undefined) return { get: () => value };
  if (path === undefined) return undefined;
  const get = () => readText(`exporters.${id}.${name}_file`, path).trim();
  if (get() === '')
    throw new ShikraError(
      'CONFIG_INVALID',
      `exporters.${id}.${name}_file: expected a secret, got the empty file ${path}`,
    );
  return { get };
}

/** @throws ShikraError CONFIG_INVALID if neither key is set, and as {@link readSecret} */
export function requireSecret<Name extends string>(
  config: SecretConfig<NoInfer<Name>>,
  name: Name,
  id: string,
): Secret {
  const secret = readSecret(config, name, id);
  if (secret === undefined)
    throw new ShikraError('CONFIG_INVALID', `exporters.${id}: expected ${name} or ${name}_file, got neither`);
  return secret;
}

/** @throws ShikraError CONFIG_INVALID with the key if the file cannot be read */
export function readText(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const found = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new ShikraError('CONFIG_INVALID', `${key}: expected a file that can be read, got ${path} (${found})`, {
      cause: error,
    });
  }
}
