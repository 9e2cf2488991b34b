import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatProblem, loadRules } from '../../rules/index.ts';
import type { CaseEngineFactory } from '../../rules/testing/engine.ts';
import { failed, formatReport } from '../../rules/testing/report.ts';
import { runCases, type TestOptions, type TestReport, uncovered } from '../../rules/testing/run-cases.ts';

const OPENED = `
- rule: Opened
  desc: d
  condition: evt.type in (openat, creat) and fd.name startswith /etc/
  output: file=%fd.name by=%proc.name parent=%proc.pname
  priority: INFO
- rule: Shadow opened
  desc: d
  condition: evt.type = openat and fd.name = /etc/shadow and evt.arg.flags contains O_
  output: shadow by %proc.cmdline
  priority: INFO
- rule: Off
  desc: d
  condition: evt.type = openat
  output: o
  priority: INFO
  enabled: false
`;

function run(rulesText: string, casesText: string, options: TestOptions = {}): TestReport {
  const { rules, problems } = loadRules([{ path: 'rules.yaml', text: rulesText }]);
  const errors = problems.filter(({ severity }) => severity === 'error');
  assert.deepEqual(errors.map(formatProblem), []);
  return runCases(rules, [{ path: 'cases.yaml', text: casesText }], options);
}

/** What is said of the only case. */
function failuresOf(casesText: string, rulesText = OPENED): readonly string[] {
  const { results, problems } = run(rulesText, casesText);
  assert.deepEqual(problems.map(formatProblem), []);
  assert.equal(results.length, 1);
  return results[0]!.failures;
}

/** Mistakes in cases, without the lines shown. */
function mistakesOf(casesText: string): string[] {
  return run(OPENED, casesText).problems.map((problem) => formatProblem(problem).split('\n')[0]!);
}

/** True if an event of a case fulfils a condition. */
function holds(condition: string, sections: string): boolean {
  const rule = `- rule: R\n  desc: d\n  condition: ${JSON.stringify(condition)}\n  output: o\n  priority: INFO\n  warn_evttypes: false\n`;
  return failuresOf(`- case: c\n${sections.replace(/^(?=.)/gm, '  ')}\n  expect: R\n`, rule).length === 0;
}

const SHADOW = '{type: openat, fd.name: /etc/shadow}';

