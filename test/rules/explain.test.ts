import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Explanation, layOut, RuleExplainer } from '../../rules/explain.ts';
import { loadRules } from '../../rules/index.ts';
import { parseCondition } from '../../rules/language/parse.ts';
import { print } from '../../rules/language/print.ts';

const TEXT = `
- list: shells
  items: [sh, more_shells]
- list: more_shells
  items: [zsh]
- list: unrelated
  items: [x]
- macro: opened
  condition: (evt.type = openat and evt.res = SUCCESS)
- macro: by_shell
  condition: opened and proc.name in (shells)
- rule: R
  desc: d
  condition: by_shell and not fd.name startswith anyof (/tmp, /var)
  output: "%proc.name %fd.name"
  priority: INFO
  exceptions:
    - name: known
      fields: [proc.name, fd.directory]
      values: [[sh, /opt]]
`;

function explain(text: string): Explanation {
  const files = [{ path: 'rules.yaml', text }];
  return new RuleExplainer(files).explain(loadRules(files).rules[0]!);
}

describe('an explanation', () => {
  const explained = explain(TEXT);

  it('puts macros in, exceptions too, and leaves lists by name', () => {
    assert.equal(
      print(explained.expanded),
      'evt.type = openat and evt.res = SUCCESS and proc.name in (shells) and not fd.name startswith anyof (/tmp, /var) and not (proc.name = sh and fd.directory = /opt)',
    );
    assert.equal(explained.cut, false);
  });

  it('names what the rule uses, through other macros and lists too', () => {
    assert.deepEqual(
      explained.macros.map(({ name }) => name),
      ['by_shell', 'opened'],
    );
    assert.deepEqual(explained.lists, [
      { name: 'shells', items: ['sh', 'more_shells'] },
      { name: 'more_shells', items: ['zsh'] },
    ]);
    assert.deepEqual(explained.operators, ['=', 'in', 'startswith anyof']);
    assert.deepEqual(
      explained.fields.map(({ text }) => text),
      ['evt.type', 'evt.res', 'proc.name', 'fd.name', 'fd.directory'],
    );
    assert.deepEqual(
      explained.outputFields.map(({ text }) => text),
      ['proc.name', 'fd.name'],
    );
    assert.deepEqual(
      explained.exceptions.map(({ name }) => name),
      ['known'],
    );
  });

  it('says where the rule stands', () => {
    assert.deepEqual([explained.file, explained.line], ['rules.yaml', 12]);
  });

  it('shows what is in force after an override', () => {
    const override = '- macro: opened\n  condition: (evt.type = creat)\n  override: {condition: replace}\n';
    assert.ok(print(explain(TEXT + override).expanded).startsWith('evt.type = creat and '));
  });

  it('has the steps of a sequence, and all that they use', () => {
    const several = explain(
      `${TEXT.slice(0, TEXT.indexOf('- rule:'))}
- rule: S
  desc: d
  condition: evt.type = execve
  output: o
  priority: INFO
  sequence: {within: 30s, steps: [{condition: by_shell}]}
`,
    );
    assert.deepEqual(several.steps.map(print), ['evt.type = openat and evt.res = SUCCESS and proc.name in (shells)']);
    assert.equal(print(several.expanded), 'evt.type = execve');
    assert.deepEqual(
      several.fields.map(({ text }) => text),
      ['evt.type', 'evt.res', 'proc.name'],
    );
    assert.deepEqual(several.lists[0]!.name, 'shells');
  });

  it('puts a list in where its name alone is no condition', () => {
    const text =
      '- {list: port, items: [22]}\n- {rule: R, desc: d, condition: evt.type = connect and fd.sport >= port, output: o, priority: INFO}';
    assert.equal(print(explain(text).expanded), 'evt.type = connect and fd.sport >= 22');
  });

  it('leaves macros by name once it would be pages', () => {
    const doubling = Array.from(
      { length: 20 },
      (_, n) => `- {macro: m${n + 1}, condition: m${n} or m${n} or fd.num = 1}`,
    );
    const text = ['- {macro: m0, condition: evt.type = openat}', ...doubling].join('\n');
    const { cut } = explain(`${text}\n- {rule: R, desc: d, condition: m20, output: o, priority: INFO}`);
    assert.equal(cut, true);
  });
});

describe('a condition over several lines', () => {
  for (const condition of [
    'evt.type = openat',
    `(${Array.from({ length: 12 }, (_, n) => `fd.name = /long/path/number/${n}`).join(' or ')}) and not proc.name in (a, b)`,
    `not (${Array.from({ length: 12 }, (_, n) => `(fd.name = /long/path/number/${n} and not fd.num = ${n})`).join(' or ')})`,
  ]) {
    it(`parses to the same tree: ${condition.slice(0, 60)}`, () => {
      const tree = parseCondition(condition);
      const text = layOut(tree, '  ');
      assert.equal(print(parseCondition(text)), print(tree));
      assert.ok(text.split('\n').every((line) => line.length <= 100));
    });
  }
});
