import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

export interface RotatingFileSettings {
  readonly path: string;
  readonly maxBytes: number;
  readonly maxFiles: number;
  readonly mode: number;
}

/** A file of lines that is renamed when it is full. Opened again if someone else (logrotate) has renamed or removed it. */
export class RotatingFile {
  readonly #settings: RotatingFileSettings;
  #file: number | undefined;
  #size = 0;

  constructor(settings: RotatingFileSettings) {
    this.#settings = settings;
  }

  /** All lines are on the disk afterwards. Throws if the disk fails; then none of them counts, and what is half written is taken back. */
  append(lines: readonly string[]): void {
    for (let first = 0; first < lines.length; ) {
      let text = '';
      let size = this.#open();
      let next = first;
      for (; next < lines.length; next++) {
        const bytes = Buffer.byteLength(lines[next]!);
        // A line that is longer than a whole file has a file of its own.
        if (size + bytes > this.#settings.maxBytes && size > 0) break;
        text += lines[next];
        size += bytes;
      }
      if (next === first) this.#rotate();
      else this.#write(text);
      first = next;
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #write(text: string): void {
    const file = this.#file!;
    const before = this.#size;
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fdatasyncSync(file);
      this.#size = before + bytes.length;
    } catch (error) {
      ftruncateSync(file, before);
      throw error;
    }
  }

  /** @returns the size */
  #open(): number {
    const { path, mode } = this.#settings;
    if (this.#file !== undefined && !isSame(fstatSync(this.#file), statSync(path, { throwIfNoEntry: false })))
      this.close();
    if (this.#file === undefined) {
      mkdirSync(dirname(path), { recursive: true });
      this.#file = openSync(path, 'a+', mode);
      this.#size = fstatSync(this.#file).size;
      this.#endLastLine();
    }
    return this.#size;
  }

  /** An agent that was killed while it wrote has left half a line: the next must not be joined to it. */
  #endLastLine(): void {
    const last = Buffer.alloc(1);
    if (this.#size === 0) return;
    readSync(this.#file!, last, 0, 1, this.#size - 1);
    if (last[0] !== 0x0a) this.#write('\n');
  }

  #rotate(): void {
    const { path, maxFiles } = this.#settings;
    this.close();
    rmSync(nth(path, maxFiles - 1), { force: true });
    for (let number = maxFiles - 2; number >= 0; number--) {
      if (statSync(nth(path, number), { throwIfNoEntry: false }) !== undefined)
        renameSync(nth(path, number), nth(path, number + 1));
    }
  }
}

function nth(path: string, number: number): string {
  return number === 0 ? path : `${path}.${number}`;
}

function isSame(open: Stats, named: Stats | undefined): boolean {
  return named !== undefined && open.ino === named.ino && open.dev === named.dev;
}
