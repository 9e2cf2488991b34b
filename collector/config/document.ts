import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  Scalar,
  visit,
} from 'yaml';
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
  readonly key: Node | null;
  readonly value: Node | null;
}

/** Reads one YAML document. Never throws: what is wrong is in `problems`. */
export function readDocument(text: string, file: string, environment: Environment): ConfigDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });

  const problemAtOffset = (offset: number, path: KeyPath, message: string): Problem => {
    // An empty file has no line 1.
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col), key: formatKey(path), message };
  };

  const problems = document.errors.map((error) => problemAtOffset(error.pos[0], [], yamlMessage(error)));
  const isReadable = document.errors.every((error) => error.code === 'DUPLICATE_KEY');
  const sources = new Map<Scalar, string>();
  for (const { node, source, mistakes } of expandScalars(document, environment)) {
    sources.set(node, source);
    const offset = node.range?.[0] ?? 0;
    problems.push(...mistakes.map((message) => problemAtOffset(offset, [], message)));
  }

  return {
    value: isReadable ? document.toJS() : undefined,
    problems,
    isReadable,
    problemAt: (path, message) => {
      const { key, value } = placeOf(document, path);
      return problemAtOffset(offsetOf(value) ?? offsetOf(key) ?? 0, path, message);
    },
    problemAtKey: (path, message) => {
      const { key, value } = placeOf(document, path);
      return problemAtOffset(offsetOf(key) ?? offsetOf(value) ?? 0, path, message);
    },
    sourceOf: (path) => {
      const { value } = placeOf(document, path);
      return isScalar(value) ? sources.get(value) : undefined;
    },
  };
}

function yamlMessage(error: { code: string; message: string }): string {
  if (error.code === 'DUPLICATE_KEY') return 'this key stands here a second time; keep one of them';
  if (error.code === 'MULTIPLE_DOCS') return 'expected one YAML document, got a second one (`---`)';
  return `not valid YAML: ${error.message}`;
}

interface ExpandedScalar {
  readonly node: Scalar;
  readonly source: string;
  readonly mistakes: readonly string[];
}

function expandScalars(document: Document, environment: Environment): ExpandedScalar[] {
  const expanded: ExpandedScalar[] = [];
  visit(document, {
    Scalar(role, node) {
      if (role === 'key' || typeof node.value !== 'string' || !node.value.includes('$')) return;
      const source = node.value;
      const { text, mistakes, isWhole } = expandEnvironment(source, environment);
      if (text === source && mistakes.length === 0) return;
      node.value = isWhole && node.type === Scalar.PLAIN ? plainScalar(text) : text;
      expanded.push({ node, source, mistakes });
    },
  });
  return expanded;
}

function offsetOf(node: Node | null): number | undefined {
  return node?.range?.[0];
}

/** Follows `path` as far as it goes. */
function placeOf(document: Document, path: KeyPath): Place {
  let place: Place = { key: null, value: document.contents as Node | null };
  for (const part of path) {
    const container = isAlias(place.value) ? (place.value.resolve(document) ?? null) : place.value;
    const next = childOf(container, part);
    if (next === undefined) return place;
    place = next;
  }
  return place;
}

function childOf(container: Node | null, part: string | number): Place | undefined {
  if (isMap(container)) {
    const pair = container.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(part));
    return pair && { key: pair.key as Node | null, value: pair.value as Node | null };
  }
  if (isSeq(container)) {
    const value = container.items[Number(part)] as Node | undefined;
    return value && { key: null, value };
  }
  return undefined;
}
