import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { loadRules } from '../../rules/index.ts';
import { foldLists } from '../../rules/language/bulk.ts';
import { SourceFile } from '../../rules/language/source.ts';
import { readYaml } from '../../rules/language/yaml.ts';
import { load, matches, problemsOf, rulesetOf, ruleText } from './helper.ts';

const names = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => `host-${from + index}.example.com`);
const RULE = ruleText('fd.name in (big) and evt.type = open');
const WAYS: Record<string, (items: readonly string[]) => string> = {
  'a block': (items) => `- list: big\n  items:\n${items.map((item) => `    - ${item}\n`).join('')}`,
  'a block at the indentation of its key': (items) =>
    `- list: big\n  items: # ours\n${items.map((item) => `  - ${item} # why\n`).join('')}`,
  'one line': (items) => `- list: big\n  items: [${items.join(', ')}]\n`,
  'lines between brackets': (items) => `- list: big\n  items: [\n    ${items.join(',\n    ')}\n  ]\n`,
  quotes: (items) => `- list: big\n  items: [${items.map((item) => `"${item}"`).join(',')}]\n`,
};

describe('a list of a hundred thousand items', () => {
  for (const [way, write] of Object.entries(WAYS)) {
    it(`is whole when it was loaded from ${way}`, () => {
      const evaluate = rulesetOf(write(names(100_000)) + RULE).evaluator('open')!;
      assert.equal(evaluate({ 'fd.name': 'host-99999.example.com' }, 0), 0);
      assert.equal(evaluate({ 'fd.name': 'host-0.example.com' }, 0), 0);
      assert.equal(evaluate({ 'fd.name': 'host-x.example.com' }, 0), -1);
    });
  }
});

describe('what is too large', () => {
  it('is refused: a file that is not mostly lists', () => {
    const text = `${ruleText('evt.type = open')}`.repeat(60_000);
    assert.match(
      problemsOf(text)[0]!,
      /LOAD_ERR_YAML_PARSE: the file is too large: \d+ characters beside long lists, at most 4000000/,
    );
  });

  it('is refused: a condition with a million items in it', () => {
    const { rules, problems } = load(WAYS['a block']!(names(1_000_000)) + RULE);
    assert.deepEqual([rules.length, problems.length], [0, 1]);
    assert.match(problems[0]!.message, /the condition has \d+ characters, its lists put in; at most 8000000 are read/);
  });
});

describe('a folded list', () => {
  it('leaves the places of mistakes right', () => {
    const text = `${WAYS['a block']!(names(5000))}${ruleText('proc.nam = x')}`;
    const [problem] = problemsOf(text);
    assert.match(
      problem!,
      /^rules\.yaml:5005:15: error .*nonexistent field 'proc\.nam'.*\n.*condition: "proc\.nam = x"\n {18}\^{8}$/s,
    );
  });

  it('may go on in another way', () => {
    const items = [
      ...names(5000).map((name) => `  - ${name}`),
      "  - 'it''s'",
      '  - a b',
      '  - >-\n    folded',
      ...names(5000, 5000).map((name) => `  - ${name}`),
    ];
    const { rules, problems } = load(`- list: big\n  items:\n${items.join('\n')}\n${RULE}`);
    assert.deepEqual(problems, []);
    const condition = rules[0]!.conditionText;
    assert.equal(condition, 'fd.name in (big) and evt.type = open');
    for (const name of ['host-0.example.com', 'host-9999.example.com', "it's", 'a b', 'folded'])
      assert.ok(matchesBig(items, name), name);
  });

  const matchesBig = (items: readonly string[], name: string) =>
    rulesetOf(`- list: big\n  items:\n${items.join('\n')}\n${RULE}`).evaluator('open')!({ 'fd.name': name }, 0) === 0;

  it('is not what only looks like one inside a text', () => {
    const lines = names(6000)
      .map((name) => `      - ${name}`)
      .join('\n');
    const text = `- rule: R\n  desc: |\n    items:\n${lines}\n  condition: evt.type = open\n  output: o\n  priority: INFO\n`;
    const { rules, problems } = load(text);
    assert.deepEqual(problems, []);
    assert.equal(rules[0]!.description.split('\n').length, 6001);
  });

  it('is read as the YAML parser alone reads it', () => {
    const item = fc.constantFrom(
      'a',
      'a.b',
      '/x/y',
      '10.0.0.1',
      '0x1f',
      'a:b',
      'a: b',
      '"q r"',
      "'s'",
      '"\\n"',
      'x # c',
      'x#c',
      '- y',
      '*a',
      '&a z',
      '~',
      'null',
      '1e3',
      '',
      '[b]',
      '{c: d}',
      'a,b',
      '%d',
      '@e',
      '|',
      'é',
      'a\tb',
      'a  ',
    );
    const write = fc.constantFrom(
      (items: string[]) =>
        `- list: l\n  items:\n${items.map((each) => `    - ${each}\n`).join('')}- list: m\n  items: [x]\n`,
      (items: string[]) => `- list: l\n  items: [${items.join(', ')}]\n- list: m\n  items: [x]\n`,
    );
    const texts = (text: string) => {
      const { documents, problems } = readYaml(new SourceFile('f', text));
      const dump = documents.map((document) =>
        document.items?.map((each) =>
          each.entries?.map(({ key, value }) => [
            key,
            value.scalar ?? value.items?.map((inner) => [inner.scalar, inner.place.start, inner.place.end]),
          ]),
        ),
      );
      return JSON.stringify([dump, problems.map(({ line, column }) => [line, column])]);
    };
    const padding = names(600);
    fc.assert(
      fc.property(fc.array(item, { maxLength: 3 }), write, (extra, way) => {
        const text = way([...padding, ...extra, ...padding]);
        // the same text, made long enough for folding by a comment
        const [folded, plain] = [`${text}#${'x'.repeat(65_536)}\n`, text].map(texts);
        assert.ok(folded === plain, JSON.stringify(extra));
      }),
      { numRuns: 200 },
    );
  });
});

describe('folders by the hundred', () => {
  it('match as by the dozen', () => {
    const part = fc.constantFrom('a', 'b', 'ab', 'c*', '', 'etc');
    const path = fc.array(part, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
    const filler = Array.from({ length: 20 }, (_, index) => `/filler/${index}`);
    fc.assert(
      fc.property(fc.array(path, { minLength: 1, maxLength: 4 }), path, (folders, value) => {
        const event = { 'fd.name': value.replaceAll('*', 'x') };
        const condition = (list: readonly string[]) => `fd.name pmatch (${list.map((each) => `"${each}"`).join(', ')})`;
        assert.equal(matches(condition([...folders, ...filler]), event), matches(condition(folders), event));
      }),
    );
  });
});

it('folds nothing where there is nothing', () => {
  assert.equal(foldLists('- list: a\n  items: [b]\n'), undefined);
  assert.deepEqual(loadRules([{ path: 'x', text: '' }]).problems, []);
});
