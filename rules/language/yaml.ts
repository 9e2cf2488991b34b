import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseAllDocuments,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { type Problem, problemAt } from './problem.ts';
import type { MappedText, Place, SourceFile } from './source.ts';

/** A node of a rule file, with aliases resolved. Scalars are text: `0644` and `yes` stay what was written. */
export class YamlNode {
  readonly file: SourceFile;
  readonly #document: Document;
  readonly #node: Node | null;

  constructor(file: SourceFile, document: Document, node: Node | null | undefined) {
    this.file = file;
    this.#document = document;
    this.#node = (isAlias(node) ? node.resolve(document) : node) ?? null;
  }

  /** Where the node stands, blanks and comments after it not counted. */
  get place(): Place {
    const [start, end] = this.#node?.range ?? [0, 0];
    return { file: this.file, start, end: Math.max(end, start) };
  }

  /** The text of a scalar; undefined for sequences, mappings and nothing at all. */
  get scalar(): string | undefined {
    const node = this.#node;
    if (!isScalar(node) || isEmpty(node)) return undefined;
    return typeof node.value === 'string' ? node.value : String(node.value);
  }

  /** True for `key:` with nothing after it. */
  get isNull(): boolean {
    const node = this.#node;
    return node === null || (isScalar(node) && isEmpty(node));
  }

  get items(): YamlNode[] | undefined {
    return isSeq(this.#node) ? this.#node.items.map((item) => this.#child(item as Node)) : undefined;
  }

  /** Keys and values in the order of the file. */
  get entries(): { key: string; keyNode: YamlNode; value: YamlNode }[] | undefined {
    if (!isMap(this.#node)) return undefined;
    return (this.#node as YAMLMap<Node, Node | null>).items.map((pair) => {
      const keyNode = this.#child(pair.key);
      return { key: keyNode.scalar ?? '', keyNode, value: this.#child(pair.value) };
    });
  }

  /** The text of a scalar, with the place of each of its characters. */
  get mappedText(): MappedText | undefined {
    const text = this.scalar;
    if (text === undefined) return undefined;
    const node = this.#node as Scalar;
    const { file } = this;
    const [start, end] = node.range ?? [0, 0];
    let offsets: number[] | undefined;
    return {
      text,
      place: (span) => {
        offsets ??= alignScalar(text, file.text, start, end, isBlock(node));
        const from = offsets[Math.min(span.start, text.length)] ?? start;
        const last = span.end > span.start ? (offsets[Math.min(span.end, text.length) - 1] ?? from) + 1 : from;
        return { file, start: from, end: Math.max(from, last) };
      },
    };
  }

  #child(node: Node | null | undefined): YamlNode {
    return new YamlNode(this.file, this.#document, node);
  }
}

function isEmpty(node: Scalar): boolean {
  return node.type === 'PLAIN' && (node.source === '' || node.source === '~' || node.source === 'null');
}

function isBlock(node: Scalar): boolean {
  return node.type === 'BLOCK_FOLDED' || node.type === 'BLOCK_LITERAL';
}

/**
 * Finds where in the file each character of a scalar stands. Folding and indentation change only blanks, so the other characters come in the
 * same order in both; escapes of a quoted scalar are stepped over.
 */
function alignScalar(value: string, source: string, start: number, end: number, block: boolean): number[] {
  let at = block ? source.indexOf('\n', start) + 1 : start;
  if (!block && (source[at] === '"' || source[at] === "'")) at++;
  const offsets: number[] = [];
  for (let i = 0; i < value.length; i++) {
    const character = value[i]!;
    if (!/\s/.test(character)) {
      let candidate = at;
      while (candidate < end && source[candidate] !== character) candidate++;
      if (candidate < end) at = candidate;
    }
    offsets.push(Math.min(at, end));
    if (!/\s/.test(character) || /\s/.test(source[at] ?? '')) at++;
  }
  offsets.push(Math.min(at, end));
  return offsets;
}

/** Reads every document of a file; a file that is not YAML gives its mistakes instead. */
export function readYaml(file: SourceFile): { documents: YamlNode[]; problems: Problem[] } {
  try {
    const documents = parseAllDocuments(file.text, {
      schema: 'failsafe',
      prettyErrors: false,
      keepSourceTokens: false,
    });
    const list = Array.isArray(documents) ? documents : [];
    const problems = list.flatMap((document) =>
      document.errors.map((error) => {
        const [start, end] = error.pos;
        return problemAt('LOAD_ERR_YAML_PARSE', `not valid YAML: ${error.message}`, { file, start, end });
      }),
    );
    if (problems.length > 0) return { documents: [], problems };
    return {
      documents: list.map((document) => new YamlNode(file, document as Document, document.contents as Node)),
      problems,
    };
  } catch (error) {
    // The parser recurses; a file nested some thousand levels deep exhausts the stack.
    const message = error instanceof RangeError ? 'nested too deep' : (error as Error).message;
    const problem = problemAt('LOAD_ERR_YAML_PARSE', `not valid YAML: ${message}`, { file, start: 0, end: 1 });
    return { documents: [], problems: [problem] };
  }
}
