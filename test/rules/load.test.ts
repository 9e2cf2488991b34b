import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadRules, readRuleFiles } from '../../rules/index.ts';
import { load, matches, problemsOf, rulesetOf, ruleText } from './helper.ts';

/** A rule file with one rule, as people write it. */
function ruleFile(condition: string): string {
  return `- rule: Example
  desc: an example
  condition: >
    ${condition}
  output: file=%fd.name
  priority: WARNING
`;
}

const MISTAKEN = `- rule: A
  desc: d
  condition: evt.type = opn and fd.nme = x
  output: "%proc.nme"
  priority: WARN
  enabled: maybe
  tags: 5
  capture_duration: x
  threshold: {count: 0, window: 1s, by: [proc.pidd]}
  exceptions:
    - {name: e, fields: proc.exx, values: [a]}

- rule: A
  desc: d
  condition: ka.verbb = get
  output: o
  priority: INFO
  source: k8s_audit
- rule:
  desc: d
  condition: evt.type = openn
  output: o
  priority: INFO
`;

/** A macro and a rule that lack something, and what refers to them. */
const REFERRED = `- macro: m
- macro: n
  condition: (m)
- rule: R
  desc: d
  condition: evt.type = open and n
  priority: INFO
- rule: R
  enabled: false
  override: {enabled: replace}
`;

