import { CachedString } from './string-cache.ts';

/** Joins and tidies paths as text: `.`, `..` and repeated slashes go, symbolic links are not looked at. */
export function absolutePath(directory: string, path: string): string {
  return tidyPath(path.startsWith('/') ? (directory === '' ? path : `${directory}${path}`) : `${directory}/${path}`);
}

/** The same for a path that is absolute already. A path without anything to tidy comes back as it is. */
export function tidyPath(path: string): string {
  if (!/\/(?:\.{0,2}(?:\/|$))/.test(path) || path === '/') return path;
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/**
 * A path that goes through `/proc/self/root`, which is the root that it began at, without that: for the kernel it is no detour. Undefined if it does not.
 * @param isOwn whether a folder of /proc is that of the process (`self`, its number)
 */
export function withoutOwnRoot(path: string, isOwn: (folder: string) => boolean): string | undefined {
  if (!path.includes('/root') || !path.includes('/proc')) return undefined;
  const parts: string[] = [];
  let found = false;
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
    if (part !== 'root' || !leadsToOwnRoot(parts, isOwn)) continue;
    parts.length = 0;
    found = true;
  }
  return found ? `/${parts.join('/')}` : undefined;
}

function leadsToOwnRoot(
  [proc, folder, task, , ...rest]: readonly string[],
  isOwn: (folder: string) => boolean,
): boolean {
  if (proc !== 'proc' || folder === undefined || !isOwn(folder)) return false;
  return task === 'task' ? rest.length === 1 : task === 'root' && rest.length === 0;
}

const CAPACITY = 4096;

/** Remembers joined paths, so that a process that opens the same relative names again costs no new string. */
export class PathJoiner {
  #byDirectory = new Map<string, Map<string, CachedString>>();
  #size = 0;

  join(directory: string, path: string): CachedString {
    const joined = this.#byDirectory.get(directory)?.get(path);
    if (joined !== undefined) return joined;
    return this.#add(directory, path);
  }

  #add(directory: string, path: string): CachedString {
    if (this.#size >= CAPACITY) {
      this.#byDirectory = new Map();
      this.#size = 0;
    }
    let names = this.#byDirectory.get(directory);
    if (names === undefined) {
      names = new Map();
      this.#byDirectory.set(directory, names);
    }
    const joined = new CachedString(absolutePath(directory, path));
    names.set(path, joined);
    this.#size++;
    return joined;
  }
}
