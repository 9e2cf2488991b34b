import { readFileSync, statSync } from 'node:fs';

const CHECK_MILLIS = 1000;

/** The numbers and names in /etc/passwd or /etc/group. Looks for a change at most once a second; a file that cannot be read has no names. */
export class NameFile {
  readonly #path: string;
  readonly #now: () => number;
  #names = new Map<number, string>();
  #version = '';
  #nextCheck = Number.NEGATIVE_INFINITY;

  constructor(path: string, now: () => number) {
    this.#path = path;
    this.#now = now;
  }

  name(id: number): string | undefined {
    return this.all().get(id);
  }

  /** Every number that has a name: the same map until the file changes. */
  all(): ReadonlyMap<number, string> {
    if (this.#now() >= this.#nextCheck) this.#refresh();
    return this.#names;
  }

  #refresh(): void {
    this.#nextCheck = this.#now() + CHECK_MILLIS;
    try {
      const { mtimeNs, ino, size } = statSync(this.#path, { bigint: true });
      const version = `${mtimeNs} ${ino} ${size}`;
      if (version === this.#version) return;
      this.#names = parse(readFileSync(this.#path, 'utf8'));
      this.#version = version;
    } catch {
      if (this.#names.size > 0) this.#names = new Map();
      this.#version = '';
    }
  }
}

/** `name:password:number:...`; the first name of a number counts, as for getpwuid. */
function parse(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , number] = line.split(':');
    const id = Number(number);
    if (name && number && Number.isInteger(id) && !names.has(id)) names.set(id, name);
  }
  return names;
}
