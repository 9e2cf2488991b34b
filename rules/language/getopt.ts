/** What an argument list says to options: their letters and values in the order they were given, or the last word on one. */
export interface Getopt {
  /** Letters of options, each followed by its value if it takes one; `?` for an unknown letter. */
  all(args: readonly string[]): readonly string[];
  /** The last value of an option, or its letter if it takes none. */
  last(args: readonly string[], option: string): string | undefined;
}

const NO_OPTIONS: readonly string[] = [];

/**
 * Short options as getopt(3) reads them: `-a -b value -bvalue -ab`. Long ones are skipped; `--` and the first word that is no option end them.
 * @param specification such as `ab:`: the letters, a colon after those that take a value
 */
export function createGetopt(specification: string): Getopt {
  const takesValue = new Map<string, boolean>();
  for (let at = 0; at < specification.length; at++) {
    const letter = specification[at]!;
    if (letter === ':') continue;
    takesValue.set(letter, specification[at + 1] === ':');
  }
  function walk(args: readonly string[], found: (letter: string, value: string | undefined) => void): void {
    for (let at = 0; at < args.length; at++) {
      const word = args[at]!;
      if (word === '--' || word === '-' || !word.startsWith('-')) return;
      if (word.startsWith('--')) continue;
      for (let i = 1; i < word.length; i++) {
        const letter = word[i]!;
        const wantsValue = takesValue.get(letter);
        if (!wantsValue) {
          found(wantsValue === undefined ? '?' : letter, undefined);
          continue;
        }
        const value = i + 1 < word.length ? word.slice(i + 1) : args[++at];
        if (value === undefined) found('?', undefined);
        else found(letter, value);
        break;
      }
    }
  }
  return {
    all(args) {
      let texts: string[] | undefined;
      walk(args, (letter, value) => {
        texts ??= [];
        texts.push(letter);
        if (value !== undefined) texts.push(value);
      });
      return texts ?? NO_OPTIONS;
    },
    last(args, option) {
      let last: string | undefined;
      walk(args, (letter, value) => {
        if (letter === option) last = value ?? letter;
      });
      return last;
    },
  };
}
