import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FieldValue } from '../../collector/detection/detection.ts';
import { collectGarbage } from '../../collector/garbage.ts';
import { compileRuleset, type FieldResolver, formatProblem } from '../../rules/index.ts';
import type { TypedCheck, TypedExpression } from '../../rules/language/typed.ts';
import { EVENT_TYPES, load, matches, resolverWithSubjects, rulesetOf, ruleText } from './helper.ts';
import type { TestEvent } from './interpret.ts';

/** Condition, value of its field (undefined: missing), whether it holds. */
type Row = [string, FieldValue | undefined, boolean];

const TABLE: Record<string, { field: string; rows: Row[] }> = {
  text: {
    field: 'proc.name',
    rows: [
      ['proc.name = bash', 'bash', true],
      ['proc.name == bash', 'bash', true],
      ['proc.name = bash', 'Bash', false],
      ['proc.name != bash', 'zsh', true],
      ['proc.name != bash', 'bash', false],
      ['proc.name in (a, b, bash)', 'bash', true],
      ['proc.name in (a, b, c, bash)', 'bash', true],
      ['proc.name in (a, b, c, d)', 'bash', false],
      ['proc.name in ()', 'bash', false],
      ['proc.name intersects (bash)', 'bash', true],
      ['proc.name contains as', 'bash', true],
      ['proc.name contains AS', 'bash', false],
      ['proc.name icontains AS', 'bash', true],
      ['proc.name icontains ""', 'bash', true],
      ['proc.name icontains bash', 'bas', false],
      ['proc.name startswith ba', 'bash', true],
      ['proc.name endswith sh', 'bash', true],
      ['proc.name endswith ba', 'bash', false],
      ['proc.name glob b*h', 'bash', true],
      ['proc.name iglob B*H', 'bash', true],
      ['proc.name regex "b[[:alpha:]]+"', 'bash', true],
      ['proc.name regex as', 'bash', false],
      ['proc.name < 5', '4', true],
      ['proc.name >= 5', '4', false],
      ['proc.name exists', '', true],
      ['proc.name contains anyof (x, as)', 'bash', true],
      ['proc.name contains allof (x, as)', 'bash', false],
      ['proc.name contains allof (b, as)', 'bash', true],
      ['proc.name contains oneof (b, as)', 'bash', false],
      ['proc.name contains oneof (x, as)', 'bash', true],
      ['toupper(proc.name) = BASH', 'bash', true],
      ['len(proc.name) = 4', 'bash', true],
      ['basename(proc.name) = c', '/a/b/c', true],
      ['b64(proc.name) = hi', 'aGk=', true],
      ['concat(proc.name, "x") = bashx', 'bash', true],
      ['join("-", (proc.name, proc.name)) = a-a', 'a', true],
      ['proc.name = val(proc.name)', 'bash', true],
      ['proc.name != val(proc.name)', 'bash', false],
    ],
  },
  path: {
    field: 'fd.name',
    rows: [
      ['fd.name pmatch (/var/run)', '/var/run', true],
      ['fd.name pmatch (/var/run)', '/var/run/x', true],
      ['fd.name pmatch (/var/run)', '/var/runx', false],
      ['fd.name pmatch (/var/run/)', '/var/run/x', true],
      ['fd.name pmatch (/)', '/x', true],
      ['fd.name pmatch (/home/*/.ssh)', '/home/u/.ssh/k', true],
      ['fd.name pmatch (/home/*/.ssh)', '/home/u/v/.ssh', false],
      ['fd.name pmatch ("/a b", /c)', '/c/d', true],
    ],
  },
  number: {
    field: 'evt.rawres',
    rows: [
      ['evt.rawres = 5', 5, true],
      ['evt.rawres = 5', 5n, true],
      ['evt.rawres = 0x10', 16, true],
      ['evt.rawres != 5', 6, true],
      ['evt.rawres != 5', 5, false],
      ['evt.rawres < 0', -1, true],
      ['evt.rawres <= 0', 0n, true],
      ['evt.rawres > 0', 0, false],
      ['evt.rawres >= 0', 3, true],
      ['evt.rawres in (0, 1, 2)', 2, true],
      ['evt.rawres in (0, 1, 2)', 2n, true],
      ['evt.rawres in (0, 1, 2, -11)', -11, true],
      ['evt.rawres in (0, 1, 2, 3)', 3n, true],
      ['evt.rawres in (0, 1, 2, 3)', 4, false],
      ['evt.rawres = 9007199254740993', 9007199254740993n, true],
      ['evt.rawres = 9007199254740993', 9007199254740992n, false],
      ['evt.rawres exists', 0, true],
    ],
  },
  'truth value': {
    field: 'evt.is_open_read',
    rows: [
      ['evt.is_open_read = true', true, true],
      ['evt.is_open_read = false', false, true],
      ['evt.is_open_read = false', true, false],
      ['evt.is_open_read != true', false, true],
      ['evt.is_open_read != true', true, false],
      ['evt.is_open_read in (true, false)', false, true],
    ],
  },
  address: {
    field: 'fd.sip',
    rows: [
      ['fd.sip = 10.0.0.1', '10.0.0.1', true],
      ['fd.sip != 10.0.0.1', '10.0.0.2', true],
      ['fd.sip != 10.0.0.1', '::1', true],
      ['fd.sip = "0:0:0:0:0:0:0:1"', '::1', true],
      ['fd.sip in (1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.1)', '10.0.0.1', true],
    ],
  },
  network: {
    field: 'fd.snet',
    rows: [
      ['fd.snet = 10.0.0.0/8', '10.9.9.9', true],
      ['fd.snet != 10.0.0.0/8', '10.9.9.9', false],
      ['fd.snet != 10.0.0.0/8', '11.9.9.9', true],
      ['fd.snet in (10.0.0.0/8, "fe80::/10")', 'fe80::1', true],
      ['fd.snet in (10.0.0.0/8)', '::1', false],
    ],
  },
  'two-sided address': {
    field: 'fd.ip',
    rows: [
      ['fd.ip = 1.1.1.1', ['1.1.1.1', '2.2.2.2'], true],
      ['fd.ip = 2.2.2.2', ['1.1.1.1', '2.2.2.2'], true],
      ['fd.ip != 1.1.1.1', ['1.1.1.1', '2.2.2.2'], false],
      ['fd.ip != 3.3.3.3', ['1.1.1.1', '2.2.2.2'], true],
      ['fd.ip in (3.3.3.3, 2.2.2.2)', ['1.1.1.1', '2.2.2.2'], true],
      ['fd.ip exists', ['1.1.1.1', '2.2.2.2'], true],
    ],
  },
  'names of an address': {
    field: 'fd.sip.name',
    rows: [
      ['fd.sip.name = a.test', ['a.test', 'b.test'], true],
      ['fd.sip.name == b.test', ['a.test', 'b.test'], true],
      ['fd.sip.name in (c.test, b.test)', ['a.test', 'b.test'], true],
      ['fd.sip.name = c.test', ['a.test', 'b.test'], false],
      ['fd.sip.name != c.test', ['a.test', 'b.test'], true],
      ['fd.sip.name != b.test', ['a.test', 'b.test'], false],
      // an address that no rule has a name for
      ['fd.sip.name = a.test', [''], false],
      ['fd.sip.name != a.test', [''], true],
      ['fd.sip.name exists', [''], true],
    ],
  },
  'two-sided network': {
    field: 'fd.net',
    rows: [
      ['fd.net = 1.0.0.0/8', ['2.2.2.2', '1.1.1.1'], true],
      ['fd.net != 1.0.0.0/8', ['2.2.2.2', '1.1.1.1'], false],
      ['fd.net != 1.0.0.0/8', ['2.2.2.2', '3.1.1.1'], true],
      ['fd.net in (9.0.0.0/8, 1.0.0.0/8)', ['2.2.2.2', '1.1.1.1'], true],
    ],
  },
  'two-sided port': {
    field: 'fd.port',
    rows: [
      ['fd.port = 443', ['50000', '443'], true],
      ['fd.port = https', ['50000', '443'], true],
      ['fd.port != 443', ['50000', '443'], false],
      ['fd.port in (80, 443)', ['50000', '443'], true],
      ['fd.port > 60000', ['50000', '443'], false],
    ],
  },
  'any ancestor': {
    field: 'proc.aname',
    rows: [
      ['proc.aname = sshd', ['bash', 'sshd'], true],
      ['proc.aname = cron', ['bash', 'sshd'], false],
      ['proc.aname in (cron, sshd)', ['bash', 'sshd'], true],
      ['proc.aname != bash', ['bash', 'sshd'], true],
      ['proc.aname startswith ss', ['bash', 'sshd'], true],
      ['proc.aname = sshd', [], false],
      ['proc.aname exists', ['a'], true],
    ],
  },
  'list field': {
    field: 'ka.req.role.rules.verbs',
    rows: [
      ['ka.req.role.rules.verbs intersects (create, get)', ['get', 'list'], true],
      ['ka.req.role.rules.verbs intersects (create)', ['get', 'list'], false],
      ['ka.req.role.rules.verbs in (get, list, watch)', ['get', 'list'], true],
      ['ka.req.role.rules.verbs in (get)', ['get', 'list'], false],
      ['ka.req.role.rules.verbs in (get)', [], false],
    ],
  },
  bytes: {
    field: 'evt.buffer',
    rows: [
      ['evt.buffer bcontains cafebabe', 'x\xca\xfe\xba\xbe', true],
      ['evt.buffer bstartswith 7f45', '\x7fELF', true],
      ['evt.buffer contains ELF', '\x7fELF', true],
    ],
  },
};

