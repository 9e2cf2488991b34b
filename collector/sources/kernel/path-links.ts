import { readlinkSync, statSync } from 'node:fs';
import { resolvePath } from '../../../native/index.ts';
import { EVENT_TYPES } from './layout.ts';
import { tidyPath } from './paths.ts';
import type { Process } from './process.ts';
import { RecentLinks } from './recent-links.ts';

/** Where the paths of a call lead by links; without a member what is not known, or leads nowhere else than it says. */
export interface ResolvedPaths {
  readonly path: string | undefined;
  readonly path2: string | undefined;
}

export interface PathResolver {
  /**
   * Where a path leads, if that is known at once and is not what it says.
   * @param base the root that an absolute path begins at, if that is not its mount namespace's; else ''
   * @param path absolute, as it was written
   * @param isFollowed whether a link that is the last of it is followed, too
   */
  resolve(process: Process, base: string, path: string, isFollowed: boolean): string | undefined;
  /** A call on this path was made: what is remembered of folders there may hold no more. */
  note(type: number, path: string): void;
  /** A symbolic link was made. */
  linked(process: Process, path: string, target: string): void;
}

const CAPACITY = 1024;
/** A flood of calls in ever new folders must not take the time that reading the rings needs: a look takes some microseconds. */
const LOOKS_PER_SECOND = 20_000;
/** Numbers of processes are those of /proc only there (linux/proc_ns.h, PROC_PID_INIT_INO). */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';
const MOUNTS: ReadonlySet<number> = new Set(
  ['mount', 'umount2', 'move_mount', 'pivot_root'].map((name) => EVENT_TYPES.get(name)!),
);

/** After these there is no link any more where the path says. */
const REMOVALS: ReadonlySet<number> = new Set(
  ['unlink', 'unlinkat', 'rename', 'renameat', 'renameat2'].map((name) => EVENT_TYPES.get(name)!),
);

/**
 * Follows the links in the folders of paths that a call was made on, on the machine as it is by then. Never waits: what the kernel does not know by heart is not
 * known here either. Folders are remembered for a second at most.
 */
export class PathLinks implements PathResolver {
  /** False: nothing is ever resolved. */
  readonly isAble = readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE;
  readonly #ownNamespace = statSync('/proc/self/ns/mnt').ino;
  /** Where folders lead, by mount namespace and as they were written. */
  readonly #folders = new Map<number, Map<string, string>>();
  /** Each of these folders, where it leads to, and what these lie in. */
  readonly #watched = new Set<string>();
  readonly #recent = new RecentLinks();
  #size = 0;
  #looksLeft = LOOKS_PER_SECOND;

  resolve(process: Process, base: string, path: string, isFollowed: boolean): string | undefined {
    if (!this.isAble || path.startsWith('/proc/')) return undefined; // /proc/self would be the agent
    const found = this.#find(process, base, path, isFollowed);
    if (found === undefined || found === path || /^\/proc\/\d/.test(found)) return undefined;
    return found === tidyPath(base + path) ? undefined : found;
  }

  note(type: number, path: string): void {
    if (REMOVALS.has(type)) this.#recent.remove(path);
    if (this.#size > 0 && (this.#watched.has(path) || MOUNTS.has(type))) this.#forget();
  }

  linked({ mntNamespace }: Process, path: string, target: string): void {
    this.#recent.add(mntNamespace, path, target);
  }

  /** Once a second. */
  tick(): void {
    this.#looksLeft = LOOKS_PER_SECOND;
    this.#recent.age();
    this.#forget();
  }

  #forget(): void {
    if (this.#size === 0) return;
    this.#folders.clear();
    this.#watched.clear();
    this.#size = 0;
  }

  #find(process: Process, base: string, path: string, isFollowed: boolean): string | undefined {
    if (isFollowed) {
      const whole = this.#lead(process, base, path, false);
      if (whole !== undefined) return whole;
    }
    const end = endOf(path);
    const slash = path.lastIndexOf('/', end - 1);
    const name = path.slice(slash + 1, end);
    if (name === '.' || name === '..') return this.#folder(process, base, path);
    const written = slash > 0 ? path.slice(0, slash) : '/';
    const folder = this.#folder(process, base, written);
    if (folder === undefined || (folder === written && base === '')) return folder && path;
    return folder === '/' ? `/${name}` : `${folder}/${name}`;
  }

  #folder(process: Process, base: string, folder: string): string | undefined {
    if (base !== '') return this.#ask(process, base, folder, true);
    if (folder === '/') return folder;
    const known = this.#folders.get(process.mntNamespace)?.get(folder);
    if (known !== undefined) return known;
    const found = this.#lead(process, '', folder, true);
    if (found !== undefined) this.#remember(process.mntNamespace, folder, found);
    return found;
  }

  #remember(mountNamespace: number, folder: string, found: string): void {
    if (this.#size >= CAPACITY) this.#forget();
    let folders = this.#folders.get(mountNamespace);
    if (folders === undefined) {
      folders = new Map();
      this.#folders.set(mountNamespace, folders);
    }
    folders.set(folder, found);
    this.#size++;
    this.#watch(tidyPath(folder));
    this.#watch(found);
  }

  #watch(folder: string): void {
    for (let at = folder; at !== '' && !this.#watched.has(at); at = at.slice(0, at.lastIndexOf('/')))
      this.#watched.add(at);
  }

  /** What was told of links counts first: it was so when the call was made. */
  #lead(process: Process, base: string, path: string, isFolder: boolean): string | undefined {
    const followed = base === '' ? this.#recent.follow(process.mntNamespace, path) : undefined;
    return this.#ask(process, base, followed ?? path, isFolder) ?? (followed && tidyPath(followed));
  }

  #ask(process: Process, base: string, path: string, isFolder: boolean): string | undefined {
    if (this.#looksLeft === 0) return undefined;
    this.#looksLeft--;
    const { mntNamespace: mountNamespace } = process;
    if (mountNamespace === this.#ownNamespace) return resolvePath({ pid: 0, mountNamespace, base }, path, isFolder);
    const pid = livingIn(mountNamespace, process);
    return pid === undefined ? undefined : resolvePath({ pid, mountNamespace, base }, path, isFolder);
  }
}

/** Many a process has ended when it is looked at: then whoever started it, and has the same mounts. */
function livingIn(mountNamespace: number, process: Process): number | undefined {
  for (let at: Process | undefined = process; at !== undefined; at = at.parent)
    if (at.known && at.exitTimeNs === 0 && at.mntNamespace === mountNamespace) return at.pid;
  return undefined;
}

/** Where the last name of a path ends: slashes may follow. */
function endOf(path: string): number {
  let end = path.length;
  while (end > 1 && path.charCodeAt(end - 1) === 0x2f) end--;
  return end;
}
