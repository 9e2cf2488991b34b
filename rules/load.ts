import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Collector } from './language/collect.ts';
import { type CheckedRule, Compiler } from './language/compile.ts';
import type { Problem } from './language/problem.ts';
import { ProblemList } from './language/problems.ts';
import { SourceFile } from './language/source.ts';
import type { PluginVersions } from './language/versions.ts';
import { readYaml } from './language/yaml.ts';

export interface RuleFile {
  readonly path: string;
  readonly text: string;
}

export interface LoadOptions {
  /** Falco's engine version that the rule files may ask for. */
  readonly engineVersion?: string;
  /** Falco plugins whose fields are built in, with the version each is equal to. */
  readonly plugins?: PluginVersions;
  /** Event sources that exist; rules for others are skipped with a warning. */
  readonly sources?: readonly string[];
}

export interface LoadResult {
  /** The rules without errors, in the order of their first definition, disabled ones included. */
  readonly rules: CheckedRule[];
  /** Everything found, by file and line. The caller refuses to start if one is an error. */
  readonly problems: Problem[];
}

const DEFAULTS: Required<LoadOptions> = {
  engineVersion: '0.63.0',
  plugins: { container: '0.7.1', k8saudit: '0.18.0', json: '0.7.4' },
  sources: ['syscall', 'k8s_audit'],
};

/**
 * Loads rule files in order, as one set: a later file may change what an earlier one defines. Never throws for what stands in a file.
 */
export function loadRules(files: readonly RuleFile[], options: LoadOptions = {}): LoadResult {
  const problems = new ProblemList();
  const collector = new Collector(problems, { ...DEFAULTS, ...options });
  for (const { path, text } of files) {
    const file = new SourceFile(path, text);
    const { documents, problems: mistakes } = readYaml(file);
    for (const mistake of mistakes) problems.push(mistake);
    for (const document of documents) collector.add(document, rulesetName(path));
  }
  const rules = new Compiler(collector, problems).compile();
  return { rules, problems: problems.sorted() };
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

function rulesetName(path: string): string {
  return basename(path, extname(path));
}
