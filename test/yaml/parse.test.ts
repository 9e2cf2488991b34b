import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { dump } from 'js-yaml';
import { parseYaml } from '../../collector/yaml/parse.ts';
import type { YamlTree } from '../../collector/yaml/tree.ts';
import { treeValue } from '../../collector/yaml/value.ts';

function treeOf(text: string): YamlTree {
  const { documents, mistakes } = parseYaml(text);
  assert.deepEqual(mistakes, []);
  assert.equal(documents.length, 1);
  return documents[0]!;
}

const read = (text: string) => treeValue(treeOf(text));
/** Each mistake with the text from there to the end of the line. */
const mistakesOf = (text: string) =>
  parseYaml(text).mistakes.map(({ message, start }) => `${message} | ${text.slice(start).split('\n')[0]}`);

/** Every node as it stands in the text, outer ones first. */
function placesOf(text: string): string[] {
  const visit = (node: YamlTree): string[] => {
    const inner =
      node.kind === 'scalar'
        ? []
        : node.kind === 'sequence'
          ? node.items
          : node.entries.flatMap(({ key, value }) => [key, value]);
    return [text.slice(node.start, node.end), ...inner.flatMap(visit)];
  };
  return visit(treeOf(text));
}

describe('a value', () => {
  it('is what was written, by the core schema', () => {
    const text =
      'a: 12\nb: 0x1f\nc: "12"\nd: yes\ne: true\nf: ~\ng:\nh: 1.5\ni: !!str 12\nj: !!int "12"\nk: !own 12\n__proto__: x\n';
    const value = read(text) as Record<string, unknown>;
    const { a, b, c, d, e, f, g, h, i, j, k } = value;
    assert.deepEqual([a, b, c, d, e, f, g, h, i, j, k], [12, 31, '12', 'yes', true, null, null, 1.5, '12', 12, '12']);
    assert.deepEqual(Object.getOwnPropertyDescriptor(value, '__proto__')?.value, 'x');
  });

  it('comes back from whatever is written as YAML', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('', '~', '#', ' # x', "it's", '"', ']', '- a', 'a: b', '0x1', 'x\ny\n', ' \n x'),
    );
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        text,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(fc.constantFrom('a', 'b c', '1', 'true', ':', '#', '<<x'), tie('value'), {
          maxKeys: 4,
          noNullPrototype: true,
        }),
      ),
    }));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), fc.nat(2), (written, flowLevel) => {
        assert.deepEqual(read(dump(written, { flowLevel: flowLevel - 1, noRefs: true })), written);
      }),
    );
  });

  it('is found by an alias, also in what holds itself', () => {
    assert.deepEqual(read('a: &x {b: [1, 2]}\nc: *x\n'), { a: { b: [1, 2] }, c: { b: [1, 2] } });
    const endless = read('&all\na: *all\n') as { a: unknown };
    assert.equal(endless.a, endless);
  });

  it('takes the keys of another mapping if merging is asked for, its own first', () => {
    const tree = treeOf('x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], c: 3}\n');
    assert.deepEqual((treeValue(tree, { merge: true }) as { z: unknown }).z, { a: 1, b: 1, c: 3 });
    assert.deepEqual(treeValue(treeOf('&all\n<<: *all\na: 1\n'), { merge: true }), { a: 1 });
  });

  it('is merged once wherever it is asked for: it was put together anew for each way to it, and forty levels of two had a thousand billion', () => {
    const levels = Array.from({ length: 40 }, (_, level) =>
      ['a', 'b'].map((name) => `${name}${level + 1}: &${name}${level + 1}\n  <<: [*a${level}, *b${level}]\n`).join(''),
    );
    const value = treeValue(treeOf(`a0: &a0 {x: 1}\nb0: &b0 {y: 2}\n${levels.join('')}`), { merge: true });
    assert.deepEqual((value as { a40: unknown }).a40, { x: 1, y: 2 });
  });
});

describe('a place', () => {
  it('reaches over quotes and brackets, and not over blanks and comments after it', () => {
    assert.deepEqual(placesOf('# above\n- a: "x" # b\n- [c, {d: e}, # f\n  ] # g\n'), [
      '- a: "x" # b\n- [c, {d: e}, # f\n  ]',
      'a: "x"',
      'a',
      '"x"',
      '[c, {d: e}, # f\n  ]',
      'c',
      '{d: e}',
      'd',
      'e',
    ]);
  });

  it('of a block begins at its mark', () => {
    assert.deepEqual(placesOf('a: >- # text\n  b\n\n  c\n\n# d\ne: |\n'), [
      'a: >- # text\n  b\n\n  c\n\n# d\ne: |',
      'a',
      '>- # text\n  b\n\n  c',
      'e',
      '|',
    ]);
  });
});

