import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * A folder for what can be made again (XDG Base Directory Specification). In the user's own folder: below /tmp others could put code, or
 * rules, for root to take.
 */
export function userCacheFolder(name: string): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'shikra', name);
}
