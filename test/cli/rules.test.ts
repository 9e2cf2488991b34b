import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fieldsByClass } from '../../cli/field-classes.ts';
import { FIELDS } from '../../rules/index.ts';
import { shikra } from './run-shikra.ts';

const folder = mkdtempSync(join(tmpdir(), 'shikra-rules-'));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'cases'));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const RULE = `- rule: Hashes read
  desc: d
  condition: evt.type = openat and fd.name = /etc/shadow
  output: by %proc.name
  priority: WARNING
`;
const GOOD = file('good.yaml', RULE);
file(
  'cases/good.yaml',
  '- {case: a, event: {type: openat, fd.name: /etc/shadow}, expect: Hashes read}\n- {case: b, event: openat, expect_not: Hashes read}\n',
);
const WARNED = file('warned.yaml', `${RULE}- {list: unused, items: [a]}\n`);
const BAD = file('bad.yaml', RULE.replace('fd.name =', 'fd.nme ='));

describe('shikra check', () => {
  it('says that there is nothing to say', () => {
    assert.deepEqual(shikra(['check', GOOD]), {
      code: 0,
      stdout: '0 errors, 0 warnings; 1 rule in 1 file can be used\n',
      stderr: '',
    });
  });

  it('shows mistakes with their line and a caret, and fails', () => {
    const { code, stdout } = shikra(['check', BAD]);
    assert.equal(code, 1);
    assert.equal(
      stdout,
      `${BAD}:3:36: error LOAD_ERR_COMPILE_CONDITION: rule 'Hashes read': nonexistent field 'fd.nme'; did you mean 'fd.name' or 'fd.net' or 'fd.num'?
      condition: evt.type = openat and fd.nme = /etc/shadow
                                       ^^^^^^
1 error, 0 warnings; 0 rules in 1 file can be used
`,
    );
  });

  it('fails for warnings only with --strict', () => {
    assert.equal(shikra(['check', WARNED]).code, 0);
    assert.equal(shikra(['check', WARNED, '--strict']).code, 1);
  });

  it('warns of fields and event types that are not collected here', () => {
    const rule = RULE.replace('fd.name = /etc/shadow', 'evt.latency > 5').replace('= openat', 'in (openat, times)');
    const { code, stdout } = shikra(['check', file('blind.yaml', rule)]);
    assert.equal(code, 0);
    assert.ok(stdout.includes("LOAD_FIELD_NOT_COLLECTED: rule 'Hashes read': field 'evt.latency' is not collected"));
    assert.ok(stdout.includes("LOAD_EVENT_NOT_COLLECTED: rule 'Hashes read': events of type times are not collected"));
  });

  it("prints JSON in the shape of Falco's, one result for each file", () => {
    const { code, stdout } = shikra(['check', '--json', GOOD, BAD]);
    assert.equal(code, 1);
    const { falco_load_results: results } = JSON.parse(stdout);
    assert.deepEqual(
      results.map(({ name, successful }: { name: string; successful: boolean }) => [name, successful]),
      [
        [GOOD, true],
        [BAD, false],
      ],
    );
    const [error] = results[1].errors;
    assert.equal(error.code, 'LOAD_ERR_COMPILE_CONDITION');
    assert.equal(error.codedesc, 'Error compiling condition');
    assert.deepEqual(error.context.locations, [
      { item_type: 'rule', item_name: 'Hashes read', position: { name: BAD, line: 0, column: 2, offset: 2 } },
      { item_type: 'rule condition', item_name: '', position: { name: BAD, line: 2, column: 35, offset: 65 } },
    ]);
  });

  it('is used badly with a file that cannot be read', () => {
    const { code, stdout } = shikra(['check', '/nowhere.yaml']);
    assert.equal(code, 2);
    assert.ok(stdout.startsWith("/nowhere.yaml:1:1: error LOAD_ERR_FILE_READ: cannot read '/nowhere.yaml'"));
  });
});

describe('shikra fields', () => {
  it('has every field in a class', () => {
    assert.deepEqual(new Set([...fieldsByClass().values()].flat()), new Set(FIELDS.keys()));
  });

  it('says of each its type and what it means, and marks what is not collected', () => {
    const { code, stdout } = shikra(['fields']);
    assert.equal(code, 0);
    assert.match(stdout, /^ {2}proc\.name +CHARBUF +name of the process, at most 15 characters/m);
    assert.match(stdout, /^- evt\.buflen +UINT64 +/m);
    assert.match(stdout, /^ {2}proc\.aname\(\[i\]\) +CHARBUF +/m);
  });

  it('lists names of one source', () => {
    const names = shikra(['fields', '--names', '--source', 'k8s_audit']).stdout.trimEnd().split('\n');
    assert.ok(names.includes('ka.verb') && names.includes('evt.time') && !names.includes('proc.name'));
  });

  it("prints JSON in the shape of Falco's list", () => {
    const classes = JSON.parse(shikra(['fields', '--json']).stdout);
    const audit = classes.find(({ name }: { name: string }) => name === 'k8saudit');
    assert.deepEqual(audit.event_sources, ['k8s_audit']);
    assert.deepEqual(
      audit.fields.find(({ name }: { name: string }) => name === 'ka.uri.param'),
      {
        name: 'ka.uri.param',
        type: 'CHARBUF',
        desc: 'one query parameter of the URI',
        is_list: false,
        argument: { required: true, type: ['KEY'] },
        collected: true,
        filter_only: false,
        deprecated: false,
      },
    );
  });

  it('refuses a source that does not exist', () => assert.equal(shikra(['fields', '-s', 'x']).code, 2));
});