describe('a case', () => {
  it('passes if exactly the rules that it expects fire', () => {
    assert.deepEqual(failuresOf(`- {case: c, event: ${SHADOW}, expect: [Opened, Shadow opened]}`), []);
    assert.deepEqual(failuresOf(`- {case: c, event: {type: openat, fd.name: /tmp/x}, expect: []}`), []);
  });

  it('says which rules fired that were not expected, and which did not', () => {
    assert.deepEqual(failuresOf(`- {case: c, event: ${SHADOW}, expect: Opened}`), [
      "'Shadow opened' fired and was not expected",
    ]);
    assert.deepEqual(failuresOf(`- {case: c, event: {type: openat, fd.name: /etc/x}, expect: Shadow opened}`), [
      "'Shadow opened' did not fire",
      "'Opened' fired and was not expected",
    ]);
    assert.deepEqual(failuresOf(`- {case: c, event: unlink, expect: Opened}`), ["'Opened' did not fire: no rule did"]);
  });

  it('looks with expect_not alone only at the rules named', () => {
    assert.deepEqual(failuresOf(`- {case: c, event: {type: creat, fd.name: /etc/x}, expect_not: Shadow opened}`), []);
    assert.deepEqual(failuresOf(`- {case: c, event: ${SHADOW}, expect_not: Shadow opened}`), ["'Shadow opened' fired"]);
  });

  it('may allow more rules than it expects', () => {
    assert.deepEqual(failuresOf(`- {case: c, event: ${SHADOW}, expect: Opened, allow: Shadow opened}`), []);
  });

  it('can say which rule comes first', () => {
    assert.deepEqual(failuresOf(`- {case: c, event: ${SHADOW}, first: Opened}`), []);
    assert.deepEqual(failuresOf(`- {case: c, event: ${SHADOW}, first: Shadow opened}`), [
      "'Shadow opened' is not the first: 'Opened' is",
    ]);
  });

  it('compares parts of the output of the rule expected', () => {
    const start = `- {case: c, event: ${SHADOW}, process: {name: cat}, expect: [Shadow opened, Opened], output:`;
    assert.deepEqual(failuresOf(`${start} shadow by cat}`), []);
    assert.deepEqual(failuresOf(`${start} [by cat, by dog]}`), [
      "the output of 'Shadow opened' has no 'by dog': shadow by cat",
    ]);
  });

  it('tests a disabled rule if it names it', () => {
    assert.deepEqual(failuresOf(`- {case: c, event: {type: openat, fd.name: /tmp/x}, expect: Off}`), []);
    assert.deepEqual(failuresOf(`- {case: c, event: {type: openat, fd.name: /tmp/x}, expect: []}`), []);
  });

  it('takes from a base what it does not say itself', () => {
    const base = `- {base: b, event: ${SHADOW}, process: {name: cat, args: -n}, container: {id: abc}}\n`;
    const cases = `${base}- {case: c, like: b, process: {args: -v}, expect: [Shadow opened, Opened], output: shadow by cat -v}`;
    assert.deepEqual(failuresOf(cases), []);
  });

  it('fires a rule by any spelling of its path, and shows that one', () => {
    const cases = '- {case: c, event: {type: openat, fd.name: [/mnt/x, /etc/x]}, expect: Opened, output: file=/etc/x}';
    assert.deepEqual(failuresOf(cases), []);
  });
});