describe('the evaluator', () => {
  for (const [type, { field, rows }] of Object.entries(TABLE)) {
    for (const [condition, value, expected] of rows) {
      it(`compares ${type} ${JSON.stringify(String(value))}: ${condition} is ${expected}`, () => {
        assert.equal(matches(condition, value === undefined ? {} : { [field]: value }), expected);
      });
    }
    it(`makes every check of a missing ${type} false`, () => {
      for (const [condition] of rows) {
        // A missing text has the length 0, says Falco.
        if (condition.startsWith('len(')) continue;
        assert.equal(matches(condition, {}), false, condition);
        assert.equal(matches(`not ${condition}`, {}), true, condition);
      }
    });
  }

  it('gives the first match from an index on', () => {
    const text = ['a', 'b', 'a']
      .map((name, index) => ruleText(`proc.name = ${name}`).replace('rule: R', `rule: R${index}`))
      .join('');
    const evaluate = rulesetOf(text).evaluator('open')!;
    const event = { 'proc.name': 'a' };
    assert.deepEqual(
      [0, 1, 2, 3].map((from) => evaluate(event, from)),
      [0, 2, 2, -1],
    );
  });

  it('decides checks of the event type before any event', () => {
    const ruleset = rulesetOf(ruleText('evt.type in (open, openat) and not evt.type = openat'));
    assert.equal(ruleset.evaluator('openat'), undefined);
    assert.equal(ruleset.evaluator('close'), undefined);
    assert.equal(ruleset.evaluator('open')!({}, 0), 0);
    assert.deepEqual([...ruleset.eventTypes], ['open']);
    assert.equal(ruleset.matchesAnyType, false);
  });

  it('derives event types through negations', () => {
    const typesOf = (condition: string) => load(ruleText(condition)).rules[0]!.eventTypes;
    assert.deepEqual(
      [...typesOf('not (evt.type != open and proc.name = a) and evt.type in (open, close)')!],
      ['open', 'close'],
    );
    assert.deepEqual([...typesOf('not (not evt.type = open or proc.name = a)')!], ['open']);
    assert.equal(typesOf('evt.type = open or proc.name = a'), undefined);
    assert.equal(typesOf('proc.name = a'), undefined);
    assert.equal(typesOf('evt.type != open')!.has('open'), false);
    assert.deepEqual([...typesOf('evt.num = 0 and evt.type = open')!], []);
  });

  it('reads each field at most once an event, and only when it is needed', () => {
    const reads = new Map<string, number>();
    const counting: FieldResolver<TestEvent> = {
      getter:
        ({ name }) =>
        (event) => {
          reads.set(name, (reads.get(name) ?? 0) + 1);
          return event[name];
        },
    };
    const macro = '- macro: m\n  condition: (proc.name contains a and fd.name startswith /etc)\n';
    const text = `${macro}${ruleText('m and proc.cwd = /')}${ruleText('proc.name = x or (m and proc.cwd = /root)').replace('rule: R', 'rule: S')}`;
    const { rules } = load(text);
    const evaluate = compileRuleset(rules, counting, EVENT_TYPES).evaluator('open')!;
    assert.equal(evaluate({ 'proc.name': 'b', 'fd.name': '/etc' }, 0), -1);
    assert.deepEqual(Object.fromEntries(reads), { 'proc.name': 1 });
    reads.clear();
    assert.equal(evaluate({ 'proc.name': 'a', 'fd.name': '/etc', 'proc.cwd': '/root' }, 0), 1);
    assert.deepEqual(Object.fromEntries(reads), { 'proc.name': 1, 'fd.name': 1, 'proc.cwd': 1 });
  });

  it('never runs text of a rule', () => {
    const attacks = [
      "'; process.exit(1); '",
      '"; globalThis.hacked = 1; "',
      '$' + '{globalThis.hacked = 1}',
      '`',
      '\\',
      '*/',
      '\u2028',
      '__proto__',
      '</script>',
    ];
    for (const attack of attacks) {
      const quoted = `"${attack.replace(/["\\]/g, '\\$&')}"`;
      const condition = `proc.name = ${quoted} or proc.name in (${quoted}, b, c, d) or proc.env[${quoted}] contains ${quoted} or proc.name startswith ${quoted}`;
      const evaluate = rulesetOf(ruleText(condition)).evaluator('open')!;
      assert.equal(evaluate({ 'proc.name': attack }, 0), 0);
      assert.equal(evaluate({ 'proc.name': 'other' }, 0), -1);
    }
    const hostile = `- list: "x;process.exit()"\n  items: ["');process.exit();('"]\n${ruleText('proc.name in (x;process.exit)')}`;
    load(hostile);
    assert.equal((globalThis as { hacked?: number }).hacked, undefined);
  });

  it('serves hundreds of rules', () => {
    const text = Array.from({ length: 300 }, (_, index) =>
      ruleText(
        `proc.name contains n${index}x and fd.name startswith /${index}/ and not proc.cwd endswith ${index}`,
      ).replace('rule: R', `rule: R${index}`),
    ).join('');
    const evaluate = rulesetOf(text).evaluator('open')!;
    for (const index of [0, 29, 30, 59, 60, 299]) {
      assert.equal(evaluate({ 'proc.name': `n${index}x`, 'fd.name': `/${index}/`, 'proc.cwd': '/' }, 0), index);
    }
  });

  it('warns of fields and event types that the source does not have, and takes their checks for false', () => {
    const { rules } = load(ruleText('(container.name = a or proc.name = b) and evt.type in (open, mount)'));
    const partial: FieldResolver<TestEvent> = {
      getter: ({ name }) => (name === 'proc.name' ? (event) => event[name] : undefined),
    };
    const ruleset = compileRuleset(rules, partial, EVENT_TYPES);
    assert.deepEqual(ruleset.warnings.map(formatProblem), [
      "rules.yaml:1:9: warning LOAD_EVENT_NOT_COLLECTED: rule 'R': events of type mount are not collected: the rule does not see them\n    - rule: R\n            ^",
      "rules.yaml:1:9: warning LOAD_FIELD_NOT_COLLECTED: rule 'R': field 'container.name' is not collected: every check of it is false\n    - rule: R\n            ^",
    ]);
    assert.equal(ruleset.evaluator('open')!({ 'container.name': 'a', 'proc.name': 'b' }, 0), 0);
    assert.equal(ruleset.evaluator('open')!({ 'container.name': 'a', 'proc.name': 'c' }, 0), -1);
  });

  it('goes on with the event types that were asked for when the rules as written are forgotten', () => {
    const ruleset = rulesetOf(ruleText('evt.type in (open, connect) and proc.name = a'));
    const evaluate = ruleset.evaluator('open')!;
    ruleset.settle();
    assert.equal(ruleset.evaluator('open'), evaluate);
    assert.equal(ruleset.wants('open'), true);
    assert.equal(evaluate({ 'evt.type': 'open', 'proc.name': 'a' }, 0), 0);
    assert.throws(
      () => ruleset.evaluator('connect'),
      /events of type connect were not asked for before the rules were settled/,
    );
  });

  // The collector had the trees of all rules in memory for as long as it ran, and what they were compiled by: ten megabytes, held by two small functions.
  it('holds nothing of the rules as written when they are settled', async () => {
    const { written, ruleset } = settled(
      'fd.name = /a and proc.name in (a, b, c, d) and (proc.name icontains val(fd.name) or proc.name icontains x or proc.aname = y)',
    );
    await new Promise((resolve) => setImmediate(resolve)); // what a WeakRef was made of stays for the turn
    collectGarbage();
    assert.deepEqual(
      written.map((check) => check.deref()?.operator),
      [undefined, undefined, undefined, undefined, undefined],
    );
    assert.equal(ruleset.rules.length, 1);
  });

  function settled(condition: string) {
    const { rules } = load(ruleText(condition));
    const ruleset = compileRuleset(rules, resolverWithSubjects(), EVENT_TYPES);
    for (const type of EVENT_TYPES) ruleset.evaluator(type);
    ruleset.settle();
    return { written: checksIn(rules[0]!.condition).map((check) => new WeakRef(check)), ruleset };
  }

  function checksIn(expression: TypedExpression): TypedCheck[] {
    if (expression.kind === 'check') return [expression];
    if (expression.kind === 'not') return checksIn(expression.operand);
    return expression.kind === 'constant' ? [] : expression.operands.flatMap(checksIn);
  }

  it('leaves disabled rules out', () => {
    const ruleset = rulesetOf(
      ruleText('proc.name = a', '  enabled: false\n') + ruleText('proc.name = a').replace('rule: R', 'rule: S'),
    );
    assert.deepEqual(
      ruleset.rules.map(({ name, index }) => [name, index]),
      [['S', 0]],
    );
  });
});