describe('shikra rules test', () => {
  it('finds the cases beside a rule file', () => {
    assert.deepEqual(shikra(['rules', 'test', GOOD, '--coverage']), {
      code: 0,
      stdout: '2 of 2 cases passed; 1 of 1 rule covered\n',
      stderr: '',
    });
  });

  it('takes a file of cases, about the rules of the folder above', () => {
    const set = join(folder, 'set');
    mkdirSync(join(set, 'cases'), { recursive: true });
    file('set/rules.yaml', RULE);
    const cases = file('set/cases/some.yaml', '- {case: a, event: {type: openat, fd.name: /etc/shadow}, expect: []}\n');
    const { code, stdout } = shikra(['rules', 'test', cases]);
    assert.equal(code, 1);
    assert.equal(
      stdout,
      `not ok  a  (${cases}:1)\n          'Hashes read' fired and was not expected\n0 of 1 case passed; 0 of 1 rule covered (--coverage names the others)\n`,
    );
  });

  it('loads other rules first, and asks coverage only of those under test', () => {
    const more = file('more.yaml', `${RULE.replace('Hashes read', 'More').replace('/etc/shadow', '/etc/passwd')}`);
    const event = (path: string) => `{type: openat, fd.name: ${path}}`;
    file(
      'cases/more.yaml',
      `- {case: a, event: ${event('/etc/shadow')}, expect: Hashes read, expect_not: More}\n- {case: b, event: ${event('/etc/passwd')}, expect: More}\n`,
    );
    assert.equal(shikra(['rules', 'test', more, '--rules', GOOD, '--coverage']).code, 0);
  });

  it('fails for want of coverage', () => {
    const half = file('half.yaml', RULE);
    file('cases/half.yaml', '- {case: a, event: openat, expect_not: Hashes read}\n');
    assert.equal(shikra(['rules', 'test', half]).code, 0);
    const { code, stdout } = shikra(['rules', 'test', half, '--coverage']);
    assert.equal(code, 1);
    assert.ok(stdout.startsWith("not ok  rule 'Hashes read' lacks a case that expects it\n"));
  });

  it('reads audit events as the agent does', () => {
    const rule = file(
      'audit.yaml',
      '- {rule: Secret read, desc: d, source: k8s_audit, condition: ka.verb = get and ka.target.resource = secrets and ka.user.groups intersects (devs), output: "%ka.user.name", priority: INFO}\n',
    );
    file(
      'cases/audit.yaml',
      '- {case: a, audit: {objectRef: {resource: secrets}, user: {username: bob, groups: [devs]}}, expect: Secret read, output: bob}\n',
    );
    assert.equal(
      shikra(['rules', 'test', rule]).stdout,
      '1 of 1 case passed; 0 of 1 rule covered (--coverage names the others)\n',
    );
  });

  it('refuses mistakes in rules and in cases, and a lack of cases', () => {
    assert.equal(shikra(['rules', 'test', BAD]).code, 2);
    assert.equal(shikra(['rules', 'test', '/nowhere.yaml']).code, 2);
    const { code, stderr } = shikra(['rules', 'test', WARNED]);
    assert.equal(code, 2);
    assert.match(stderr, /no cases/);
  });
});

describe('shikra rules explain', () => {
  it('shows what a rule is made of', () => {
    const { code, stdout } = shikra(['rules', 'explain', 'Hashes read', GOOD]);
    assert.equal(code, 0);
    assert.ok(stdout.startsWith('Hashes read\n  d\n'));
    assert.ok(stdout.includes(`defined   ${GOOD}:1\n`));
    assert.ok(stdout.includes('  evt.type = openat and fd.name = /etc/shadow\n'));
  });

  it('prints JSON as Falco describes a rule', () => {
    const { info, details } = JSON.parse(shikra(['rules', 'explain', 'Hashes read', GOOD, '--json']).stdout);
    assert.equal(info.name, 'Hashes read');
    assert.deepEqual(details.condition_fields, ['evt.type', 'fd.name']);
    assert.deepEqual(details.events, ['openat']);
  });

  it('suggests a near name', () => {
    assert.deepEqual(shikra(['rules', 'explain', 'Hashes raed', GOOD]), {
      code: 2,
      stdout: '',
      stderr: "shikra: there is no rule 'Hashes raed'; did you mean 'Hashes read'?\n",
    });
  });
});

describe('shikra rules list', () => {
  it('has a line for each rule', () => {
    assert.equal(shikra(['rules', 'list', GOOD]).stdout, 'on   Warning        syscall    Hashes read\n');
  });

  it('prints JSON', () => {
    const { rules } = JSON.parse(shikra(['rules', 'list', GOOD, '--json']).stdout);
    assert.deepEqual(rules, [
      {
        name: 'Hashes read',
        enabled: true,
        priority: 'Warning',
        source: 'syscall',
        tags: [],
        ruleset: 'good',
        description: 'd',
      },
    ]);
  });
});

for (const command of [
  ['check'],
  ['fields'],
  ['rules', 'test'],
  ['rules', 'explain'],
  ['rules', 'list'],
  ['rules', 'schema'],
]) {
  it(`\`${command.join(' ')} --help\` teaches by examples`, () => {
    const { code, stdout } = shikra([...command, '--help']);
    assert.equal(code, 0);
    assert.match(stdout, /Examples:|In VS Code/);
  });
}