describe('what a case does not say', () => {
  const derived: [what: string, condition: string, sections: string][] = [
    ['success', 'evt.res = SUCCESS and evt.rawres = 3 and evt.failed = false', 'event: openat'],
    ['the result from the error', 'evt.rawres = -13 and evt.failed = true', 'event: {type: openat, evt.res: EACCES}'],
    ['the error from the result', 'evt.res = EACCES', 'event: {type: openat, evt.rawres: -13}'],
    ['no descriptor for a call that returns none', 'evt.rawres = 0', 'event: unlink'],
    ['that a file is read', 'evt.is_open_read = true and evt.is_open_write = false', 'event: openat'],
    [
      'that a file is made',
      'evt.is_open_write = true and evt.is_open_create = true',
      'event: {type: openat, evt.arg.flags: O_RDWR|O_CREAT}',
    ],
    ['that creat writes', 'evt.is_open_write = true and evt.is_open_read = false', 'event: creat'],
    ['nothing about opening for others', 'not evt.is_open_read exists', 'event: execve'],
    [
      'folder and name of the file',
      "fd.directory = /etc and fd.filename = shadow and fd.typechar = 'f' and fd.type = file",
      'event: {type: openat, fs.path.name: /etc/shadow}',
    ],
    ['the path removed', 'evt.arg.path = /x and not fd.name exists', 'event: {type: unlink, fs.path.name: /x}'],
    [
      'both paths of a rename',
      'evt.arg.oldpath = /a and fs.path.target = /b',
      'event: {type: rename, fs.path.source: /a, evt.arg.newpath: /b}',
    ],
    [
      'what a symlink points to',
      'fs.path.source = /a and fs.path.target = /b',
      'event: {type: symlinkat, evt.arg.target: /a, evt.arg.linkpath: /b}',
    ],
    [
      'the sides of a connection',
      "fd.rip = 1.2.3.4 and fd.rport = 22 and fd.ip = 1.2.3.4 and fd.net in (1.2.3.0/24) and fd.typechar = '4' and fd.l4proto = tcp",
      'event: {type: connect, fd.sip: 1.2.3.4, fd.sport: 22}',
    ],
    [
      'the sides of a connection that is taken',
      'fd.rip = ::1 and fd.lport = 22 and fd.type = ipv6 and fd.is_server = true',
      'event: {type: accept, fd.cip: "::1", fd.sport: 22}',
    ],
    ['the name of a connection', 'fd.name = "10.0.0.2:40000->1.2.3.4:443"', 'event: {type: connect, fd.sip: 1.2.3.4}'],
    ['the executable from the name', 'proc.exepath = /usr/bin/cat', 'event: execve\nprocess: cat'],
    ['the name from the executable', 'proc.name = cat', 'event: execve\nprocess: {exepath: /opt/cat}'],
    [
      'the command line',
      'proc.cmdline = "cat -n \\"a b\\"" or proc.cmdline = "cat -n a b" and proc.args[1] = "a b"',
      'event: execve\nprocess: {name: cat, args: [-n, a b]}',
    ],
    [
      'name and arguments from the command line',
      'proc.name = cat and proc.args = "-n x" and proc.args[1] = x and proc.cmdnargs = 2',
      'event: execve\nprocess: {cmdline: cat -n x}',
    ],
    [
      'ancestors',
      'proc.pname = sh and proc.aname[2] = sshd and proc.aname = sshd and proc.aexepath = /usr/sbin/sshd and proc.aname[0] = cat',
      'event: execve\nprocess: {name: cat, parents: [sh, {name: sshd, exepath: /usr/sbin/sshd}]}',
    ],
    ['a variable', 'proc.env[A] = b', 'event: execve\nprocess: {env: {A: b}}'],
    ['the host', 'container.id = host and proc.vpid = 4321', 'event: execve'],
    ['a container', 'container.id != host and container.name = web and proc.vpid = 7', 'event: execve\ncontainer: web'],
    ['root', 'user.name = root and user.uid = 0 and user.loginuid = -1', 'event: execve'],
    ['another user', 'user.name = alice and user.uid = 1000', 'event: execve\nuser: alice'],
    ['nothing else', 'not proc.sname exists and not k8s.pod.name exists', 'event: execve'],
    ['what is taken away', 'not proc.tty exists', 'event: execve\nprocess: {tty: }'],
    ['durations with a unit', 'proc.duration = 3000000000', 'event: execve\nprocess: {duration: 3s}'],
  ];
  for (const [what, condition, sections] of derived) {
    it(`is derived: ${what}`, () => assert.ok(holds(condition, sections)));
  }
});

