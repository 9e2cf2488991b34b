import { parseYaml } from '../../collector/yaml/parse.ts';
import type { YamlScalar, YamlTree } from '../../collector/yaml/tree.ts';
import { keyText } from '../../collector/yaml/value.ts';
import { type Folded, foldLists, type Run } from './bulk.ts';
import { type Problem, problemAt } from './problem.ts';
import type { MappedText, Place, SourceFile } from './source.ts';

/** What nodes must know of the file that they stand in. */
interface Source {
  readonly file: SourceFile;
  /** Long lists that were taken out, and how offsets are mapped back. */
  readonly folded: Folded | undefined;
}

/** A node of a rule file, with aliases resolved. Scalars are text: `0644` and `yes` stay what was written. */
export class YamlNode {
  readonly file: SourceFile;
  readonly #source: Source;
  readonly #tree: YamlTree;

  constructor(source: Source, tree: YamlTree) {
    this.file = source.file;
    this.#source = source;
    this.#tree = tree;
  }

  /** Where the node stands, blanks and comments after it not counted. */
  get place(): Place {
    const [start, end] = this.#range;
    return { file: this.file, start, end };
  }

  /** In the file, whatever was folded before it. */
  get #range(): readonly [start: number, end: number] {
    const { start, end } = this.#tree;
    const { folded } = this.#source;
    return folded === undefined || unfoldedItems.has(this.#tree)
      ? [start, end]
      : [folded.original(start), folded.original(end)];
  }

  /** The text of a scalar; undefined for sequences, mappings and nothing at all. */
  get scalar(): string | undefined {
    return this.#tree.kind !== 'scalar' || isNothing(this.#tree) ? undefined : this.#tree.text;
  }

  /** True for `key:` with nothing after it. */
  get isNull(): boolean {
    return this.#tree.kind === 'scalar' && isNothing(this.#tree);
  }

  get items(): YamlNode[] | undefined {
    if (this.#tree.kind !== 'sequence') return undefined;
    return this.#tree.items.flatMap((item) => {
      const run = this.#runOf(item);
      return run === undefined ? [this.#child(item)] : unfold(run).map((each) => this.#child(each));
    });
  }

  /** The texts of a sequence of scalars; else its first item that is none. Undefined if it is no sequence. */
  get texts(): readonly string[] | YamlNode | undefined {
    if (this.#tree.kind !== 'sequence') return undefined;
    let texts: string[] = [];
    for (const item of this.#tree.items) {
      const run = this.#runOf(item);
      if (run !== undefined) {
        texts = texts.concat(run.texts);
        continue;
      }
      const child = this.#child(item);
      const text = child.scalar;
      if (text === undefined) return child;
      texts.push(text);
    }
    return texts;
  }

  /** How many runs of folded items a sequence has. */
  get runs(): number {
    if (this.#tree.kind !== 'sequence') return 0;
    return this.#tree.items.filter((item) => this.#runOf(item) !== undefined).length;
  }

  /** Keys and values in the order of the file. */
  get entries(): { key: string; keyNode: YamlNode; value: YamlNode }[] | undefined {
    if (this.#tree.kind !== 'mapping') return undefined;
    return this.#tree.entries.map(({ key, value }) => ({
      key: keyText(key),
      keyNode: this.#child(key),
      value: this.#child(value),
    }));
  }

  /** The text of a scalar, with the place of each of its characters. */
  get mappedText(): MappedText | undefined {
    const text = this.scalar;
    if (text === undefined) return undefined;
    const isBlock = (this.#tree as YamlScalar).style === 'block';
    const { file } = this;
    const [start, end] = this.#range;
    let offsets: number[] | undefined;
    return {
      text,
      place: (span) => {
        offsets ??= alignScalar(text, file.text, start, end, isBlock);
        const from = offsets[Math.min(span.start, text.length)] ?? start;
        const last = span.end > span.start ? (offsets[Math.min(span.end, text.length) - 1] ?? from) + 1 : from;
        return { file, start: from, end: Math.max(from, last) };
      },
    };
  }

  #child(tree: YamlTree): YamlNode {
    return new YamlNode(this.#source, tree);
  }

  #runOf(item: YamlTree): Run | undefined {
    const { folded } = this.#source;
    if (folded === undefined || item.kind !== 'scalar' || item.style !== 'plain') return undefined;
    return folded.runs.find(({ word }) => word === item.text);
  }
}

/** Items that were folded: their place is that in the file. */
const unfoldedItems = new WeakSet<YamlTree>();

function unfold(run: Run): YamlScalar[] {
  return run.texts.map((text, index) => {
    const [start, end] = [run.ranges[2 * index]!, run.ranges[2 * index + 1]!];
    const item: YamlScalar = { kind: 'scalar', text, style: 'plain', start, end, tag: undefined };
    unfoldedItems.add(item);
    return item;
  });
}

function isNothing({ text, style }: YamlScalar): boolean {
  return style === 'plain' && (text === '' || text === '~' || text === 'null');
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
/** Up to here the parser is as quick as looking for lists. */
const FOLD_FROM_CHARACTERS = 262_144;

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
  const { documents, mistakes } = parseYaml(text);
  const problems = mistakes.map(({ message, start, end }) => refuse(`not valid YAML: ${message}`, start, end));
  if (problems.length > 0) return { documents: [], problems };
  return { documents: documents.map((tree) => new YamlNode({ file, folded }, tree)), problems };
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
