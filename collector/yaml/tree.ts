/** What stands in a YAML file, with the place of every part. An alias is the node that it stands for, so a tree may hold itself. */
import { EVENT_ID, type Event, getScalarValue, SCALAR_STYLE, type ScalarEvent } from 'js-yaml';

export type YamlTree = YamlScalar | YamlSequence | YamlMapping;

interface Placed {
  /** Offsets in the text: where it starts, and past its last character. Quotes and brackets belong to it, blanks and comments after it do not. */
  readonly start: number;
  readonly end: number;
  /** As written; undefined if there is none. */
  readonly tag: string | undefined;
}

export interface YamlScalar extends Placed {
  readonly kind: 'scalar';
  /** Without quotes, escapes resolved, lines folded. Plain and empty: nothing stands there. */
  readonly text: string;
  readonly style: 'plain' | 'quoted' | 'block';
}

export interface YamlSequence extends Placed {
  readonly kind: 'sequence';
  readonly items: readonly YamlTree[];
}

export interface YamlMapping extends Placed {
  readonly kind: 'mapping';
  /** In the order of the file. */
  readonly entries: readonly YamlEntry[];
}

export interface YamlEntry {
  readonly key: YamlTree;
  readonly value: YamlTree;
}

export interface YamlMistake {
  readonly kind: 'syntax' | 'duplicate' | 'alias';
  readonly message: string;
  readonly start: number;
  readonly end: number;
}

export interface YamlDocuments {
  readonly documents: readonly YamlTree[];
  readonly mistakes: readonly YamlMistake[];
}

export const MERGE_KEY = '<<';

/** Makes trees out of what the parser says of a text, and notes what is wrong with keys and aliases. */
export function buildTrees(text: string, events: readonly Event[]): YamlDocuments {
  const builder = new TreeBuilder(text);
  for (const event of events) builder.take(event);
  const { documents, mistakes } = builder;
  return { documents, mistakes };
}

/** A collection whose end has not come yet. */
type Open =
  | { readonly node: Mutable<YamlSequence>; readonly items: YamlTree[] }
  | { readonly node: Mutable<YamlMapping>; readonly entries: YamlEntry[]; readonly keys: Set<string>; key?: YamlTree };
