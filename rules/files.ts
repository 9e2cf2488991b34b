/** Rule files on disk, as text: the part of loading that needs no parser. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Problem } from './language/problem.ts';

export interface RuleFile {
  readonly path: string;
  readonly text: string;
}

/** A rule file that could not be read comes back as a problem, with the others. */
export interface ReadResult {
  readonly files: RuleFile[];
  readonly problems: Problem[];
}

/** Reads rule files; a folder stands for the `.yaml` and `.yml` files in it, by name, without its subfolders. */
export async function readRuleFiles(paths: readonly string[]): Promise<ReadResult> {
  const files: RuleFile[] = [];
  const problems: Problem[] = [];
  for (const path of paths) {
    try {
      for (const file of await expandFolder(path)) files.push({ path: file, text: await readFile(file, 'utf8') });
    } catch (error) {
      problems.push(unreadable(path, error as NodeJS.ErrnoException));
    }
  }
  return { files, problems };
}

/** The folder of the rules that come with Shikra. */
export function bundledRulesPath(): string {
  return fileURLToPath(new URL('./sets', import.meta.url));
}

async function expandFolder(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => /\.ya?ml$/.test(name));
  return names.sort().map((name) => join(path, name));
}

function unreadable(path: string, error: NodeJS.ErrnoException): Problem {
  const message = `cannot read '${path}': ${error.message}`;
  return { code: 'LOAD_ERR_FILE_READ', severity: 'error', message, file: path, line: 1, column: 1, endColumn: 2 };
}