describe('a mistake in cases', () => {
  const mistakes: [what: string, cases: string, expected: string][] = [
    [
      'an unknown key',
      '- {case: c, event: execve, proces: x, expect: []}',
      "cases.yaml:1:28: error LOAD_ERR_VALIDATE: unknown key 'proces' in a case; did you mean 'process'?",
    ],
    [
      'an unknown event type',
      '- {case: c, event: opennat, expect: []}',
      "cases.yaml:1:20: error LOAD_ERR_VALIDATE: unknown event type 'opennat'; did you mean 'openat' or 'openat2'?",
    ],
    [
      'an unknown field',
      '- {case: c, event: {type: openat, fd.nam: x}, expect: []}',
      "cases.yaml:1:35: error LOAD_ERR_VALIDATE: nonexistent field 'fd.nam'; did you mean 'fd.name' or 'fd.num' or 'fd.net'?",
    ],
    [
      'an unknown field of the process',
      '- {case: c, event: openat, process: {exepat: x}, expect: []}',
      "cases.yaml:1:38: error LOAD_ERR_VALIDATE: nonexistent field 'proc.exepat'; did you mean 'exepath' or 'aexepath' or 'pexepath'?",
    ],
    [
      'an argument that no event has',
      '- {case: c, event: {type: openat, evt.arg.flgas: O_RDWR}, expect: []}',
      "cases.yaml:1:35: error LOAD_ERR_VALIDATE: no event has 'evt.arg.flgas' and no rule names it; did you mean 'evt.arg.flags'?",
    ],
    [
      'an unknown rule',
      '- {case: c, event: openat, expect: [Opend]}',
      "cases.yaml:1:37: error LOAD_ERR_VALIDATE: there is no rule 'Opend'; did you mean 'Opened'?",
    ],
    [
      'a value of the wrong type',
      '- {case: c, event: {type: openat, evt.rawres: x}, expect: []}',
      "cases.yaml:1:47: error LOAD_ERR_VALIDATE: 'x' is not a value of 'evt.rawres'; expected an integer",
    ],
    [
      'a result that no call has',
      '- {case: c, event: {type: openat, evt.res: EACCESS}, expect: []}',
      "cases.yaml:1:44: error LOAD_ERR_VALIDATE: 'EACCESS' is not a result; expected SUCCESS or the name of an error; did you mean 'EACCES' or 'SUCCESS'?",
    ],
    [
      'a section that is a sequence',
      '- {case: c, event: openat, process: [cat], expect: []}',
      "cases.yaml:1:37: error LOAD_ERR_VALIDATE: 'process' is not a mapping",
    ],
    [
      'an audit event that holds itself',
      '- {case: c, audit: &a {x: *a}, expect: []}',
      "cases.yaml:1:23: error LOAD_ERR_VALIDATE: 'x' cannot be read: it holds itself",
    ],
    [
      'a case without expectation',
      '- {case: c, event: openat}',
      "cases.yaml:1:4: error LOAD_ERR_YAML_VALIDATE: case 'c' expects nothing; expected 'expect' or 'expect_not'",
    ],
    [
      'an event without a type',
      '- {case: c, event: {fd.name: x}, expect: []}',
      'cases.yaml:1:20: error LOAD_ERR_VALIDATE: the event has no type; expected event: {type: openat, ...}',
    ],
    [
      'a base that does not exist',
      '- {case: c, like: b, event: openat, expect: []}',
      "cases.yaml:1:19: error LOAD_ERR_VALIDATE: there is no base 'b' before",
    ],
    [
      'a title used twice',
      '- {case: c, event: openat, expect: []}\n- {case: c, event: openat, expect: []}',
      "cases.yaml:2:10: error LOAD_ERR_VALIDATE: there is a case 'c' before",
    ],
    [
      'a step back in time',
      '- {case: c, event: openat, expect: [], events: [{at: 2s}, {at: 1s}]}',
      'cases.yaml:1:64: error LOAD_ERR_VALIDATE: a step is before the one above',
    ],
    [
      'what is not YAML',
      '- {case: c',
      'cases.yaml:1:11: error LOAD_ERR_YAML_PARSE: not valid YAML: unexpected end of the stream within a flow collection',
    ],
  ];
  for (const [what, cases, expected] of mistakes) {
    it(`is told with its place: ${what}`, () => assert.deepEqual(mistakesOf(cases).slice(0, 1), [expected]));
  }

  it('is told of thousands of levels', () => {
    assert.match(mistakesOf('['.repeat(20_000))[0]!, /LOAD_ERR_YAML_PARSE: not valid YAML/);
  });

  it('keeps all cases from running', () => {
    const report = run(OPENED, '- {case: a, event: openat, expect: []}\n- {case: b, event: x, expect: []}');
    assert.equal(report.results.length, 0);
  });
});