/** Mistakes and the whole text that the user sees. */
const MISTAKES: [string, string, string[]][] = [
  [
    'a field that does not exist',
    ruleFile('evt.type = open and proc.nme = bash'),
    [
      `rules.yaml:4:25: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': nonexistent field 'proc.nme'; did you mean 'proc.name' or 'proc.aname' or 'proc.exe'?
        evt.type = open and proc.nme = bash
                            ^^^^^^^^`,
    ],
  ],
  [
    'an event type that does not exist',
    ruleFile('evt.type in (open, opnat)'),
    [
      `rules.yaml:4:24: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': unknown event type 'opnat'; did you mean 'openat'?
        evt.type in (open, opnat)
                           ^^^^^`,
    ],
  ],
  [
    'a syntax error on the second line of a folded condition',
    ruleFile('evt.type = open\n    and and fd.name = /x'),
    [
      `rules.yaml:5:9: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': unexpected 'and'; expected a field, a macro name, 'not' or '('
        and and fd.name = /x
            ^^^`,
    ],
  ],
  [
    'a macro that is not defined',
    `- macro: spawned\n  condition: (evt.type = execve)\n${ruleFile('spawnd and proc.name = x')}`,
    [
      `rules.yaml:6:5: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': undefined macro 'spawnd' used in filter; did you mean 'spawned'?
        spawnd and proc.name = x
        ^^^^^^`,
    ],
  ],
  [
    'an operator that the type does not have',
    ruleFile('evt.type = open and evt.rawres contains 5'),
    [
      `rules.yaml:4:36: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': operator 'contains' is not supported for type INT64 of 'evt.rawres'; expected one of exists = == != in intersects < <= > >=
        evt.type = open and evt.rawres contains 5
                                       ^^^^^^^^`,
    ],
  ],
  [
    'a part of a domain name, and what is no such name',
    ruleFile('evt.type = open and fd.sip.name contains evil and fd.cip.name in ("a b", a.test)'),
    [
      `rules.yaml:4:37: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': operator 'contains' is not supported for domain name of 'fd.sip.name': names are resolved before events come, whole; expected one of exists = == != in intersects
        evt.type = open and fd.sip.name contains evil and fd.cip.name in ("a b", a.test)
                                        ^^^^^^^^`,
      `rules.yaml:4:71: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': 'a b' is not a valid value for 'fd.cip.name'; expected a domain name
        evt.type = open and fd.sip.name contains evil and fd.cip.name in ("a b", a.test)
                                                                          ^^^^^`,
    ],
  ],
  [
    'values of the wrong type, all of them',
    ruleFile('evt.type = open and fd.snet in (10.0.0.0/8, 10.0.0.1) and evt.rawres = x and evt.is_open_read = yes'),
    [
      `rules.yaml:4:49: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': '10.0.0.1' is not a valid value for 'fd.snet'; expected a network as address/length
        evt.type = open and fd.snet in (10.0.0.0/8, 10.0.0.1) and evt.rawres = x and evt.is_open_read = yes
                                                    ^^^^^^^^`,
      `rules.yaml:4:76: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': 'x' is not a valid value for 'evt.rawres'; expected an integer
        evt.type = open and fd.snet in (10.0.0.0/8, 10.0.0.1) and evt.rawres = x and evt.is_open_read = yes
                                                                               ^`,
      `rules.yaml:4:101: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': 'yes' is not a valid value for 'evt.is_open_read'; expected true or false
        evt.type = open and fd.snet in (10.0.0.0/8, 10.0.0.1) and evt.rawres = x and evt.is_open_read = yes
                                                                                                        ^^^`,
    ],
  ],
  [
    'an output that names no field',
    ruleText('evt.type = open').replace('output: o', 'output: "name=%proc.nam %fd.ip 5%"'),
    [
      `rules.yaml:4:17: error LOAD_ERR_COMPILE_OUTPUT: rule 'R': unknown filter: 'proc.nam'; expected a field after '%'; did you mean 'proc.name' or 'proc.aname' or 'proc.pname'?
      output: "name=%proc.nam %fd.ip 5%"
                    ^^^^^^^^^`,
      `rules.yaml:4:28: error LOAD_ERR_COMPILE_OUTPUT: rule 'R': field 'fd.ip' has no single value: it can stand in a condition only
      output: "name=%proc.nam %fd.ip 5%"
                               ^^^^^`,
      `rules.yaml:4:35: error LOAD_ERR_COMPILE_OUTPUT: rule 'R': a lone '%' in the output; expected a field after '%'
      output: "name=%proc.nam %fd.ip 5%"
                                      ^`,
    ],
  ],
  [
    'an argument that is missing, or too many',
    ruleFile('evt.type = open and evt.arg = x and proc.name[1] = y and proc.aname[x] = z'),
    [
      `rules.yaml:4:25: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': field 'evt.arg' needs an argument; expected evt.arg[NAME]
        evt.type = open and evt.arg = x and proc.name[1] = y and proc.aname[x] = z
                            ^^^^^^^`,
      `rules.yaml:4:41: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': field 'proc.name' takes no argument
        evt.type = open and evt.arg = x and proc.name[1] = y and proc.aname[x] = z
                                            ^^^^^^^^^^^^`,
      `rules.yaml:4:62: error LOAD_ERR_COMPILE_CONDITION: rule 'Example': 'x' is not an index for field 'proc.aname'; expected proc.aname[1]
        evt.type = open and evt.arg = x and proc.name[1] = y and proc.aname[x] = z
                                                                 ^^^^^^^^^^^^^`,
    ],
  ],
  [
    'keys that are missing, wrong or unknown',
    '- rule: A\n  desc: d\n  conditon: evt.type = open\n  output: o\n  priority: WARN\n- macros: x\n- 5\n',
    [
      `rules.yaml:1:9: error LOAD_ERR_YAML_VALIDATE: rule 'A': rule 'A' has no 'condition'
    - rule: A
            ^`,
      `rules.yaml:3:3: warning LOAD_UNKNOWN_KEY: unknown key 'conditon' in a rule is ignored; did you mean 'condition'?
      conditon: evt.type = open
      ^^^^^^^^`,
      `rules.yaml:5:13: error LOAD_ERR_YAML_VALIDATE: rule 'A': invalid priority 'WARN'; expected one of Emergency, Alert, Critical, Error, Warning, Notice, Informational, Debug
      priority: WARN
                ^^^^`,
      `rules.yaml:6:3: warning LOAD_UNKNOWN_ITEM: unknown top level item 'macros'; expected required_engine_version, required_plugin_versions, list, macro, rule; did you mean 'macro'?
    - macros: x
      ^^^^^^`,
      `rules.yaml:7:3: error LOAD_ERR_YAML_VALIDATE: an item is not a mapping; expected one of required_engine_version, required_plugin_versions, list, macro, rule
    - 5
      ^`,
    ],
  ],
  [
    'YAML that is none',
    '- rule: "x\n',
    [
      `rules.yaml:1:11: error LOAD_ERR_YAML_PARSE: not valid YAML: a quote or a bracket is not closed before this, or this does not stand deeper than its key
    - rule: "x
              ^`,
    ],
  ],
  [
    'a document that is no list',
    'rule: x\n',
    [
      `rules.yaml:1:1: error LOAD_ERR_YAML_VALIDATE: rules content is not a YAML array of objects; expected a sequence of items: - rule: ...
    rule: x
    ^^^^^^^`,
    ],
  ],
  [
    'an engine and plugins that are newer',
    '- required_engine_version: 0.99.0\n- required_plugin_versions:\n  - name: k8saudit\n    version: 9.0.0\n    alternatives:\n    - {name: other, version: 1.0.0}\n',
    [
      `rules.yaml:1:28: error LOAD_ERR_VALIDATE: rules require engine version 0.99.0, but engine version is 0.63.0
    - required_engine_version: 0.99.0
                               ^^^^^^`,
      `rules.yaml:3:5: error LOAD_ERR_VALIDATE: plugin requirement not satisfied, must load one of: k8saudit (>= 9.0.0), other (>= 1.0.0)
      - name: k8saudit
        ^^^^^^^^^^^^^^`,
    ],
  ],
  [
    'a source that does not exist',
    ruleText('evt.type = open', '  source: sycall\n'),
    [
      `rules.yaml:7:11: warning LOAD_UNKNOWN_SOURCE: rule 'R': unknown source 'sycall': the rule is skipped; expected one of syscall, k8s_audit; did you mean 'syscall'?
      source: sycall
              ^^^^^^`,
    ],
  ],
  [
    'a rule for every event',
    ruleFile('proc.name = a'),
    [
      `rules.yaml:4:5: warning LOAD_NO_EVTTYPE: rule 'Example': the rule matches too many event types: every event is compared with it; expected a check such as 'evt.type in (openat, openat2)'
        proc.name = a
        ^`,
    ],
  ],
  [
    'a comparison with <NA>',
    ruleText('ka.verb != "<NA>"', '  source: k8s_audit\n'),
    [
      `rules.yaml:3:27: warning LOAD_UNSAFE_NA_CHECK: rule 'R': comparing 'ka.verb' with <NA> never holds: a missing value makes every check false; expected 'ka.verb exists'
      condition: "ka.verb != \\"<NA>\\""
                              ^^^^^^^`,
    ],
  ],
];

