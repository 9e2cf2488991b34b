interface Link {
  readonly mountNamespace: number;
  readonly target: string;
}

const CAPACITY = 1024;
/** As many as the kernel follows in a path. */
const MOST_LINKS = 40;

/**
 * The symbolic links that were made in the last second or two, as events told it. One that is removed again at once is not there any more when what was done through
 * it is looked at, and one that was made in the same few milliseconds the kernel does not follow from memory.
 */
export class RecentLinks {
  #made = new Map<string, Link>();
  #before = new Map<string, Link>();

  /** @param target as the link has it: a relative one is below the link's folder */
  add(mountNamespace: number, path: string, target: string): void {
    if (this.#made.size >= CAPACITY) this.age();
    const isAbsolute = target.startsWith('/');
    this.#made.set(path, {
      mountNamespace,
      target: isAbsolute ? target : `${path.slice(0, path.lastIndexOf('/'))}/${target}`,
    });
  }

  remove(path: string): void {
    this.#made.delete(path);
    this.#before.delete(path);
  }

  /** Once a second. */
  age(): void {
    if (this.#made.size + this.#before.size === 0) return;
    this.#before = this.#made;
    this.#made = new Map();
  }

  /** A path with these links followed. Undefined if none is in it. */
  follow(mountNamespace: number, path: string): string | undefined {
    if (this.#made.size + this.#before.size === 0) return undefined;
    let followed: string | undefined;
    for (let left = MOST_LINKS; left > 0; left--) {
      const next = this.#followFirst(mountNamespace, followed ?? path);
      if (next === undefined) return followed;
      followed = next;
    }
    return undefined;
  }

  #followFirst(mountNamespace: number, path: string): string | undefined {
    for (let end = path.indexOf('/', 1); ; end = path.indexOf('/', end + 1)) {
      const prefix = end < 0 ? path : path.slice(0, end);
      const link = this.#made.get(prefix) ?? this.#before.get(prefix);
      if (link?.mountNamespace === mountNamespace) return link.target + path.slice(prefix.length);
      if (end < 0) return undefined;
    }
  }
}
