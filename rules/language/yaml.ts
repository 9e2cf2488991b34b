import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseAllDocuments,
  Scalar,
  type YAMLMap,
} from 'yaml';
import { type Folded, foldLists, type Run } from './bulk.ts';
import { type Problem, problemAt } from './problem.ts';
import type { MappedText, Place, SourceFile } from './source.ts';

/** What nodes must know of the file that they stand in. */
interface Source {
  readonly file: SourceFile;
  readonly document: Document;
  /** Long lists that were taken out, and how offsets are mapped back. */
  readonly folded: Folded | undefined;
}

/** A node of a rule file, with aliases resolved. Scalars are text: `0644` and `yes` stay what was written. */
export class YamlNode {
  readonly file: SourceFile;
  readonly #source: Source;
  readonly #node: Node | null;

  constructor(source: Source, node: Node | null | undefined) {
    this.file = source.file;
    this.#source = source;
    this.#node = (isAlias(node) ? node.resolve(source.document) : node) ?? null;
  }

  /** Where the node stands, blanks and comments after it not counted. */
  get place(): Place {
    const [start, end] = this.#range;
    return { file: this.file, start, end: Math.max(end, start) };
  }

  /** In the file, whatever was folded before it. */
  get #range(): readonly [start: number, end: number] {
    const [start, end] = this.#node?.range ?? [0, 0];
    const { folded } = this.#source;
    return folded === undefined || isUnfolded(this.#node)
      ? [start, end]
      : [folded.original(start), folded.original(end)];
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
    if (!isSeq(this.#node)) return undefined;
    return this.#node.items.flatMap((item) => {
      const run = this.#runOf(item as Node);
      return run === undefined ? [this.#child(item as Node)] : unfold(run).map((each) => this.#child(each));
    });
  }

  /** The texts of a sequence of scalars; else its first item that is none. Undefined if it is no sequence. */
  get texts(): readonly string[] | YamlNode | undefined {
    if (!isSeq(this.#node)) return undefined;
    let texts: string[] = [];
    for (const item of this.#node.items) {
      const run = this.#runOf(item as Node);
      if (run !== undefined) {
        texts = texts.concat(run.texts);
        continue;
      }
      const child = this.#child(item as Node);
      const text = child.scalar;
      if (text === undefined) return child;
      texts.push(text);
    }
    return texts;
  }

  /** How many runs of folded items a sequence has. */
  get runs(): number {
    return isSeq(this.#node) ? this.#node.items.filter((item) => this.#runOf(item as Node) !== undefined).length : 0;
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
    const [start, end] = this.#range;
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
    return new YamlNode(this.#source, node);
  }

  #runOf(node: Node): Run | undefined {
    const { folded } = this.#source;
    return folded === undefined || !isScalar(node) ? undefined : folded.runs.find(({ word }) => word === node.source);
  }
}

/** Nodes of items that were folded: their range is that in the file. */
const unfoldedNodes = new WeakSet<Node>();

function isUnfolded(node: Node | null): boolean {
  return node !== null && unfoldedNodes.has(node);
}

function unfold(run: Run): Scalar[] {
  return run.texts.map((text, index) => {
    const node = new Scalar(text);
    const [start, end] = [run.ranges[2 * index]!, run.ranges[2 * index + 1]!];
    node.range = [start, end, end];
    unfoldedNodes.add(node);
    return node;
  });
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

/** Past so much text, long lists not counted, the parser would take seconds and hundreds of megabytes. */
const MOST_CHARACTERS = 4_000_000;
const FOLD_FROM_CHARACTERS = 65_536;

export interface ReadYaml {
  readonly documents: YamlNode[];
  readonly problems: Problem[];
}

/** Reads every document of a file; a file that is not YAML gives its mistakes instead. */
export function readYaml(file: SourceFile): ReadYaml {
  const folded = file.text.length < FOLD_FROM_CHARACTERS ? undefined : foldLists(file.text);
  if (folded === undefined) return parse(file, undefined);
  const read = parse(file, folded);
  // A word in a place where it is no item of a sequence: it stood inside a text, and no list was meant.
  return read.problems.length === 0 && stands(folded, read.documents) ? read : parse(file, undefined);
}

function parse(file: SourceFile, folded: Folded | undefined): ReadYaml {
  const text = folded?.text ?? file.text;
  const original = (offset: number) => folded?.original(offset) ?? offset;
  const refuse = (message: string, start = 0, end = 1): Problem =>
    problemAt('LOAD_ERR_YAML_PARSE', message, { file, start: original(start), end: original(end) });
  if (text.length > MOST_CHARACTERS) {
    const message = `the file is too large: ${text.length} characters beside long lists, at most ${MOST_CHARACTERS} are read`;
    return { documents: [], problems: [refuse(message)] };
  }
  try {
    const parsed = parseAllDocuments(text, { schema: 'failsafe', prettyErrors: false, keepSourceTokens: false });
    const documents = Array.isArray(parsed) ? parsed : [];
    const problems = documents.flatMap(({ errors }) =>
      errors.map(({ message, pos }) => refuse(`not valid YAML: ${message}`, ...pos)),
    );
    if (problems.length > 0) return { documents: [], problems };
    const nodes = documents.map((each) => {
      const document = each as Document;
      return new YamlNode({ file, document, folded }, document.contents as Node);
    });
    return { documents: nodes, problems };
  } catch (error) {
    // The parser recurses; a file nested some thousand levels deep exhausts the stack.
    const message = error instanceof RangeError ? 'nested too deep' : (error as Error).message;
    return { documents: [], problems: [refuse(`not valid YAML: ${message}`)] };
  }
}

/** True if each run that was folded is found again where lists have their items. */
function stands(folded: Folded, documents: readonly YamlNode[]): boolean {
  let found = 0;
  for (const document of documents) {
    for (const item of document.items ?? []) {
      for (const { key, value } of item.entries ?? []) if (key === 'items') found += value.runs;
    }
  }
  return found === folded.runs.length;
}
