import { readFileSync, statSync } from 'node:fs';

/** Names of users or groups by number, out of /etc/passwd or /etc/group; read again when the file changes. */
export class NameTable {
  readonly #path: string;
  #modifiedMillis = -1;
  #names: ReadonlyMap<number, string> = new Map();

  constructor(path: '/etc/passwd' | '/etc/group') {
    this.#path = path;
    this.refresh();
  }

  /** Looks whether the file changed. An unreadable file leaves the names as they were. */
  refresh(): void {
    const modifiedMillis = statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs;
    if (modifiedMillis === undefined || modifiedMillis === this.#modifiedMillis) return;
    const lines = readFileSync(this.#path, 'utf8').split('\n');
    this.#names = new Map(lines.map((line) => line.split(':')).map(([name, , id]) => [Number(id ?? -1), name ?? '']));
    this.#modifiedMillis = modifiedMillis;
  }

  of(id: number): string | undefined {
    return this.#names.get(id);
  }
}
