/** What lists, macros, rules and exceptions become when several files define and change them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatProblem, loadRules } from '../../rules/index.ts';
import { load, rulesetOf, ruleText } from './helper.ts';

describe('lists', () => {
  const lists =
    '- list: inner\n  items: [b, "c d"]\n- list: outer\n  items: [a, inner, 5]\n- list: empty\n  items: []\n';
  const holds = (condition: string, name: string) =>
    rulesetOf(lists + ruleText(condition)).evaluator('open')?.({ 'proc.name': name }, 0) === 0;

  it('are put in place of their names', () => {
    for (const name of ['a', 'b', 'c d', '5']) assert.equal(holds('proc.name in (outer)', name), true, name);
    assert.equal(holds('proc.name in (outer)', 'inner'), false);
    assert.equal(holds('proc.name in (x, inner, y)', 'y'), true);
    assert.equal(holds('proc.name in inner', 'b'), true);
  });

  it('leave quoted names alone', () => {
    assert.equal(holds('proc.name in ("inner")', 'inner'), true);
    assert.equal(holds('proc.name = "inner"', 'inner'), true);
  });

  it('take a comma along when they are empty', () => {
    assert.equal(holds('proc.name in (empty, x)', 'x'), true);
    assert.equal(holds('proc.name in (x, empty)', 'x'), true);
    assert.equal(holds('proc.name in (x, empty, y)', 'y'), true);
    assert.equal(holds('proc.name in (empty)', 'x'), false);
  });

  it('that name each other in a circle are refused', () => {
    const { problems } = load('- list: a\n  items: [b]\n- list: b\n  items: [a]\n');
    const errors = problems.filter(({ severity }) => severity === 'error');
    assert.deepEqual(
      errors.map(({ message }) => message),
      ["reference loop in list 'a'"],
    );
  });

  it('may hold a hundred thousand items', () => {
    const items = Array.from({ length: 100_000 }, (_, index) => `item-${index}`);
    const ruleset = rulesetOf(`- list: huge\n  items: [${items.join(', ')}]\n${ruleText('proc.name in (huge)')}`);
    assert.equal(ruleset.evaluator('open')?.({ 'proc.name': 'item-99999' }, 0), 0);
    assert.equal(ruleset.evaluator('open')?.({ 'proc.name': 'item-100000' }, 0), -1);
  });
});

describe('macros', () => {
  it('see only what is defined before them', () => {
    const { problems } = load(`- macro: a\n  condition: b\n- macro: b\n  condition: proc.name = x\n${ruleText('a')}`);
    assert.equal(problems[0]?.message, "undefined macro 'b' used in filter");
  });

  it('that are redefined later change earlier rules', () => {
    const text = `- macro: m\n  condition: proc.name = a\n${ruleText('m')}- macro: m\n  condition: proc.name = b\n`;
    assert.equal(rulesetOf(text).evaluator('open')!({ 'proc.name': 'b' }, 0), 0);
  });

  it('that name themselves are refused', () => {
    const text = `- macro: m\n  condition: proc.name = a\n- macro: m\n  condition: not m\n${ruleText('m')}`;
    assert.equal(load(text).problems[0]?.message, "reference loop in macro 'm'");
  });

  it('and lists that nothing uses are reported', () => {
    const { problems } = load('- macro: m\n  condition: evt.num = 0\n- list: l\n  items: [a]\n');
    assert.deepEqual(problems.map(formatProblem), [
      "rules.yaml:1:10: warning LOAD_UNUSED_MACRO: macro 'm' is not referred to by any rule or macro\n    - macro: m\n             ^",
      "rules.yaml:3:9: warning LOAD_UNUSED_LIST: list 'l' is not referred to by any rule, macro or list\n    - list: l\n            ^",
    ]);
  });
});

describe('later definitions', () => {
  const base = `- list: l\n  items: [a]\n- macro: m\n  condition: proc.name in (l)\n${ruleText('m', '  tags: [t]\n')}`;
  const changed = (text: string) =>
    loadRules([
      { path: 'a.yaml', text: base },
      { path: 'b.yaml', text },
    ]);

  it('replace a rule and keep its turn', () => {
    const two = base + ruleText('evt.type = open').replace('rule: R', 'rule: S');
    const { rules } = loadRules([
      { path: 'a.yaml', text: two },
      { path: 'b.yaml', text: ruleText('evt.type = close') },
    ]);
    assert.deepEqual(
      rules.map(({ name, conditionText, ruleset }) => [name, conditionText, ruleset]),
      [
        ['R', 'evt.type = close', 'b'],
        ['S', 'evt.type = open', 'a'],
      ],
    );
  });

  it('append to lists, macros and rules', () => {
    const { rules, problems } = changed(
      '- list: l\n  items: [b]\n  override: {items: append}\n- macro: m\n  condition: and proc.cwd = /\n  override: {condition: append}\n- rule: R\n  condition: and proc.tty = 0\n  output: more\n  desc: more\n  tags: [u]\n  override: {condition: append, output: append, desc: append, tags: append}\n',
    );
    assert.deepEqual(problems, []);
    const [rule] = rules;
    assert.equal(rule?.conditionText, 'm and proc.tty = 0');
    assert.equal(rule?.output.text, 'o more');
    assert.equal(rule?.description, 'd more');
    assert.deepEqual(rule?.tags, ['t', 'u']);
  });

  it('append the old way, with a warning', () => {
    const { rules, problems } = changed('- rule: R\n  condition: and proc.tty = 0\n  append: true\n');
    assert.equal(rules[0]?.conditionText, 'm and proc.tty = 0');
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['LOAD_DEPRECATED_ITEM'],
    );
  });

  it('replace single keys', () => {
    const { rules, problems } = changed('- rule: R\n  priority: crit\n  override: {priority: replace}\n');
    assert.equal(problems[0]?.code, 'LOAD_ERR_YAML_VALIDATE');
    const good = changed(
      '- rule: R\n  priority: critical\n  enabled: false\n  override: {priority: replace, enabled: replace}\n',
    );
    assert.deepEqual(good.problems, []);
    assert.deepEqual([good.rules[0]?.priority, good.rules[0]?.enabled], ['Critical', false]);
    assert.equal(rules.length, 1);
  });

  const REFUSED: [string, string][] = [
    [
      '- rule: X\n  condition: a\n  override: {condition: append}\n',
      "rule 'X' is changed but no rule by that name already exists",
    ],
    ['- rule: X\n  enabled: false\n', "rule 'X' is given an 'enabled' key but no rule by that name already exists"],
    [
      '- rule: R\n  desc: d\n  condition: m\n  override: {condition: append}\n',
      "unexpected key 'desc': no corresponding entry under 'override' is defined",
    ],
    [
      '- rule: R\n  override: {condition: append}\n',
      "an append override for 'condition' was specified but 'condition' is not defined",
    ],
    ['- rule: R\n  priority: INFO\n  override: {priority: append}\n', "key 'priority' cannot be overridden: append"],
    [
      '- rule: R\n  condition: m\n  override: {condition: prepend}\n',
      "invalid override operation 'prepend' for key 'condition'",
    ],
    [
      '- rule: R\n  condition: m\n  append: true\n  override: {condition: append}\n',
      "keys 'override' and 'append: true' cannot be used together",
    ],
    [ruleText('evt.type = open', '  source: k8s_audit\n'), "rule 'R' has been re-defined with a different source"],
    ['- list: x\n  items: [a]\n  append: true\n', "list 'x' is appended to but no list by that name already exists"],
    [
      '- macro: x\n  condition: a\n  append: true\n',
      "macro 'x' is appended to but no macro by that name already exists",
    ],
  ];
  for (const [text, message] of REFUSED) {
    it(`are refused: ${message}`, () => {
      const errors = changed(text).problems.filter(({ severity }) => severity === 'error');
      assert.equal(errors[0]?.message, message);
      assert.equal(errors[0]?.file, 'b.yaml');
    });
  }
});

describe('exceptions', () => {
  const rule = (exceptions: string) => ruleText('proc.name = a or proc.name = b', `  exceptions:\n${exceptions}`);
  const matchesWith = (exceptions: string, event: Record<string, string>) =>
    rulesetOf(rule(exceptions)).evaluator('open')!(event, 0) === 0;

  it('excuse tuples of several fields', () => {
    const text =
      '  - name: e\n    fields: [proc.name, proc.cwd]\n    comps: [=, startswith]\n    values:\n    - [a, /tmp]\n    - [b, "/x y"]\n';
    assert.equal(matchesWith(text, { 'proc.name': 'a', 'proc.cwd': '/tmp/x' }), false);
    assert.equal(matchesWith(text, { 'proc.name': 'b', 'proc.cwd': '/tmp/x' }), true);
    assert.equal(matchesWith(text, { 'proc.name': 'b', 'proc.cwd': '/x y/z' }), false);
  });

  it('excuse values of one field', () => {
    const text = '  - name: e\n    fields: proc.cwd\n    values: [/a, "b=c (d)"]\n  - name: f\n    fields: proc.exe\n';
    assert.equal(matchesWith(text, { 'proc.name': 'a', 'proc.cwd': '/a' }), false);
    assert.equal(matchesWith(text, { 'proc.name': 'a', 'proc.cwd': 'b=c (d)' }), false);
    assert.equal(matchesWith(text, { 'proc.name': 'a', 'proc.cwd': '/b' }), true);
    assert.equal(matchesWith(text, { 'proc.name': 'a' }), true);
  });

  it('take lists as values', () => {
    const text =
      '  - name: e\n    fields: [proc.name, proc.cwd]\n    comps: [in, pmatch]\n    values:\n    - [[a, x], /tmp]\n    - [b, "(/u, /v)"]\n';
    assert.equal(matchesWith(text, { 'proc.name': 'a', 'proc.cwd': '/tmp/x' }), false);
    assert.equal(matchesWith(text, { 'proc.name': 'b', 'proc.cwd': '/v/x' }), false);
    assert.equal(matchesWith(text, { 'proc.name': 'b', 'proc.cwd': '/tmp' }), true);
  });

  it('get more values by override', () => {
    const text = `${rule('  - name: e\n    fields: proc.cwd\n    values: [/a]\n')}- rule: R\n  exceptions:\n  - name: e\n    values: [/b]\n  override: {exceptions: append}\n`;
    const evaluate = rulesetOf(text).evaluator('open')!;
    assert.deepEqual(
      ['/a', '/b', '/c'].map((cwd) => evaluate({ 'proc.name': 'a', 'proc.cwd': cwd }, 0)),
      [-1, -1, 0],
    );
  });

  const REFUSED: [string, string][] = [
    ['  - fields: proc.cwd\n', 'an exception needs a name'],
    ['  - name: e\n', "exception 'e' has no fields"],
    [
      '  - name: e\n    fields: [proc.cwd]\n    comps: [=, =]\n',
      "exception 'e': fields and comps lists must have equal length",
    ],
    [
      '  - name: e\n    fields: [proc.cwd]\n    values: [[a, b]]\n',
      "exception 'e': fields and values lists must have equal length",
    ],
    [
      '  - name: e\n    fields: proc.cwd\n    comps: "="\n    values: [a]\n',
      "exception 'e': '=' cannot compare one field with a list of values",
    ],
    [
      '  - name: e\n    fields: [proc.cwd]\n    comps: [like]\n',
      "exception 'e': 'like' is not a supported comparison operator",
    ],
    ['  - name: e\n    fields: [proc.cw]\n    values: [[a]]\n', "nonexistent field 'proc.cw'"],
  ];
  for (const [text, message] of REFUSED) {
    it(`are refused: ${message}`, () => assert.equal(load(rule(text)).problems[0]?.message, message));
  }
});
