import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FileIdentity } from './file-identity.ts';

/** How far a log was read. */
export interface FilePosition extends FileIdentity {
  /** Bytes from the beginning; always the beginning of a line. */
  readonly offset: number;
  /** When the file was last written to, in milliseconds since 1970, as known then: files that follow it are younger. */
  readonly changedMillis: number;
}

const VERSION = 1;

interface Document {
  readonly version: typeof VERSION;
  readonly files: Readonly<Record<string, FilePosition>>;
}

/**
 * Positions of several logs in one small JSON file, replaced as a whole. A position that is older than what was read costs nothing but reading again.
 */
export class Positions {
  readonly #path: string | undefined;
  readonly #files = new Map<string, FilePosition>();
  #changed = false;
  #saving: Promise<void> = Promise.resolve();

  /** @param path undefined keeps them in memory only */
  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** @throws Error if the file is there and cannot be read or understood */
  async load(): Promise<void> {
    if (this.#path === undefined) return;
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) return;
    const document = JSON.parse(text) as Partial<Document>;
    if (document.version !== VERSION)
      throw new Error(`expected positions of version ${VERSION}, got ${document.version}`);
    for (const [path, position] of Object.entries(document.files ?? {})) this.#files.set(path, position);
  }

  get(path: string): FilePosition | undefined {
    return this.#files.get(path);
  }

  set(path: string, position: FilePosition): void {
    this.#files.set(path, position);
    this.#changed = true;
  }

  /** Forgets all but these files. */
  keep(paths: readonly string[]): void {
    for (const path of this.#files.keys()) if (!paths.includes(path)) this.#files.delete(path);
  }

  /** Writes them if they have changed; one after the other. */
  save(): Promise<void> {
    this.#saving = this.#saving.catch(() => {}).then(() => this.#write());
    return this.#saving;
  }

  async #write(): Promise<void> {
    if (this.#path === undefined || !this.#changed) return;
    const document: Document = { version: VERSION, files: Object.fromEntries(this.#files) };
    this.#changed = false;
    try {
      await mkdir(dirname(this.#path), { recursive: true });
      const temporary = `${this.#path}.new`;
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.writeFile(`${JSON.stringify(document)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.#path);
    } catch (error) {
      this.#changed = true;
      throw error;
    }
  }
}
