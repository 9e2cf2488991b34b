import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditEvent } from './audit-event.ts';
import { readLines } from './lines.ts';
import { AuditParser, type AuditParserStats, type AuditProblem, DEFAULT_MAX_BYTES } from './parse.ts';

export interface AuditFileReaderOptions {
  /** A line, or a file that is one document, of more bytes is left out. */
  readonly maxBytes?: number;
  /** Told of everything that is left out, up to 20 for one line or document. The statistics count all of it. */
  readonly onProblem?: (problem: AuditProblem) => void;
}

/**
 * Reads audit events once from a file, or from the files of a folder from the oldest to the newest: one JSON text a line, as kube-apiserver writes
 * them, or one document over many lines. What cannot be read or is no event is left out and counted; the rest is not lost with it.
 */
export class AuditFileReader {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #onProblem: (problem: AuditProblem) => void;
  readonly #parser: AuditParser;

  constructor(path: string, { maxBytes = DEFAULT_MAX_BYTES, onProblem = () => {} }: AuditFileReaderOptions = {}) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#onProblem = onProblem;
    this.#parser = new AuditParser({ maxBytes });
  }

  get stats(): AuditParserStats {
    return this.#parser.stats;
  }

  /** @throws the error of the file system if the path itself cannot be read; files of a folder are problems */
  async *read(): AsyncGenerator<AuditEvent> {
    const found = await stat(this.#path);
    if (!found.isDirectory()) {
      yield* this.#readFile(this.#path, found.size);
      return;
    }
    for (const file of await filesOf(this.#path)) {
      try {
        yield* this.#readFile(file.path, file.size);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
        this.#onProblem(this.#parser.reject('unreadable', `cannot be read: ${(error as Error).message}`, file.path));
      }
    }
  }

  async *#readFile(path: string, size: number): AsyncGenerator<AuditEvent> {
    let number = 0;
    let isFirst = true;
    for await (const line of readLines(path, this.#maxBytes)) {
      number++;
      const place = `${path}:${number}`;
      if (line === undefined) {
        this.#onProblem(this.#parser.reject('too_large', `a line of more than ${this.#maxBytes} bytes`, place));
      } else if (line.trim() !== '') {
        const document = isFirst && opensDocument(line) ? await this.#readDocument(path, size) : undefined;
        yield* this.#parse(document ?? line, document === undefined ? place : path);
        if (document !== undefined) return;
      }
      isFirst &&= line?.trim() === '';
    }
  }

  #parse(text: string, place: string): AuditEvent[] {
    const { events, problems } = this.#parser.parse(text, place);
    for (const problem of problems) this.#onProblem(problem);
    return events;
  }

  /** The file as one JSON text; undefined if it is none. */
  async #readDocument(path: string, size: number): Promise<string | undefined> {
    if (size > this.#maxBytes) return undefined;
    const text = await readFile(path, 'utf8');
    return isJson(text) ? text : undefined;
  }
}

/** True for a line that is the beginning of a JSON text. */
function opensDocument(line: string): boolean {
  return /^\s*[{[]/.test(line) && !isJson(line);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Files by the time of their last change, as a rotated log grew; names that begin with a dot are no logs. */
async function filesOf(folder: string): Promise<{ path: string; size: number }[]> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      return { path, size: found?.size ?? 0, changed: found?.mtimeMs ?? 0, isFolder: found?.isDirectory() ?? false };
    }),
  );
  return files.filter(({ isFolder }) => !isFolder).sort((a, b) => a.changed - b.changed);
}
