import { parseYaml } from '../yaml/parse.ts';
import type { YamlMistake, YamlScalar, YamlTree } from '../yaml/tree.ts';
import { keyText, treeValue } from '../yaml/value.ts';
import { type Environment, expandEnvironment, plainScalar } from './environment.ts';
import { formatKey, type KeyPath, type Problem } from './problem.ts';

/** A YAML file as a plain value, with the place of each of its parts. */
export interface ConfigDocument {
  readonly value: unknown;
  /** Mistakes of YAML and of `${env:...}`. */
  readonly problems: readonly Problem[];
  /** False if the text is so broken that looking at the value would only add noise. */
  readonly isReadable: boolean;
  /** A problem at the value that `path` leads to, or at the nearest part above it that is there. */
  problemAt(path: KeyPath, message: string): Problem;
  /** The same, but at the key itself: for keys that are unknown or unused. */
  problemAtKey(path: KeyPath, message: string): Problem;
  /** How the value stands in the file where that differs from the value: `${env:NAME}`. */
  sourceOf(path: KeyPath): string | undefined;
}

interface Place {
  readonly key: YamlTree | undefined;
  readonly value: YamlTree | undefined;
}

/** Reads one YAML document. Never throws: what is wrong is in `problems`. */
export function readDocument(text: string, file: string, environment: Environment): ConfigDocument {
  const problemAtOffset = (offset: number, path: KeyPath, message: string): Problem => {
    const before = text.slice(0, offset);
    const line = before.split('\n').length;
    return { file, line, column: offset - before.lastIndexOf('\n'), key: formatKey(path), message };
  };

  const { documents, mistakes } = parseYaml(text);
  const problems = mistakes.map((mistake) => problemAtOffset(mistake.start, [], yamlMessage(mistake)));
  const [document] = documents;
  const second = documents.length > 1 ? /^---/m.exec(text.slice(document!.end)) : null;
  if (second !== null) {
    const message = 'expected one YAML document, got a second one (`---`)';
    problems.push(problemAtOffset(document!.end + second.index, [], message));
  }
  const isReadable = second === null && mistakes.every(({ kind }) => kind === 'duplicate');
  const expanded = document === undefined ? [] : expandScalars(document, environment);
  for (const { node, mistakes } of expanded)
    problems.push(...mistakes.map((message) => problemAtOffset(node.start, [], message)));
  const values = new Map(expanded.map(({ node, value }) => [node, value]));
  const sources = new Map<YamlTree, string>(expanded.map(({ node }) => [node, node.text]));

  return {
    value: isReadable && document !== undefined ? treeValue(document, { instead: values }) : undefined,
    problems,
    isReadable,
    problemAt: (path, message) => {
      const { key, value } = placeOf(document, path);
      return problemAtOffset(value?.start ?? key?.start ?? 0, path, message);
    },
    problemAtKey: (path, message) => {
      const { key, value } = placeOf(document, path);
      return problemAtOffset(key?.start ?? value?.start ?? 0, path, message);
    },
    sourceOf: (path) => {
      const { value } = placeOf(document, path);
      return value && sources.get(value);
    },
  };
}

function yamlMessage({ kind, message }: YamlMistake): string {
  return kind === 'duplicate' ? 'this key stands here a second time; keep one of them' : `not valid YAML: ${message}`;
}

interface ExpandedScalar {
  readonly node: YamlScalar;
  readonly value: unknown;
  readonly mistakes: readonly string[];
}

/** Keys stay as they are. */
function expandScalars(document: YamlTree, environment: Environment): ExpandedScalar[] {
  const expanded: ExpandedScalar[] = [];
  const seen = new Set<YamlTree>();
  const visit = (node: YamlTree): void => {
    if (seen.has(node)) return;
    seen.add(node);
    if (node.kind === 'sequence') node.items.forEach(visit);
    else if (node.kind === 'mapping') for (const { value } of node.entries) visit(value);
    else if (node.text.includes('$')) {
      const { text, mistakes, isWhole } = expandEnvironment(node.text, environment);
      if (text === node.text && mistakes.length === 0) return;
      expanded.push({ node, value: isWhole && node.style === 'plain' ? plainScalar(text) : text, mistakes });
    }
  };
  visit(document);
  return expanded;
}

/** Follows `path` as far as it goes. */
function placeOf(document: YamlTree | undefined, path: KeyPath): Place {
  let place: Place = { key: undefined, value: document };
  for (const part of path) {
    const next = childOf(place.value, part);
    if (next === undefined) return place;
    place = next;
  }
  return place;
}

function childOf(container: YamlTree | undefined, part: string | number): Place | undefined {
  if (container?.kind === 'mapping') return container.entries.find(({ key }) => keyText(key) === String(part));
  if (container?.kind === 'sequence') {
    const value = container.items[Number(part)];
    return value && { key: undefined, value };
  }
  return undefined;
}
