import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Check, Expression, Literal, Operand, RightSide } from '../../rules/language/ast.ts';
import { MODIFIERS, NUMERIC_OPERATORS, STRING_OPERATORS } from '../../rules/language/ast.ts';
import { parseCondition } from '../../rules/language/parse.ts';
import { print } from '../../rules/language/print.ts';
import { SyntaxProblem } from '../../rules/language/scan.ts';

const ACCEPTED: [string, string][] = [
  ['evt.type=open', 'evt.type = open'],
  ['evt.type == open', 'evt.type == open'],
  ['evt.type!=open', 'evt.type != open'],
  ['evt.rawres>=0', 'evt.rawres >= 0'],
  ['evt.rawres<0x1F', 'evt.rawres < 0x1F'],
  ['evt.rawres <= -1', 'evt.rawres <= -1'],
  ['not a', 'not a'],
  ['not not a', 'not not a'],
  ['not(a)', 'not a'],
  ['a and b or c and d', 'a and b or c and d'.replace('a and b', '(a and b)').replace('c and d', '(c and d)')],
  ['a and (b or c)', 'a and (b or c)'],
  ['((a))', 'a'],
  ['not (a and b)', 'not (a and b)'],
  ['a and(b)', 'a and b'],
  ['proc.name exists', 'proc.name exists'],
  ['(proc.name exists)', 'proc.name exists'],
  ['fd.sport in (80, 443)', 'fd.sport in (80, 443)'],
  ['fd.sport in (80,443)', 'fd.sport in (80, 443)'],
  ['fd.name in ()', 'fd.name in ()'],
  ['fd.name in (/etc/passwd, "a b", \'c"d\')', 'fd.name in (/etc/passwd, "a b", "c\\"d")'],
  ['fd.name in a, b', 'fd.name in (a, b)'],
  ['proc.aname[2] = sshd', 'proc.aname[2] = sshd'],
  ['proc.env["A B"] = x', 'proc.env["A B"] = x'],
  ['evt.arg.flags contains O_CREAT', 'evt.arg.flags contains O_CREAT'],
  ['container.label.a/b-c.d = x', 'container.label.a/b-c.d = x'],
  ['fd.name pmatch (/var/run, /etc)', 'fd.name pmatch (/var/run, /etc)'],
  ['proc.cmdline contains anyof (a, b)', 'proc.cmdline contains anyof (a, b)'],
  ['proc.name = anyof', 'proc.name = "anyof"'],
  ['proc.name = val(proc.pname)', 'proc.name = val(proc.pname)'],
  ['tolower(proc.name) = tolower(proc.pname)', 'tolower(proc.name) = tolower(proc.pname)'],
  ['toupper(b64(proc.name)) = A', 'toupper(b64(proc.name)) = A'],
  ['join("-", (proc.name, "x")) = A', 'join("-", (proc.name, "x")) = A'],
  ['proc.name contains"x"', 'proc.name contains x'],
  ['proc.name = "\\x41\\n\\t\\\\"', 'proc.name = "A\\n\\t\\\\"'],
  ['proc.name = "a\\ b"', 'proc.name = "a\\\\b"'],
  ['evt.dir=<', 'evt.dir = <'],
  ['not_a_keyword and order', 'not_a_keyword and order'],
];

const REFUSED: [string, string][] = [
  ['', "1: unexpected end of the condition; expected a field, a macro name, 'not' or '('"],
  ['a and', "6: unexpected end of the condition; expected a field, a macro name, 'not' or '('"],
  ['a or or b', "6: unexpected 'or'; expected a field, a macro name, 'not' or '('"],
  ['not', "4: unexpected end of the condition; expected a field, a macro name, 'not' or '('"],
  ['(a', "3: unexpected end of the condition; expected ')', 'and' or 'or'"],
  ['a)', "2: unexpected ')'; expected 'and', 'or' or the end of the condition"],
  ['proc.name =', '12: unexpected end of the condition; expected a value'],
  ['evt.rawres > x', "14: unexpected 'x'; expected a number"],
  ['fd.name in /etc and', "20: unexpected end of the condition; expected a field, a macro name, 'not' or '('"],
  ['fd.name in (a b)', "15: unexpected 'b'; expected ',' or ')'"],
  ['fd.name = "abc', '11: unterminated string; expected a closing "'],
  ['fd.name = "\\q"', "12: invalid escape '\\q' in a string; expected one of \\b \\f \\n \\r \\t \\\\ \\/ \\\" \\xHH"],
  ['fd.name = "\\x00"', '12: a string cannot hold a NUL byte'],
  ['proc.aname[ = x', "12: unexpected ' '; expected an argument"],
  ['/etc = x', "1: unexpected '/etc'; expected a field, a macro name, 'not' or '('"],
];

