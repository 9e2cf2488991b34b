import type { FieldValue } from '../../collector/detection/detection.ts';
import { createGetopt } from './getopt.ts';
import type { TypedArgument, TypedTransformer } from './typed.ts';

/** Reads the value of a field or constant. */
type Reader<E> = (event: E) => FieldValue | undefined;

/**
 * Builds the function that computes a transformer.
 * @param read gives the reader of a field, or undefined if the source does not collect it: then the result is missing too
 */
export function createTransformer<E>(
  transformer: TypedTransformer,
  read: (argument: TypedArgument) => Reader<E> | undefined,
): Reader<E> | undefined {
  if (transformer.name === 'join') return createJoin(transformer, read);
  if (transformer.name === 'getopt') return createOptionReader(transformer, read);
  const readers = transformer.arguments.map(read);
  const first = readers[0];
  // Falco says that a missing list or text has the length 0.
  if (transformer.name === 'len') return first === undefined ? () => 0 : (event) => lengthOf(first(event));
  if (first === undefined || !readers.every((reader) => reader !== undefined)) return undefined;
  switch (transformer.name) {
    case 'tolower':
      return (event) => asText(first(event))?.toLowerCase();
    case 'toupper':
      return (event) => asText(first(event))?.toUpperCase();
    case 'basename':
      return (event) => baseName(asText(first(event)));
    case 'b64':
      return (event) => decodeBase64(asText(first(event)));
    case 'concat':
      return (event) => joined(readers, '', event);
    default:
      throw new Error(`transformer ${transformer.name} got past the checker`);
  }
}

function createJoin<E>(
  transformer: TypedTransformer,
  read: (argument: TypedArgument) => Reader<E> | undefined,
): Reader<E> | undefined {
  const [separator, list] = transformer.arguments;
  const readSeparator = read(separator!);
  if (list?.kind === 'list') {
    const readers = list.items.map(read);
    if (readSeparator === undefined || !readers.every((reader) => reader !== undefined)) return undefined;
    return (event) => joined(readers, String(readSeparator(event) ?? ''), event);
  }
  const readList = read(list!);
  if (readSeparator === undefined || readList === undefined) return undefined;
  return (event) => {
    const value = readList(event);
    return typeof value === 'object' ? value.join(String(readSeparator(event) ?? '')) : value;
  };
}

function createOptionReader<E>(
  { arguments: [list, options], argument: option }: TypedTransformer,
  read: (argument: TypedArgument) => Reader<E> | undefined,
): Reader<E> | undefined {
  const getopt = createGetopt(options?.kind === 'literal' ? options.text : '');
  const readArguments = list?.kind === 'list' ? createListReader(list.items, read) : read(list!);
  if (readArguments === undefined) return undefined;
  return (event) => {
    const value = readArguments(event);
    if (value === undefined) return undefined;
    const args = typeof value === 'object' ? value : String(value).split(' ').filter(Boolean);
    return option === undefined ? getopt.all(args) : getopt.last(args, option);
  };
}

function createListReader<E>(
  items: readonly TypedArgument[],
  read: (argument: TypedArgument) => Reader<E> | undefined,
): Reader<E> | undefined {
  const readers = items.map(read);
  if (!readers.every((reader) => reader !== undefined)) return undefined;
  return (event) => {
    const texts = readers.map((reader) => asText(reader(event)));
    return texts.every((text) => text !== undefined) ? texts : undefined;
  };
}

function joined<E>(readers: readonly Reader<E>[], separator: string, event: E): string | undefined {
  const texts: string[] = [];
  for (const reader of readers) {
    const text = asText(reader(event));
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return texts.join(separator);
}

function asText(value: FieldValue | undefined): string | undefined {
  return value === undefined || typeof value === 'string' ? value : String(value);
}

function lengthOf(value: FieldValue | undefined): number {
  if (value === undefined) return 0;
  return typeof value === 'object' ? value.length : Buffer.byteLength(String(value));
}

function baseName(path: string | undefined): string | undefined {
  return path?.slice(path.lastIndexOf('/') + 1);
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function decodeBase64(text: string | undefined): string | undefined {
  return text !== undefined && BASE64.test(text) ? Buffer.from(text, 'base64').toString('utf8') : undefined;
}
