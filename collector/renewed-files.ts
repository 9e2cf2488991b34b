import { readFileSync, statSync } from 'node:fs';

/** Something that files say, and may say otherwise the next time. */
export interface Renewed<T> {
  get(): T;
}

export interface RenewedFilesOptions<T> {
  readonly paths: readonly string[];
  /** What they say together, in the order of the paths. Throws if that cannot be used: a key of another certificate. */
  readonly read: (contents: readonly Buffer[]) => T;
  /** Told once of each state of the files that cannot be used. */
  readonly onTrouble: (error: Error) => void;
}

/**
 * Certificates, keys and tokens, which others renew while the agent runs: cert-manager a month before they expire, a vault every hour. Whoever uses them asks each time, which costs
 * a look at each file's inode; nothing is watched. Files that are being replaced one after the other may not fit together for a moment: what they said before is in use until they do.
 */
export class RenewedFiles<T> implements Renewed<T> {
  readonly #options: RenewedFilesOptions<T>;
  #state: string;
  #value: T;

  /** @throws what `read` throws, and if a file cannot be read: at first there is nothing from before */
  constructor(options: RenewedFilesOptions<T>) {
    this.#options = options;
    this.#state = stateOf(options.paths);
    this.#value = read(options);
  }

  /** The same value as long as the files are the same. Never throws. */
  get(): T {
    const state = stateOf(this.#options.paths);
    if (state === this.#state) return this.#value;
    this.#state = state;
    try {
      this.#value = read(this.#options);
    } catch (error) {
      this.#options.onTrouble(error as Error);
    }
    return this.#value;
  }

  /** In a plan of what is made of it: other contents are no other plan. */
  toJSON(): readonly string[] {
    return this.#options.paths;
  }
}

function read<T>({ paths, read: make }: RenewedFilesOptions<T>): T {
  return make(paths.map((path) => readFileSync(path)));
}

/** A file that is replaced is another inode, also where a link leads to it; one that is written over has another time. */
function stateOf(paths: readonly string[]): string {
  return paths
    .map((path) => {
      const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
      return stats === undefined
        ? 'missing'
        : `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
    })
    .join('\n');
}
