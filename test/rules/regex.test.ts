import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Regex, regexOf, simplerThanRegex } from '../../rules/language/regex.ts';
import { matches, problemsOf, ruleText } from './helper.ts';

function taken(pattern: string): Regex | undefined {
  try {
    return regexOf(pattern);
  } catch {
    return undefined;
  }
}

describe('regex', () => {
  const TABLE: [pattern: string, value: string, holds: boolean][] = [
    ['b[[:alpha:]]+', 'bash', true],
    ['as', 'bash', false],
    ['ba|sh', 'bash', false],
    ['.*as.*', 'bash', true],
    ['/etc/(passwd|shadow)', '/etc/shadow', true],
    ['/etc/(passwd|shadow)', '/etc/shadow-', false],
    ['\\d{3}', '123', true],
    ['(?i)BASH', 'bash', true],
    ['.*nc -e.*', 'sh -c \nnc -e x', true],
    ['[α-ω]+', 'λογος', true],
    ['.', '😀', true],
    ['', '', true],
    ['^a$', 'a', true],
  ];
  for (const [pattern, value, holds] of TABLE) {
    it(`'${pattern}' ${holds ? 'matches' : 'does not match'} ${JSON.stringify(value)}`, () => {
      assert.equal(regexOf(pattern).test(value), holds);
      const condition = `proc.name regex "${pattern.replaceAll('\\', '\\\\')}"`;
      assert.equal(matches(condition, { 'proc.name': value }), holds);
    });
  }

  it('is false for a missing value', () => assert.equal(matches('proc.name regex ".*"', {}), false));

  it('comes to an end, whatever pattern and input were made for', () => {
    const inputs = ['a'.repeat(4096), 'ab'.repeat(2048), `${'x'.repeat(4095)}!`];
    const patterns = [
      '(a+)+b',
      '(a|a)*b',
      '(x+x+)+y',
      '(.*)*(.*)*b!',
      '(a?){100}a{100}',
      '(.*a.{200}|.*b.{200})c',
      '([ab]*a[ab]{40}){20}c',
    ];
    for (const pattern of patterns) {
      const regex = regexOf(pattern);
      for (const input of inputs) {
        regex.test(input);
      }
    }
  });

  it('takes no pattern that fails when the first value is there', () => {
    const parts = [...'az0-.*+?()[]|^{$}/="\'', '(?:', '[^', '[{]', '\\.', '\\]', '\\-', '[a-z]', '[:', '(?i)', '{2}'];
    const pattern = fc.array(fc.constantFrom(...parts), { maxLength: 12 }).map((chosen) => chosen.join(''));
    const check = (text: string) => {
      const regex = taken(text);
      assert.doesNotThrow(() => regex?.test('a'), text);
    };
    fc.assert(fc.property(pattern, check), { numRuns: 5000 });
  });

  it('refuses what is not a pattern or too large a one', () => {
    for (const [pattern, why] of [
      ['(a', /missing closing/],
      ['(?=a)b', /invalid or unsupported/],
      ['(a)\\1', /invalid escape/],
      ['a{1001}', /too large|invalid repeat/],
      ['((a{100}){100}){100}', /invalid repeat/],
      ['(a|b|c){1000}', /too large: \d+ steps, at most 1000/],
      ['a{1000}'.repeat(1400), /too large/],
      ['x'.repeat(10_000), /too large/],
      [`${'('.repeat(5000)}a${')'.repeat(5000)}`, /./],
    ] as const)
      assert.throws(() => regexOf(pattern), why, pattern.slice(0, 20));
  });

  it('is refused at its place', () => {
    assert.deepEqual(problemsOf(ruleText("proc.name regex '(a' and proc.name = b")), [
      `rules.yaml:3:31: error LOAD_ERR_COMPILE_CONDITION: rule 'R': invalid regular expression: missing closing ): \`(a\`\n      condition: "proc.name regex '(a' and proc.name = b"\n                                  ^^^^`,
    ]);
  });
});

describe('a regex that a simpler operator would do for', () => {
  const TABLE: Record<string, string | undefined> = {
    bash: '= bash',
    '/etc/.*': 'startswith /etc/',
    '.*/passwd': 'endswith /passwd',
    '.*a b.*': 'contains "a b"',
    '(a|b c)': 'in (a, "b c")',
    'a+': undefined,
    'a\\.b': undefined,
    '(a|b+)': undefined,
    '.*': undefined,
  };
  for (const [pattern, expected] of Object.entries(TABLE))
    it(`${pattern}: ${expected ?? 'none'}`, () => assert.equal(simplerThanRegex(pattern), expected));

  it('is warned of', () => {
    assert.deepEqual(problemsOf(ruleText('proc.name regex ba.*')), [
      `rules.yaml:3:31: warning LOAD_COMPILE_CONDITION: rule 'R': a simpler operator does the same and costs less; expected 'startswith ba'\n      condition: "proc.name regex ba.*"\n                                  ^^^^`,
    ]);
  });
});
