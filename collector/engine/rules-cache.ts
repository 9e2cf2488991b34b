import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RuleFile } from '../../rules/files.ts';
import { userCacheFolder } from '../user-cache.ts';
import type { RulesRequest } from './load-rules.ts';

/** What the outcome of a reading depends on, beside the rules: the code that reads and checks them. */
const CODE = ['package.json', 'rules', 'collector/sources', 'collector/engine', 'collector/yaml'];
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DIGEST_BYTES = 32;
/** A few sets of rules that come and go, and each version of a set that is being written. */
const MOST_FILES = 8;
const OTHERS_MAY_WRITE = 0o022;

/**
 * Rules that were read before, by everything that they were made from. Reading takes longer than all else that the agent does at start; a set that has
 * not changed has been checked already. What is not found, damaged, or not the user's own alone, is read again: nobody gets other rules by it.
 */
export class RulesCache {
  readonly #folder: string;

  constructor(folder = userCacheFolder('rules')) {
    this.#folder = folder;
  }

  /** @returns undefined if there is nothing that can be trusted */
  async get(key: string): Promise<Uint8Array | undefined> {
    try {
      const path = join(this.#folder, key);
      if (!isOwn(await lstat(this.#folder)) || !isOwn(await lstat(path))) return undefined;
      const content = await readFile(path);
      const bytes = content.subarray(DIGEST_BYTES);
      return digest(bytes).equals(content.subarray(0, DIGEST_BYTES)) ? bytes : undefined;
    } catch {
      return undefined; // absent, mostly: the rules are read
    }
  }

  /** Keeps what was read. Where that is not possible (a read-only file system) the next start takes longer, and that is all. */
  async put(key: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.#folder, key);
    const unfinished = `${path}.${process.pid}`;
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFile(unfinished, Buffer.concat([digest(bytes), bytes]), { mode: 0o600 });
      await rename(unfinished, path);
      await this.#removeOldest();
    } catch {
      await rm(unfinished, { force: true }).catch(() => {});
    }
  }

  async #removeOldest(): Promise<void> {
    const files = (await readdir(this.#folder)).map((name) => join(this.#folder, name));
    const byAge = files.map((path) => ({ path, time: lstatSync(path).mtimeMs })).sort((a, b) => b.time - a.time);
    for (const { path } of byAge.slice(MOST_FILES)) await rm(path, { force: true });
  }
}

/** Tells a reading from every other: by the request, each file's path and text, and the code. */
export function cacheKey(request: RulesRequest, files: readonly RuleFile[]): string {
  const hash = createHash('sha256');
  const add = (text: string) => hash.update(`${Buffer.byteLength(text)}:`).update(text);
  add(process.version); // whose serialization it is
  for (const part of CODE) addCode(join(ROOT, part), add);
  add(JSON.stringify(request));
  for (const { path, text } of files) {
    add(path);
    add(text);
  }
  return hash.digest('hex');
}

/** By size and time, as make does. */
function addCode(path: string, add: (text: string) => void): void {
  const status = statSync(path);
  if (!status.isDirectory()) {
    add(`${path} ${status.size} ${status.mtimeMs}`);
    return;
  }
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory() || /\.[jt]s$/.test(entry.name)) addCode(join(path, entry.name), add);
}

function isOwn({ uid, mode }: { readonly uid: number; readonly mode: number }): boolean {
  return uid === process.geteuid?.() && (mode & OTHERS_MAY_WRITE) === 0;
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