describe('a closing bracket', () => {
  const lenient: [what: string, text: string, value: unknown][] = [
    ['a list', '- items: [\n    a,\n    b\n  ]\n  x: 1\n', [{ items: ['a', 'b'], x: 1 }]],
    ['a mapping', 'a: {\n  b: 1\n}\nc: 2\n', { a: { b: 1 }, c: 2 }],
    [
      'one in the other',
      'a: [\n  {\n    b: 1\n  },\n  [ # c\n    d # e\n    # f\n\n  ]\n]\ng: h\n',
      { a: [{ b: 1 }, ['d']], g: 'h' },
    ],
    [
      'quotes',
      '- a: [\n    "b # c", \'it\'\'s\' # d\n  ]\n  e: {\n    f: " # g"\n  }\n',
      [{ a: ['b # c', "it's"], e: { f: ' # g' } }],
    ],
    ['nothing', '- a: [\n  ]\n', [{ a: [] }]],
    [
      'lines of Windows',
      '- a: [\r\n    b # c\r\n\r\n  ]\r\n  d: {\r\n    e: f\r\n  }\r\n',
      [{ a: ['b'], d: { e: 'f' } }],
    ],
  ];
  for (const [what, text, value] of lenient) {
    it(`may stand at the indentation of its key: ${what}`, () => assert.deepEqual(read(text), value));
  }

  it('leaves every place where it is', () => {
    assert.deepEqual(placesOf('- a: [\n    b # c\n  ]\n- "d"\n').slice(-4), ['a', '[\n    b # c\n  ]', 'b', '"d"']);
  });

  it('may not, where a comment could be a part of a text', () => {
    const [mistake] = mistakesOf('- a: ["b\n     # c", d # "e\n  ]\n');
    assert.match(mistake ?? '', /^a quote or a bracket is not closed before this, .* \| \]$/);
  });

  it('is refused behind very many others: each had the whole part read again, and a megabyte of them took hours', () => {
    const lists = (count: number) =>
      `- rule: R\n${Array.from({ length: count }, (_, n) => `  k${n}: [\n    a\n  ]\n`).join('')}`;
    assert.deepEqual(mistakesOf(lists(100)), []);
    assert.match(mistakesOf(lists(50_000))[0]!, /^a quote or a bracket is not closed before this, /);
  });

  it('in a text is none', () => {
    assert.deepEqual(read('- a: >\n    b [\n    ]\n- c\n'), [{ a: 'b [ ]\n' }, 'c']);
    assert.equal(mistakesOf('- a: "b\n  ] c"\n').length, 1);
  });
});

describe('mistakes', () => {
  it('are told of each item of a sequence, one of each', () => {
    const text = '- a: "b\n- c: d\n   e\n- f: [g, , h]\n- i: j: k\n- l: m\n';
    assert.deepEqual(mistakesOf(text), [
      'a quote or a bracket is not closed before this, or this does not stand deeper than its key | ',
      "expected the node content, but found ',' | , h]",
      'bad indentation of a mapping entry | : k',
    ]);
  });

  it('are told of each entry of a mapping', () => {
    assert.deepEqual(mistakesOf('a:\n- b: c: d\ne: f\ng: @h\n'), [
      'bad indentation of a mapping entry | : d',
      'bad indentation of a mapping entry | @h',
    ]);
  });

  it('are keys that stand twice, and aliases of nothing', () => {
    assert.deepEqual(mistakesOf('a: {b: 1, "b": 2}\na: *c\n<<: {}\n<<: {}\n'), [
      'the key \'b\' stands here a second time | "b": 2}',
      "the key 'a' stands here a second time | a: *c",
      "nothing before has the anchor '&c' | *c",
    ]);
  });

  it('are thousands of levels', () => {
    assert.match(mistakesOf('['.repeat(20_000))[0]!, /^nesting exceeded maxDepth/);
  });
});

it('an empty text has no document, and several are told apart', () => {
  assert.deepEqual(parseYaml('# nothing\n'), { documents: [], mistakes: [] });
  assert.deepEqual(
    parseYaml('a\n---\nb\n').documents.map((tree) => treeValue(tree)),
    ['a', 'b'],
  );
});
