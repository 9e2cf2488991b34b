import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../../collector/config/config.ts';
import { type Check, notOk, ok } from './check.ts';

/** Whether the store can be written. Changes nothing: what does not exist yet is judged by the nearest folder that does. */
export function checkStore({ service }: Config): Check[] {
  const { path } = service.store;
  const nearest = nearestExisting(path);
  const detail = nearest === path ? path : `${path} (to be made; ${nearest} exists)`;
  if (nearest !== path && !statSync(nearest).isDirectory()) {
    return [notOk('store', `${path}: ${nearest} is not a folder`, 'set service.store.path')];
  }
  try {
    accessSync(nearest, constants.W_OK);
    return [ok('store', detail)];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return [notOk('store', `${detail}: not writable (${code})`, 'make it writable, or set service.store.path')];
  }
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}