describe('mistakes in rule files', () => {
  for (const [title, text, expected] of MISTAKES) {
    it(`are named: ${title}`, () => assert.deepEqual(problemsOf(text), expected));
  }

  // One wrong item once hid the others: after each correction the next mistake came up.
  it('are all told at once, whatever else is wrong with the rule', () => {
    const { rules, problems } = loadRules([{ path: 'rules.yaml', text: MISTAKEN }]);
    assert.deepEqual(rules, []);
    assert.deepEqual(
      problems.map(({ line, message }) => `${line} ${message}`),
      [
        "3 unknown event type 'opn'",
        "3 nonexistent field 'fd.nme'",
        "4 unknown filter: 'proc.nme'",
        "5 invalid priority 'WARN'",
        "6 'enabled' is not a truth value",
        "7 'tags' of rule 'A' is not a sequence",
        "8 'capture_duration' is not a number of milliseconds",
        "9 'threshold.count' is not valid: '0'",
        "9 nonexistent field 'proc.pidd'",
        "11 nonexistent field 'proc.exx'",
        "13 rule 'A' has been re-defined with a different source",
        "15 nonexistent field 'ka.verbb'",
        '19 a rule needs a name',
        "21 unknown event type 'openn'",
      ],
    );
  });

  it('are not told of what refers to something mistaken', () => {
    const { problems } = loadRules([{ path: 'rules.yaml', text: REFERRED }]);
    assert.deepEqual(
      problems.map(({ line, message }) => `${line} ${message}`),
      ["1 macro 'm' has no 'condition'", "4 rule 'R' has no 'output'"],
    );
  });

  it('of an override do not hide those of what it overrides with', () => {
    const text = `${ruleText('evt.type = open')}- rule: R
  condition: evt.type = opnat
  priority: INFO
  override: {condition: replace, priority: append}
`;
    const { problems } = loadRules([{ path: 'rules.yaml', text }]);
    assert.deepEqual(
      problems.map(({ message }) => message),
      ["unknown event type 'opnat'", "key 'priority' cannot be overridden: append"],
    );
  });

  it('are placed where the macro stands, once, whoever uses it', () => {
    const text = `- macro: m\n  condition: (proc.nme = x)\n${ruleText('m')}${ruleText('m or m').replace('rule: R', 'rule: S')}`;
    const { rules, problems } = load(text);
    assert.equal(rules.length, 0);
    assert.deepEqual(
      problems.map(({ code, line, column, endColumn }) => [code, line, column, endColumn]),
      [['LOAD_ERR_COMPILE_CONDITION', 2, 15, 23]],
    );
  });

  it('inside a list are placed where the list is named', () => {
    const [problem] = load(`- list: types\n  items: [open, opn]\n${ruleText('evt.type in (types)')}`).problems;
    assert.equal(problem?.message, "unknown event type 'opn'");
    assert.deepEqual([problem?.line, problem?.column, problem?.endColumn], [5, 28, 33]);
  });

  it('do not keep the other rules from loading', () => {
    const { rules, problems } = load(ruleText('nonsense') + ruleText('evt.type = open').replace('rule: R', 'rule: S'));
    assert.deepEqual(
      rules.map(({ name }) => name),
      ['S'],
    );
    assert.equal(problems.length, 1);
  });

  it('are forgiven by skip-if-unknown-filter if they are unknown names', () => {
    const text = ruleText('evt.type = open and proc.new = x', '  skip-if-unknown-filter: true\n');
    const { rules, problems } = load(text);
    assert.equal(rules.length, 0);
    assert.deepEqual(
      problems.map(({ code, message }) => [code, message]),
      [['LOAD_UNKNOWN_FILTER', "nonexistent field 'proc.new': the rule is skipped"]],
    );
  });

  it('end after two hundred', () => {
    const { problems } = load(
      Array.from({ length: 1000 }, (_, index) => ruleText('x').replace('rule: R', `rule: R${index}`)).join(''),
    );
    assert.equal(problems.length, 201);
    assert.equal(problems.at(-1)?.message, '800 more problems are not shown');
  });

  it('do not overflow the stack, however deep', () => {
    assert.equal(load(`- a: ${'['.repeat(100_000)}`).problems[0]?.code, 'LOAD_ERR_YAML_PARSE');
    assert.match(load(ruleText('('.repeat(100_000))).problems[0]?.message ?? '', /nested more than 1000 levels/);
    const chain = Array.from({ length: 5000 }, (_, index) =>
      index === 0
        ? '- macro: m0\n  condition: proc.name = a\n'
        : `- macro: m${index}\n  condition: not (m${index - 1} and proc.name = b)\n`,
    ).join('');
    const messages = load(`${chain}${ruleText('m4999')}`).problems.map(({ message }) => message);
    assert.ok(messages.some((message) => /nests the condition more than 1000 levels deep/.test(message)));
  });

  it('do not take for ever when macros double', () => {
    const chain = Array.from({ length: 60 }, (_, index) =>
      index === 0
        ? '- macro: m0\n  condition: proc.name = a\n'
        : `- macro: m${index}\n  condition: (m${index - 1} and m${index - 1})\n`,
    ).join('');
    const evaluate = rulesetOf(`${chain}${ruleText('m59')}`).evaluator('open')!;
    assert.equal(evaluate({ 'proc.name': 'a' }, 0), 0);
    assert.equal(evaluate({ 'proc.name': 'b' }, 0), -1);
  });
});

