import { parseYaml } from '../../collector/yaml/parse.ts';
import type { YamlTree } from '../../collector/yaml/tree.ts';
import { mergedEntries, scalarValue, treeValue } from '../../collector/yaml/value.ts';
import { type Problem, problemAt } from '../language/problem.ts';
import type { Place, SourceFile } from '../language/source.ts';

export interface CaseEntry {
  readonly key: string;
  readonly place: Place;
  readonly value: CaseNode;
}

/**
 * A node of a file of cases, with aliases and merge keys resolved. Unlike a rule file's, it also gives its value as JSON has it: an audit
 * event tells `true` from "true".
 */
export class CaseNode {
  readonly #file: SourceFile;
  readonly #tree: YamlTree;

  constructor(file: SourceFile, tree: YamlTree) {
    this.#file = file;
    this.#tree = tree;
  }

  get place(): Place {
    const { start, end } = this.#tree;
    return { file: this.#file, start, end };
  }

  /** True for `key:` with nothing after it. */
  get isNull(): boolean {
    return this.#tree.kind === 'scalar' && scalarValue(this.#tree) === null;
  }

  /** The text of a scalar as it was written: `0644` stays so. */
  get text(): string | undefined {
    return this.#tree.kind !== 'scalar' || this.isNull ? undefined : this.#tree.text;
  }

  get items(): CaseNode[] | undefined {
    return this.#tree.kind === 'sequence' ? this.#tree.items.map((item) => this.#child(item)) : undefined;
  }

  /** Keys and values; a key of the mapping itself goes before one that is merged in. */
  get entries(): CaseEntry[] | undefined {
    if (this.#tree.kind !== 'mapping') return undefined;
    return mergedEntries(this.#tree).map(({ key, value }) => {
      const keyNode = this.#child(key);
      return { key: keyNode.text ?? '', place: keyNode.place, value: this.#child(value) };
    });
  }

  /** The value as JSON has it; an Error if aliases make it endless. */
  get json(): unknown {
    try {
      const value = treeValue(this.#tree, { merge: true });
      JSON.stringify(value);
      return value;
    } catch (error) {
      return error instanceof TypeError ? new Error('it holds itself') : (error as Error);
    }
  }

  #child(tree: YamlTree): CaseNode {
    return new CaseNode(this.#file, tree);
  }
}

/** Reads every document of a file; one that is not YAML gives its mistakes instead. */
export function readCaseDocuments(file: SourceFile): { documents: CaseNode[]; problems: Problem[] } {
  const { documents, mistakes } = parseYaml(file.text);
  const problems = mistakes.map(({ message, start, end }) =>
    problemAt('LOAD_ERR_YAML_PARSE', `not valid YAML: ${message}`, { file, start, end }),
  );
  if (problems.length > 0) return { documents: [], problems };
  return { documents: documents.map((tree) => new CaseNode(file, tree)), problems };
}