type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** For an offset: there is none. */
const ABSENT = -1;
/** Between the last item of a flow collection and its bracket. */
const BEFORE_BRACKET = /(?:[\s,]|#.*)*/y;
const BLOCK_HEADER = /[|>][-+\d]*[ \t]*(?:#.*)?\r?$/;

class TreeBuilder {
  readonly documents: YamlTree[] = [];
  readonly mistakes: YamlMistake[] = [];
  readonly #text: string;
  readonly #open: Open[] = [];
  #anchors = new Map<string, YamlTree>();
  /** Past what was read last: what is left out stands there. */
  #last = 0;

  constructor(text: string) {
    this.#text = text;
  }

  take(event: Event): void {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        this.#anchors = new Map();
        break;
      case EVENT_ID.SCALAR: {
        const scalar = this.#scalar(event);
        this.#anchor(event, scalar);
        this.#add(scalar);
        break;
      }
      case EVENT_ID.ALIAS:
        this.#add(this.#alias(event.anchorStart, event.anchorEnd));
        break;
      case EVENT_ID.SEQUENCE: {
        const items: YamlTree[] = [];
        const node: YamlSequence = {
          kind: 'sequence',
          start: event.start,
          end: event.start,
          tag: this.#tag(event),
          items,
        };
        this.#anchor(event, node);
        this.#begin({ node, items });
        break;
      }
      case EVENT_ID.MAPPING: {
        const entries: YamlEntry[] = [];
        const node: YamlMapping = {
          kind: 'mapping',
          start: event.start,
          end: event.start,
          tag: this.#tag(event),
          entries,
        };
        this.#anchor(event, node);
        this.#begin({ node, entries, keys: new Set() });
        break;
      }
      case EVENT_ID.POP: {
        const ended = this.#open.pop();
        if (ended !== undefined) this.#end(ended); // else it was the document
      }
    }
  }

  #begin(open: Open): void {
    this.#open.push(open);
    this.#last = open.node.start;
  }

  #end({ node }: Open): void {
    const opening = this.#text[node.start];
    if (opening === '{' || opening === '[') {
      BEFORE_BRACKET.lastIndex = Math.max(this.#last, node.start + 1);
      this.#last = BEFORE_BRACKET.exec(this.#text)![0].length + Math.max(this.#last, node.start + 1) + 1;
    }
    node.end = this.#last;
    this.#add(node as YamlTree);
  }

  #add(node: YamlTree): void {
    const parent = this.#open.at(-1);
    if (parent === undefined) this.documents.push(node);
    else if ('items' in parent) parent.items.push(node);
    else if (parent.key === undefined) {
      parent.key = node;
      this.#checkKey(parent.keys, node);
    } else {
      parent.entries.push({ key: parent.key, value: node });
      delete parent.key;
    }
  }

  #checkKey(keys: Set<string>, node: YamlTree): void {
    if (node.kind !== 'scalar') return;
    const { text, start, end } = node;
    if (keys.has(text) && text !== MERGE_KEY)
      this.mistakes.push({ kind: 'duplicate', message: `the key '${text}' stands here a second time`, start, end });
    keys.add(text);
  }

  #scalar(event: ScalarEvent): YamlScalar {
    const tag = this.#tag(event);
    const { valueStart, valueEnd } = event;
    if (valueStart === ABSENT)
      return { kind: 'scalar', text: '', style: 'plain', start: this.#last, end: this.#last, tag };
    const text = getScalarValue(this.#text, event);
    switch (event.style) {
      case SCALAR_STYLE.PLAIN:
        this.#last = valueEnd;
        return { kind: 'scalar', text, style: 'plain', start: valueStart, end: valueEnd, tag };
      case SCALAR_STYLE.SINGLE_QUOTED:
      case SCALAR_STYLE.DOUBLE_QUOTED:
        this.#last = valueEnd + 1;
        return { kind: 'scalar', text, style: 'quoted', start: valueStart - 1, end: valueEnd + 1, tag };
      default: {
        const start = this.#headerOf(valueStart);
        this.#last = start + this.#text.slice(start, valueEnd).trimEnd().length;
        return { kind: 'scalar', text, style: 'block', start, end: this.#last, tag };
      }
    }
  }

  /** Where the `|` or `>` stands above the first line of a block. */
  #headerOf(valueStart: number): number {
    const lineStart = this.#text.lastIndexOf('\n', valueStart - 2) + 1;
    const header = BLOCK_HEADER.exec(this.#text.slice(lineStart, valueStart).replace(/\n$/, ''));
    return header === null ? valueStart : lineStart + header.index;
  }

  #alias(nameStart: number, nameEnd: number): YamlTree {
    const name = this.#text.slice(nameStart, nameEnd);
    const [start, end] = [nameStart - 1, nameEnd];
    this.#last = end;
    const node = this.#anchors.get(name);
    if (node !== undefined) return node;
    this.mistakes.push({ kind: 'alias', message: `nothing before has the anchor '&${name}'`, start, end });
    return { kind: 'scalar', text: '', style: 'plain', start, end, tag: undefined };
  }

  #anchor(
    { anchorStart, anchorEnd }: { readonly anchorStart: number; readonly anchorEnd: number },
    node: YamlTree,
  ): void {
    if (anchorStart !== ABSENT) this.#anchors.set(this.#text.slice(anchorStart, anchorEnd), node);
  }

  #tag({ tagStart, tagEnd }: { readonly tagStart: number; readonly tagEnd: number }): string | undefined {
    return tagStart === ABSENT ? undefined : this.#text.slice(tagStart, tagEnd);
  }
}