describe('a case of several events', () => {
  /** Fires at the second event that a rule matches, and says when it was shown. */
  const counting: CaseEngineFactory = (rules) => () => {
    let seen = 0;
    return {
      show: (event) => {
        seen++;
        return seen === 2 ? [{ name: rules[0]!.name, output: `at ${event.sinceStartNs / 1_000_000_000n}` }] : [];
      },
    };
  };
  const cases = (steps: string) => `- {case: c, event: ${SHADOW}, events: ${steps}}`;

  it('shows them in order to an engine with a memory', () => {
    const steps = '[{at: 1s, expect: []}, {at: 5s, expect: Opened, output: at 5}, {at: 6s, expect: []}]';
    assert.deepEqual(run(OPENED, cases(steps), { createEngine: counting }).results[0]!.failures, []);
  });

  it('repeats an event', () => {
    const steps = '[{at: 1s, repeat: 3, every: 2s, expect: Opened, output: at 3}]';
    assert.deepEqual(run(OPENED, cases(steps), { createEngine: counting }).results[0]!.failures, []);
  });

  it('says in which event something failed', () => {
    const steps = '[{expect: Opened}, {at: 5s, expect: []}]';
    assert.deepEqual(run(OPENED, cases(steps), { createEngine: counting }).results[0]!.failures, [
      "event 1: 'Opened' did not fire: no rule did",
      "event 2: 'Opened' fired and was not expected",
    ]);
  });

  it('starts each case with an empty memory', () => {
    const text = `${cases('[{expect: []}]')}\n${cases('[{expect: []}]').replace('case: c', 'case: d')}`;
    const { results } = run(OPENED, text, { createEngine: counting });
    assert.deepEqual(
      results.map(({ failures }) => failures),
      [[], []],
    );
  });
});

describe('a case of a rule over several events', () => {
  const THRESHOLD = `
- rule: Refused
  desc: d
  condition: evt.type = connect and evt.res = ECONNREFUSED
  output: "%shikra.count times"
  priority: INFO
  threshold: {count: 3, window: 1m, by: [fd.sip]}
`;
  const SEQUENCE = `
- rule: Made and run
  desc: d
  condition: evt.type = execve and proc.exepath startswith /tmp/
  output: "%proc.exepath"
  priority: INFO
  sequence: {within: 30s, by: [container.id], steps: [{condition: evt.type = creat and evt.arg.mode contains S_IX}]}
`;
  const REFUSED = 'event: {type: connect, fd.sip: 10.0.0.5, evt.res: ECONNREFUSED}';
  const MADE = 'event: {type: creat, fd.name: /tmp/x, evt.arg.mode: S_IXUSR}';
  const RUN = 'event: execve, process: {exepath: /tmp/x}';

  it('counts with a threshold as the agent does, and is quiet for a window', () => {
    const steps =
      '[{repeat: 2, expect: []}, {at: 5s, expect: Refused, output: 3 times}, {at: 6s, repeat: 9, expect: []}]';
    assert.deepEqual(failuresOf(`- {case: c, ${REFUSED}, events: ${steps}}`, THRESHOLD), []);
  });

  it('keeps apart what differs in the key', () => {
    const steps = '[{repeat: 2}, {at: 5s, repeat: 2, event: {fd.sip: 10.0.0.6}}]';
    assert.deepEqual(failuresOf(`- {case: c, ${REFUSED}, events: ${steps}, expect: []}`, THRESHOLD), []);
  });

  it('follows a sequence within its time', () => {
    const cases = (at: string, then: string) =>
      `- {case: c, events: [{${MADE}, expect: []}, {at: ${at}, ${RUN}, ${then}}]}`;
    assert.deepEqual(failuresOf(cases('30s', 'expect: Made and run, output: /tmp/x'), SEQUENCE), []);
    assert.deepEqual(failuresOf(cases('31s', 'expect: []'), SEQUENCE), []);
  });

  it('does not fire by the last step alone', () => {
    assert.deepEqual(failuresOf(`- {case: c, ${RUN}, expect: []}`, SEQUENCE), []);
  });
});

