import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';

/** A pattern of the `regex` operator, ready to be asked. */
export interface Regex {
  /** True if the pattern matches the whole value, in time linear in its length. */
  test(value: string): boolean;
}

/**
 * Steps of a compiled pattern. Where the engine cannot make the pattern a table, a value costs steps times characters: a pattern of this size and a command
 * line of 4 KiB half a second at worst, once for each program.
 */
const MOST_STEPS = 1000;
/** Characters times the largest repeat count: what compiling may cost before the steps are known. */
const MOST_EXPANDED = 300_000;

let engine: typeof RE2JS | undefined;

/** Loaded when the first rule needs it: 6 MB and 20 ms that most rule sets do without. */
function loadEngine(): typeof RE2JS {
  engine ??= (createRequire(import.meta.url)('re2js') as typeof import('re2js')).RE2JS;
  return engine;
}

/**
 * Checks a pattern in RE2's syntax (POSIX classes and Perl's `\d \s \w` included; no look-around, no back references), which must match the whole value. A
 * point matches a newline too: an argument with a newline in it hides nothing. Most patterns are compiled when the first value is there.
 * @throws Error saying what is wrong with it
 */
export function regexOf(pattern: string): Regex {
  let regex = isPlain(pattern) ? undefined : compiled(pattern);
  return {
    test(value) {
      regex ??= compiled(pattern);
      return regex.testExact(value);
    },
  };
}

/** Three steps for a character, at most. */
const MOST_PLAIN = MOST_STEPS / 4;
/** Repeat counts, groups of other kinds, escaped letters, and classes that JavaScript reads another way; all that is not ASCII. */
const NOT_PLAIN = /\{\d|\(\?[^:]|\\[\w\s]|(?<!(?<!\\)\[)\[\^?\]|\[:|[^ -~]/;

/** True of a pattern that the engine is certain to take: it need not be asked. What is the same in JavaScript is asked there, in no time. */
function isPlain(pattern: string): boolean {
  if (pattern.length > MOST_PLAIN || NOT_PLAIN.test(pattern)) return false;
  try {
    new RegExp(pattern, 'u'); // without the flag it takes much that is no pattern
    return true;
  } catch {
    return false; // the engine says why, or takes it
  }
}

function compiled(pattern: string): RE2JS {
  const counts = [...pattern.matchAll(/\{(\d*)(?:,(\d*))?\}/g)].map(([, least, most]) => Number(most || least));
  if (pattern.length * Math.max(1, ...counts) > MOST_EXPANDED) throw new Error('it is too large');
  const { compile, DOTALL } = loadEngine();
  let regex: RE2JS;
  try {
    regex = compile(pattern, DOTALL);
  } catch (error) {
    throw new Error((error as Error).message.replace('error parsing regexp: ', '').replace('`(?s)', '`'));
  }
  const steps = regex.programSize();
  if (steps > MOST_STEPS) throw new Error(`it is too large: ${steps} steps, at most ${MOST_STEPS} are allowed`);
  return regex;
}

const LITERAL = /^[^\\.+*?()|[\]{}^$]+$/;

/** The operator that does the same as a pattern, and costs less; undefined if there is none. */
export function simplerThanRegex(pattern: string): string | undefined {
  const text = pattern.replace(/^\^/, '').replace(/\$$/, '');
  const [, before, literal = '', after] = /^(\.\*)?(.*?)(\.\*)?$/s.exec(text)!;
  if (LITERAL.test(literal)) {
    if (before !== undefined && after !== undefined) return `contains ${shown(literal)}`;
    if (before !== undefined) return `endswith ${shown(literal)}`;
    return after === undefined ? `= ${shown(literal)}` : `startswith ${shown(literal)}`;
  }
  const alternatives = /^\((?:\?:)?([^()]*)\)$/.exec(text)?.[1]?.split('|');
  if (alternatives === undefined || !alternatives.every((each) => LITERAL.test(each))) return undefined;
  return `in (${alternatives.map(shown).join(', ')})`;
}

function shown(text: string): string {
  return /[\s()"'=,]/.test(text) ? JSON.stringify(text) : text;
}