function refusal(text: string): string {
  try {
    parseCondition(text);
  } catch (error) {
    assert.ok(error instanceof SyntaxProblem);
    const expected = error.expected === undefined ? '' : `; expected ${error.expected}`;
    return `${error.span.start + 1}: ${error.message}${expected}`;
  }
  return 'accepted';
}

/** The tree without places. */
function bare(expression: Expression): unknown {
  return JSON.parse(JSON.stringify(expression, (key, value) => (/[sS]pan$/.test(key) ? undefined : value)));
}

describe('the parser', () => {
  for (const [text, printed] of ACCEPTED) {
    it(`reads ${text}`, () => {
      const tree = bare(parseCondition(text));
      assert.deepEqual(bare(parseCondition(printed)), tree);
      assert.deepEqual(
        bare(
          parseCondition(
            ` \n${text.replaceAll(' ', ' \t\r\n ')}\n `
              .replace('"a \t\r\n b"', '"a b"')
              .replace('["A \t\r\n B"]', '["A B"]')
              .replace('\\ \t\r\n ', '\\ '),
          ),
        ),
        tree,
      );
    });
  }

  for (const [text, message] of REFUSED) {
    it(`refuses ${text === '' ? 'nothing' : text}`, () => assert.equal(refusal(text), message));
  }

  it('stops at a hundred thousand parentheses and negations', () => {
    for (const bomb of ['('.repeat(100_000), `${'not '.repeat(100_000)}a`, `${'(a or (b and '.repeat(100_000)}`]) {
      assert.match(refusal(bomb), /: condition is nested more than 1000 levels deep$/);
    }
  });

  it('reads a hundred thousand operands', () => {
    const tree = parseCondition(Array(100_000).fill('a').join(' or '));
    assert.equal(tree.kind === 'or' && tree.operands.length, 100_000);
  });
});

const span = { start: 0, end: 0 };
const text = fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' }).filter((value) => !value.includes('\0'));
const literal = text.map((value): Literal => ({ kind: 'literal', text: value, span }));
const word = fc
  .stringMatching(/^[a-z][a-z0-9_]{0,5}$/)
  .filter((name) => !['and', 'or', 'not', 'len', 'join', 'b64'].includes(name));
const operand: fc.Arbitrary<Operand> = fc.oneof(
  fc
    .record({
      name: fc.tuple(word, word).map((parts) => parts.join('.')),
      argument: fc.option(text, { nil: undefined }),
    })
    .map((field): Operand => ({ kind: 'field', ...field, span })),
  fc
    .tuple(fc.constantFrom('tolower' as const, 'concat' as const), fc.array(literal, { minLength: 1, maxLength: 2 }))
    .map(([name, args]): Operand => ({ kind: 'transformer', name, arguments: args, argument: undefined, span })),
);
const literals = fc.array(literal, { maxLength: 4 }).map((items): RightSide => ({ kind: 'literals', items, span }));
const otherField = operand.map((inner): RightSide => ({ kind: 'value-of', operand: inner }));
const number = fc.integer().map((value): RightSide => ({ kind: 'literal', text: String(value), span }));
const check: fc.Arbitrary<Check> = fc
  .oneof(
    fc.record({
      operator: fc.constantFrom(...NUMERIC_OPERATORS),
      modifier: fc.constant(undefined),
      right: fc.oneof(number, otherField),
    }),
    fc.record({
      operator: fc.constantFrom(...STRING_OPERATORS),
      modifier: fc.constant(undefined),
      right: fc.oneof(literal, otherField),
    }),
    fc.record({
      operator: fc.constantFrom(...STRING_OPERATORS),
      modifier: fc.constantFrom(...MODIFIERS),
      right: literals,
    }),
    fc.record({
      operator: fc.constantFrom('in' as const, 'intersects' as const, 'pmatch' as const),
      modifier: fc.constant(undefined),
      right: fc.oneof(literals, otherField),
    }),
    fc.record({
      operator: fc.constant('exists' as const),
      modifier: fc.constant(undefined),
      right: fc.constant(undefined),
    }),
  )
  .chain((rest) => operand.map((left): Check => ({ kind: 'check', left, operatorSpan: span, ...rest })));

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    check,
    word.map((name): Expression => ({ kind: 'macro', name, span })),
    tie('expression').map((inner): Expression => ({ kind: 'not', operand: inner })),
    fc
      .tuple(
        fc.constantFrom('and' as const, 'or' as const),
        fc.array(tie('expression'), { minLength: 2, maxLength: 3 }),
      )
      .map(([kind, operands]): Expression => ({ kind, operands })),
  ),
}));

describe('the printer', () => {
  it('writes what parses to the same tree', () => {
    fc.assert(
      fc.property(expression, (tree) => {
        assert.deepEqual(bare(parseCondition(print(tree))), bare(tree));
      }),
      { numRuns: 1000 },
    );
  });
});
