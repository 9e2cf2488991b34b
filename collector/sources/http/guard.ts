import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { ShikraError } from '../../errors.ts';
import { RenewedFiles } from '../../renewed-files.ts';
import type { GuardConfig } from './config.ts';
import type { ListenOptions, ServerTls } from './server.ts';

export interface GuardSettings {
  /** The receiver's key in the configuration, for messages. */
  readonly key: string;
  /** Where relative paths start. */
  readonly folder: string;
  /** Files changed and cannot be used: what they had before stays in use. */
  readonly tell: (message: string) => void;
}

/** @throws ShikraError CONFIG_INVALID with the key if a file cannot be read or used */
export function guardOf(config: GuardConfig, settings: GuardSettings): Pick<ListenOptions, 'bearerToken' | 'tls'> {
  const { tls, bearer_token_file } = config;
  return {
    bearerToken: bearer_token_file === undefined ? undefined : tokenIn(bearer_token_file, settings),
    tls: tls && serverTls(tls, settings),
  };
}

function tokenIn(file: string, settings: GuardSettings): RenewedFiles<string> {
  const key = `${settings.key}.bearer_token_file`;
  const read = ([content]: readonly Buffer[]): string => {
    const token = content!.toString().trim();
    if (token === '') throw new Error('expected a token, got an empty file');
    return token;
  };
  return renewed({ [key]: file }, key, read, settings);
}

function serverTls(
  { cert_file, key_file, client_ca_file }: NonNullable<GuardConfig['tls']>,
  settings: GuardSettings,
): RenewedFiles<ServerTls> {
  const key = `${settings.key}.tls`;
  const files = {
    [`${key}.cert_file`]: cert_file,
    [`${key}.key_file`]: key_file,
    ...(client_ca_file !== undefined && { [`${key}.client_ca_file`]: client_ca_file }),
  };
  const read = ([certificate, own, ca]: readonly Buffer[]): ServerTls => {
    const options = { cert: certificate!, key: own!, ca };
    createSecureContext(options);
    return options;
  };
  return renewed(files, key, read, settings);
}

/** @param files by their keys in the configuration */
function renewed<T>(
  files: Readonly<Record<string, string>>,
  key: string,
  read: (contents: readonly Buffer[]) => T,
  { folder, tell }: GuardSettings,
): RenewedFiles<T> {
  const paths = Object.values(files).map((file) => resolve(folder, file));
  const messageOf = (error: NodeJS.ErrnoException): string => {
    const index = paths.indexOf(error.path ?? '');
    return `${Object.keys(files)[index] ?? key}: ${error.message}`;
  };
  try {
    const onTrouble = (error: Error) => tell(`${messageOf(error)}; what the files had before is in use`);
    return new RenewedFiles({ paths, read, onTrouble });
  } catch (error) {
    throw new ShikraError('CONFIG_INVALID', messageOf(error as NodeJS.ErrnoException), { cause: error });
  }
}
