/**
 * fnmatch(3) without flags: `*` and `?` match a slash too, `[...]` and `[!...]` match one character, a backslash takes the next one as it is.
 * Backtracks to the last star only, so it is at worst quadratic, and allocates nothing.
 */
export function globMatch(pattern: string, text: string, start = 0, end = text.length): boolean {
  let p = 0;
  let t = start;
  let starP = -1;
  let starT = 0;
  while (t < end) {
    const step = p < pattern.length ? matchOne(pattern, p, text.charCodeAt(t)) : 0;
    if (step === STAR) {
      starP = ++p;
      starT = t;
    } else if (step > 0) {
      p += step;
      t++;
    } else if (starP >= 0) {
      p = starP;
      t = ++starT;
    } else {
      return false;
    }
  }
  while (p < pattern.length && pattern.charCodeAt(p) === 42) p++;
  return p === pattern.length;
}

const STAR = -1;

/** @returns how many characters of the pattern matched the one character, 0 for none, or STAR */
function matchOne(pattern: string, p: number, character: number): number {
  const code = pattern.charCodeAt(p);
  if (code === 42) return STAR;
  if (code === 63) return 1;
  if (code === 92 && p + 1 < pattern.length) return pattern.charCodeAt(p + 1) === character ? 2 : 0;
  if (code === 91) {
    const close = closingBracket(pattern, p);
    if (close > 0) return matchBracket(pattern, p + 1, close, character) ? close - p + 1 : 0;
  }
  return code === character ? 1 : 0;
}

/** The first `]` that can close the bracket: one straight after `[` or `[!` is a member. */
function closingBracket(pattern: string, open: number): number {
  let from = open + 1;
  const negation = pattern.charCodeAt(from);
  if (negation === 33 || negation === 94) from++;
  return pattern.indexOf(']', from + 1);
}

function matchBracket(pattern: string, start: number, end: number, character: number): boolean {
  const first = pattern.charCodeAt(start);
  const negated = first === 33 || first === 94;
  let found = false;
  for (let at = negated ? start + 1 : start; at < end; at++) {
    if (pattern.charCodeAt(at) === 92 && at + 1 < end) at++;
    const low = pattern.charCodeAt(at);
    let high = low;
    if (at + 2 < end && pattern.charCodeAt(at + 1) === 45) {
      high = pattern.charCodeAt(at + 2);
      at += 2;
    }
    if (character >= low && character <= high) found = true;
  }
  return found !== negated;
}

/** True if the text holds a character that globs read as special. */
export function hasGlob(text: string): boolean {
  return /[*?[]/.test(text);
}
