import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { globMatch } from '../../rules/language/glob.ts';

const TABLE: [string, string, boolean][] = [
  ['*', '', true],
  ['*', '/a/b', true],
  ['/home/*/.ssh/*', '/home/u/.ssh/id_rsa', true],
  ['/home/*/.ssh/*', '/home/u/x/.ssh/a/b', true],
  ['/home/*/.ssh/*', '/home/u/.sshx', false],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['[a-c]x', 'bx', true],
  ['[!a-c]x', 'bx', false],
  ['[^a-c]x', 'dx', true],
  ['[]]', ']', true],
  ['[a', '[a', true],
  ['\\*', '*', true],
  ['\\*', 'a', false],
  ['*a*b', 'xaxxab', true],
  ['abc', 'abcd', false],
  ['*../*../*', '/x/../../y', true],
];

describe('glob', () => {
  for (const [pattern, text, expected] of TABLE) {
    it(`${pattern} ${expected ? 'matches' : 'does not match'} '${text}'`, () => {
      assert.equal(globMatch(pattern, text), expected);
    });
  }

  it('does not blow up on many stars', () => {
    assert.equal(globMatch(`${'*a'.repeat(50)}b`, 'a'.repeat(5000)), false);
  });
});