describe('reading files', () => {
  it('reads the YAML files of a folder by name, and names what cannot be read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'shikra-rules-'));
    try {
      for (const name of ['b.yaml', 'a.yml', 'c.txt']) await writeFile(join(folder, name), '');
      const { files, problems } = await readRuleFiles([folder, join(folder, 'none.yaml')]);
      assert.deepEqual(
        files.map(({ path }) => path),
        [join(folder, 'a.yml'), join(folder, 'b.yaml')],
      );
      assert.deepEqual(
        problems.map(({ code, severity }) => [code, severity]),
        [['LOAD_ERR_FILE_READ', 'error']],
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('takes several documents, null items and YAML truth values', () => {
    const { rules, problems } = load(`---\n-\n---\n${ruleText('evt.type = open', '  enabled: no\n')}---\n`);
    assert.deepEqual(problems, []);
    assert.equal(rules[0]?.enabled, false);
  });

  it('keeps numbers as they are written', () => {
    assert.equal(matches('proc.name in (0644, 1e3)', { 'proc.name': '0644' }), true);
    const text = `- list: n\n  items: [0644, 1e3, true]\n${ruleText('proc.name in (n)')}`;
    assert.equal(rulesetOf(text).evaluator('open')!({ 'proc.name': '0644' }, 0), 0);
    assert.equal(rulesetOf(text).evaluator('open')!({ 'proc.name': '1e3' }, 0), 0);
  });
});
