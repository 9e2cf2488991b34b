/**
 * What the engine does with an object or a text depends on how it came to be: an object filled key by key is a hash table, a piece of a text points to the whole.
 * `JSON.stringify` takes three times as long for them. Here they are made what a parser would have made of them.
 */

interface Node {
  readonly next: Map<string, Node>;
  template: Readonly<Record<string, unknown>> | undefined;
}

/** Labels of containers have names of any kind: beyond this, objects stay as they are. */
const MOST_NODES = 20_000;
const root = newNode();
let nodes = 0;

/** @param names each once, in the order that the object is to have; with their values */
export function compactObject<Value>(names: readonly string[], values: readonly Value[]): Record<string, Value> {
  let node = root;
  for (const name of names) {
    let next = node.next.get(name);
    if (next === undefined) {
      if (nodes >= MOST_NODES) return Object.fromEntries(names.map((each, index) => [each, values[index]!]));
      nodes++;
      next = newNode();
      node.next.set(name, next);
    }
    node = next;
  }
  node.template ??= templateOf(names);
  const compact = { ...node.template } as Record<string, Value>;
  for (let index = 0; index < names.length; index++) compact[names[index]!] = values[index]!;
  return compact;
}

/** Made by the parser, which gives each name a fixed place; then each place has held every kind of value, so that none has to be made anew for another kind. */
function templateOf(names: readonly string[]): Readonly<Record<string, unknown>> {
  const template = JSON.parse(`{${names.map((name) => `${JSON.stringify(name)}:0`).join(',')}}`) as Record<
    string,
    unknown
  >;
  for (const value of ['', 0.5, true]) for (const name of names) template[name] = value;
  return template;
}

function newNode(): Node {
  return { next: new Map(), template: undefined };
}

const MOST_TEXTS = 2000;
const texts = new Map<string, string>();

/** The same text as one of its own, not as a part of another one. For what comes again: names of folders and files. */
export function compactText(text: string): string {
  const known = texts.get(text);
  if (known !== undefined) return known;
  const compact = JSON.parse(JSON.stringify(text)) as string;
  if (texts.size >= MOST_TEXTS) texts.clear();
  texts.set(compact, compact);
  return compact;
}