describe('a case of an audit event', () => {
  const RULE =
    '- {rule: R, desc: d, source: k8s_audit, condition: ka.verb = create and ka.target.resource = pods, output: "%ka.user.name", priority: INFO}';

  it('can give the fields itself', () => {
    const event = '{ka.verb: create, ka.target.resource: pods}';
    assert.deepEqual(failuresOf(`- {case: c, source: k8s_audit, event: ${event}, expect: R}`, RULE), []);
  });

  it('is read by what is handed in, upon the defaults of an ordinary request', () => {
    let seen: unknown;
    run(RULE, '- {case: c, audit: {verb: create, user: {username: bob}}, expect: []}', {
      readAudit: (json) => {
        seen = json;
        return () => undefined;
      },
    });
    const { verb, user, kind } = seen as Record<string, unknown>;
    assert.deepEqual(
      { verb, user, kind },
      { verb: 'create', user: { username: 'bob', groups: ['system:authenticated'] }, kind: 'Event' },
    );
  });
});

describe('coverage', () => {
  it('asks of every rule a case that expects it and one that does not', () => {
    const cases = `
- {case: a, event: ${SHADOW}, expect: [Opened, Shadow opened]}
- {case: b, event: openat, expect_not: Opened}
`;
    const { coverage } = run(OPENED, cases);
    assert.deepEqual(uncovered(coverage), [
      { rule: 'Shadow opened', lacks: "a case with it in 'expect_not'" },
      { rule: 'Off', lacks: "a case that expects it and a case with it in 'expect_not'" },
    ]);
  });

  it('does not count a case that failed', () => {
    const { coverage } = run(OPENED, `- {case: a, event: ${SHADOW}, expect: Opened}`);
    assert.equal(coverage[0]!.matching, 0);
  });
});

describe('a report', () => {
  const report = (): TestReport => {
    const { results, ...rest } = run(
      OPENED,
      `- {case: 'opens <&> "x" #1', event: ${SHADOW}, expect: [Opened, Shadow opened]}\n- {case: b, event: openat, expect: Opened}`,
    );
    return { ...rest, results: results.map((result) => ({ ...result, millis: 1.5 })) };
  };
  const options = { coverage: false, verbose: false };

  it('as text names what failed and counts the rest', () => {
    assert.equal(
      formatReport(report(), 'text', options),
      "not ok  b  (cases.yaml:2)\n          'Opened' did not fire: no rule did\n1 of 2 cases passed; 0 of 3 rules covered (--coverage names the others)",
    );
  });

  it('as TAP has a point for each case', () => {
    assert.equal(
      formatReport(report(), 'tap', options),
      [
        'TAP version 14',
        '1..2',
        'ok 1 - opens <&> "x" \\#1',
        'not ok 2 - b',
        '  ---',
        '  at: "cases.yaml:2"',
        '  failures:',
        `    - "'Opened' did not fire: no rule did"`,
        '  ...',
      ].join('\n'),
    );
  });

  it('as JUnit is well-formed whatever stands in a title', () => {
    const text = formatReport(report(), 'junit', options);
    assert.ok(text.includes('<testsuite name="cases.yaml" tests="2" failures="1">'));
    assert.ok(text.includes('<testcase name="opens &lt;&amp;&gt; &quot;x&quot; #1"'));
    assert.ok(text.includes(`<failure message="'Opened' did not fire: no rule did">`));
  });

  it('as JSON says the same', () => {
    const { ok, cases } = JSON.parse(formatReport(report(), 'json', options)) as { ok: boolean; cases: object[] };
    assert.equal(ok, false);
    assert.deepEqual(cases[1], {
      title: 'b',
      file: 'cases.yaml',
      line: 2,
      ok: false,
      failures: ["'Opened' did not fire: no rule did"],
      millis: 1.5,
    });
  });

  it('fails for want of coverage only if asked', () => {
    const passed = run(OPENED, `- {case: a, event: ${SHADOW}, expect: [Opened, Shadow opened]}`);
    assert.equal(failed(passed, options), false);
    assert.equal(failed(passed, { ...options, coverage: true }), true);
  });
});

it('runs thousands of cases', () => {
  const cases = Array.from({ length: 2000 }, (_, n) => `- {case: c${n}, event: ${SHADOW}, expect_not: Off}`).join('\n');
  assert.equal(run(OPENED, cases).results.length, 2000);
});
