import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The folder beside rule files in which their cases stand. */
const CASES_FOLDER = 'cases';
const YAML = /\.ya?ml$/;

export interface TestFiles {
  /** Rule files and folders of them, in the order of loading. */
  readonly rules: readonly string[];
  /** Files of cases. */
  readonly cases: readonly string[];
}

/**
 * Finds out what the paths of a command line stand for: a rule file has its cases in the file of the same name in `cases` beside it, a folder in
 * all files there; a file of cases alone is about the rules of the folder above. What does not exist is left to who reads it.
 */
export async function findTestFiles(paths: readonly string[]): Promise<TestFiles> {
  const rules = new Set<string>();
  const cases = new Set<string>();
  const above = new Set<string>();
  for (const path of paths) {
    const isFolder = await exists(path, 'folder');
    const folderOfCases = isFolder ? path : dirname(path);
    if (basename(folderOfCases) === CASES_FOLDER) {
      for (const file of isFolder ? await yamlFilesOf(path) : [path]) cases.add(file);
      above.add(dirname(folderOfCases));
      continue;
    }
    rules.add(path);
    const beside = isFolder
      ? await yamlFilesOf(join(path, CASES_FOLDER))
      : [join(dirname(path), CASES_FOLDER, basename(path))];
    for (const file of beside) if (await exists(file, 'file')) cases.add(file);
  }
  return { rules: [...(rules.size > 0 ? rules : above)], cases: [...cases] };
}

async function yamlFilesOf(folder: string): Promise<string[]> {
  if (!(await exists(folder, 'folder'))) return [];
  const names = await readdir(folder);
  return names
    .filter((name) => YAML.test(name))
    .sort()
    .map((name) => join(folder, name));
}

async function exists(path: string, kind: 'file' | 'folder'): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return kind === 'folder' ? found?.isDirectory() === true : found?.isFile() === true;
}
