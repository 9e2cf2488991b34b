import { createHash } from 'node:crypto';
import { existsSync, type FSWatcher, realpathSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { readRuleFiles } from '../../rules/files.ts';

export interface FileWatchListener {
  /** Called when what is in them has changed, after a moment without further changes. */
  readonly onChange: () => void;
  /** A folder cannot be watched, so its changes are not seen. */
  readonly onTrouble: (message: string) => void;
}

/** An editor writes, renames and removes within a few milliseconds; Kubernetes swaps one symbolic link. */
const QUIET_MILLIS = 150;
/** Changes without end do not put a reload off for ever. */
const LONGEST_MILLIS = 1000;

/**
 * Watches folders, not files: editors and Kubernetes replace a file by another one, which a watch of the file itself would not survive. Whether anything has
 * really changed is decided by the content.
 */
export class FileWatch {
  readonly #paths: readonly string[];
  readonly #what: string;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #troubled = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #firstChangeAt = 0;
  #content = '';
  #listener: FileWatchListener | undefined;
  /** What came before there was someone to tell. */
  #changed = false;
  readonly #troubles: string[] = [];
  #closed = false;

  /**
   * @param paths files and folders of YAML, some of which may not exist yet
   * @param what they are, for messages
   */
  constructor(paths: readonly string[], what: string) {
    this.#paths = paths;
    this.#what = what;
  }

  /** Takes what is there now for known. */
  async start(): Promise<void> {
    this.#watchFolders();
    this.#content = await this.#readContent();
  }

  /** Tells what has happened since the start too. */
  listen(listener: FileWatchListener): void {
    this.#listener = listener;
    for (const trouble of this.#troubles.splice(0)) listener.onTrouble(trouble);
    if (this.#changed) listener.onChange();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #noticed(): void {
    const now = performance.now();
    if (this.#timer === undefined) this.#firstChangeAt = now;
    clearTimeout(this.#timer);
    const left = Math.max(0, LONGEST_MILLIS - (now - this.#firstChangeAt));
    this.#timer = setTimeout(() => void this.#look(), Math.min(QUIET_MILLIS, left));
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    this.#watchFolders();
    const content = await this.#readContent();
    if (this.#closed || content === this.#content) return;
    this.#content = content;
    if (this.#listener === undefined) this.#changed = true;
    else this.#listener.onChange();
  }

  async #readContent(): Promise<string> {
    const { files, problems } = await readRuleFiles(this.#paths.filter((path) => existsSync(path)));
    const hash = createHash('sha256');
    for (const { path, text } of files) hash.update(`${path}\0${text.length}\0${text}`);
    for (const { message } of problems) hash.update(message);
    return hash.digest('hex');
  }

  /** What appears later is watched from then on, what went is not any more. */
  #watchFolders(): void {
    if (this.#closed) return;
    const wanted = new Set(this.#paths.flatMap(foldersOf));
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of wanted) if (!this.#watchers.has(folder)) this.#watchFolder(folder);
  }

  #watchFolder(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#noticed());
      watcher.on('error', (error) => {
        this.#watchers.delete(folder);
        watcher.close();
        this.#trouble(folder, error);
      });
      this.#watchers.set(folder, watcher);
    } catch (error) {
      this.#trouble(folder, error as Error);
    }
  }

  /** Once for each folder: it would be told again at every look. */
  #trouble(folder: string, error: Error): void {
    if (this.#troubled.has(folder)) return;
    this.#troubled.add(folder);
    const trouble = `changes of ${this.#what} in '${folder}' are not noticed: ${error.message}`;
    if (this.#listener === undefined) this.#troubles.push(trouble);
    else this.#listener.onTrouble(trouble);
  }
}

/** The folders in which a change can change what is read at a path: its own, and where a symbolic link leads. */
function foldersOf(path: string): string[] {
  try {
    const real = realpathSync(path);
    const isFolder = statSync(real).isDirectory();
    return isFolder ? [...new Set([path, real, dirname(path)])] : [...new Set([dirname(path), dirname(real)])];
  } catch {
    return [nearestFolder(dirname(path))];
  }
}

function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}
