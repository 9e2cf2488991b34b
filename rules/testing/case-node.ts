import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parseAllDocuments, type Scalar } from 'yaml';
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
  readonly #document: Document;
  readonly #node: Node | null;

  constructor(file: SourceFile, document: Document, node: Node | null | undefined) {
    this.#file = file;
    this.#document = document;
    this.#node = (isAlias(node) ? node.resolve(document) : node) ?? null;
  }

  get place(): Place {
    const [start, end] = this.#node?.range ?? [0, 0];
    return { file: this.#file, start, end };
  }

  /** True for `key:` with nothing after it. */
  get isNull(): boolean {
    return this.#node === null || (isScalar(this.#node) && this.#node.value === null);
  }

  /** The text of a scalar as it was written: `0644` stays so. */
  get text(): string | undefined {
    if (!isScalar(this.#node) || this.#node.value === null) return undefined;
    const { value, type, source } = this.#node as Scalar;
    return type === 'PLAIN' && source !== undefined ? source : String(value);
  }

  get items(): CaseNode[] | undefined {
    return isSeq(this.#node) ? this.#node.items.map((item) => this.#child(item as Node)) : undefined;
  }

  /** Keys and values; a key of the mapping itself goes before one that is merged in. */
  get entries(): CaseEntry[] | undefined {
    if (!isMap(this.#node)) return undefined;
    const entries = new Map<string, CaseEntry>();
    const own = this.#node.items.map(({ key, value }) => this.#entry(key as Node, value as Node | null));
    for (const { value } of own.filter(({ key }) => key === '<<')) {
      for (const merged of value.items ?? [value]) {
        for (const entry of merged.entries ?? []) if (!entries.has(entry.key)) entries.set(entry.key, entry);
      }
    }
    for (const entry of own) if (entry.key !== '<<') entries.set(entry.key, entry);
    return [...entries.values()];
  }

  /** The value as JSON has it; an Error if aliases make it endless. */
  get json(): unknown {
    try {
      const value = this.#node?.toJS(this.#document) ?? null;
      JSON.stringify(value);
      return value;
    } catch (error) {
      return error instanceof TypeError ? new Error('it holds itself') : (error as Error);
    }
  }

  #entry(key: Node, value: Node | null): CaseEntry {
    const keyNode = this.#child(key);
    return { key: keyNode.text ?? '', place: keyNode.place, value: this.#child(value) };
  }

  #child(node: Node | null): CaseNode {
    return new CaseNode(this.#file, this.#document, node);
  }
}

/** Reads every document of a file; one that is not YAML gives its mistakes instead. */
export function readCaseDocuments(file: SourceFile): { documents: CaseNode[]; problems: Problem[] } {
  const documents = parse(file.text);
  if (documents instanceof Error) {
    const message = `not valid YAML: ${documents.message}`;
    return { documents: [], problems: [problemAt('LOAD_ERR_YAML_PARSE', message, { file, start: 0, end: 1 })] };
  }
  const problems = documents.flatMap(({ errors }) =>
    errors.map(({ message, pos: [start, end] }) =>
      problemAt('LOAD_ERR_YAML_PARSE', `not valid YAML: ${message}`, { file, start, end }),
    ),
  );
  if (problems.length > 0) return { documents: [], problems };
  return {
    documents: documents.map((document) => new CaseNode(file, document, document.contents as Node | null)),
    problems,
  };
}

function parse(text: string): Document[] | Error {
  try {
    const parsed = parseAllDocuments(text, { version: '1.2', merge: true, prettyErrors: false });
    return (Array.isArray(parsed) ? parsed : []) as Document[];
  } catch (error) {
    // The parser recurses; a file nested some thousand levels deep exhausts the stack.
    return error instanceof RangeError ? new Error('nested too deep') : (error as Error);
  }
}
