import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createGetopt } from '../../rules/language/getopt.ts';
import { matches, problemsOf, ruleText } from './helper.ts';

describe('getopt', () => {
  const TABLE: [specification: string, args: string, all: string][] = [
    ['ab', '-a -b', 'a b'],
    ['ab', '-ab', 'a b'],
    ['a:b', '-a x -b', 'a x b'],
    ['a:b', '-ax -b', 'a x b'],
    ['a:b', '-bax', 'b a x'],
    ['ab', '-a file -b', 'a'],
    ['ab', '-a -- -b', 'a'],
    ['ab', '--long -b', 'b'],
    ['ab', '-a - -b', 'a'],
    ['a', '-x -a', '? a'],
    ['a:', '-a', '?'],
    ['a:', '-a --', 'a --'],
    ['', '-a', '?'],
    ['a', '', ''],
  ];
  for (const [specification, args, all] of TABLE)
    it(`of '${args}' with '${specification}' is '${all}'`, () =>
      assert.equal(createGetopt(specification).all(args.split(' ').filter(Boolean)).join(' '), all));

  it('gives the last value of an option, or its letter', () => {
    const getopt = createGetopt('a:b');
    assert.equal(getopt.last(['-a', '1', '-a2'], 'a'), '2');
    assert.equal(getopt.last(['-b'], 'b'), 'b');
    assert.equal(getopt.last(['-b'], 'a'), undefined);
  });

  it('stands in conditions, with lists and with texts', () => {
    const event = { 'proc.args': '-l -p 4444', 'fd.types': ['-e', 'sh'], 'proc.name': 'sh' };
    const table: [string, boolean][] = [
      ['getopt(proc.args, "lp:")[p] = 4444', true],
      ['getopt(proc.args, "lp:")[l] exists', true],
      ['getopt(proc.args, "lp:e")[e] exists', false],
      ['getopt(proc.args, "lp:") intersects (p)', true],
      ['getopt(proc.args, "lp:") in (l, p, "4444")', true],
      ['getopt(proc.args, "lp:") in (l, p)', false],
      ['len(getopt(proc.args, "lp:")) = 3', true],
      ['join(" ", getopt(proc.args, "lp:")) = "l p 4444"', true],
      ['toupper(getopt(fd.types, "e:")[e]) = SH', true],
      ['getopt(("-e", proc.name), "e:")[e] = sh', true],
      ['getopt(("-e", proc.pname), "e:")[e] exists', false],
      ['getopt(proc.pname, "e:")[e] exists', false],
    ];
    for (const [condition, holds] of table) assert.equal(matches(condition, event), holds, condition);
  });

  it('is refused where it makes no sense', () => {
    const message = (condition: string) =>
      problemsOf(ruleText(condition))[0]
        ?.split('\n')[0]
        ?.replace(/^.*'R': /, '');
    assert.equal(
      message('getopt(proc.args, proc.name)[a] = b'),
      `the options of 'getopt' are not a constant; expected letters such as "ab:c"`,
    );
    assert.equal(
      message('getopt(proc.pid, "ab")[a] = b'),
      "transformer 'getopt' cannot be used on this argument; expected a field or list of texts",
    );
    assert.equal(
      message('getopt(proc.args, "ab:")[c] = b'),
      "'c' is not among the options of 'getopt'; expected one of a b",
    );
    assert.equal(message('toupper(proc.name)[a] = b'), "transformer 'toupper' takes no index");
  });
});

describe('a text that looks like something else', () => {
  const message = (condition: string) =>
    problemsOf(ruleText(condition))[0]
      ?.split('\n')[0]
      ?.replace(/^.*'R': /, '');
  it('is warned of', () => {
    assert.equal(
      message('proc.name = proc.pname'),
      "'proc.pname' is a field, but stands here as a text; expected val(proc.pname) to compare with the field",
    );
    assert.equal(
      message('proc.name in (a, "proc.aname[2]")'),
      "'proc.aname[2]' is a field, but stands here as a text; expected val(proc.aname[2]) to compare with the field",
    );
    assert.equal(
      message('proc.name = "toupper(proc.pname)"'),
      "'toupper(proc.pname)' is a transformer, but stands here as a text; expected the same without quotes",
    );
    assert.equal(message('proc.name in (apt.conf, proc.nothing, system.slice)'), undefined);
  });
});

describe('evt.rawarg', () => {
  it('is a number where it is compared with one', () => {
    const event = { 'evt.rawarg[flags]': 32, 'evt.rawarg[data]': 'abc' };
    const table: [string, boolean][] = [
      ['evt.rawarg.flags = 0x20', true],
      ['evt.rawarg.flags >= 32', true],
      ['evt.rawarg[flags] > 32', false],
      ['evt.rawarg.flags in (31, 32)', true],
      ['evt.rawarg.flags != 32', false],
      ['evt.rawarg.data contains b', true],
      ['evt.rawarg.data bcontains 6263', true],
      ['evt.rawarg.data = abc', true],
    ];
    for (const [condition, holds] of table) assert.equal(matches(condition, event), holds, condition);
  });

  it('is what it is in each check of one condition', () => {
    const event = { 'evt.rawarg[type]': 5 };
    assert.equal(matches('evt.rawarg.type = 5 and evt.rawarg.type contains 5', event), true);
    assert.equal(matches('evt.rawarg.type contains 5 and evt.rawarg.type in (4, 5)', event), true);
    assert.equal(matches('evt.rawarg.type = x or evt.rawarg.type startswith 6', event), false);
  });

  it('is never but a number where no event has anything else', () => {
    const message = (condition: string) => problemsOf(ruleText(condition))[0]?.split('\n')[0];
    assert.match(
      message('evt.rawarg.flags = O_RDONLY') ?? '',
      /'O_RDONLY' is not a valid value for 'evt\.rawarg\.flags'; expected an integer$/,
    );
    assert.match(
      message('evt.rawarg.flags contains O_CREAT') ?? '',
      /operator 'contains' is not supported for type INT64 of 'evt\.rawarg\.flags'/,
    );
    assert.equal(message('evt.rawarg.fd = val(fd.num)'), undefined);
    assert.equal(message('evt.rawarg.path contains x'), undefined);
  });
});

describe('several values at once', () => {
  const event = { 'proc.aname': ['bash', 'sshd', 'systemd'], 'proc.aname[2]': 'sshd', 'proc.apid': ['12', '7', '1'] };

  it('are counted and joined', () => {
    const table: [string, boolean][] = [
      ['len(proc.aname) = 3', true],
      ['len(proc.apid) > 3', false],
      ['join(">", proc.aname) = "bash>sshd>systemd"', true],
      ['join(",", proc.apid) startswith "12,7"', true],
      ['toupper(join(" ", proc.aname)) contains "BASH SSHD"', true],
      ['len(proc.aname[2]) = 4', true],
      ['len(proc.aexepath) = 0', true],
      ['join(",", proc.aexepath) exists', false],
    ];
    for (const [condition, holds] of table) assert.equal(matches(condition, event), holds, condition);
  });

  it('are no text that could be changed', () => {
    const expected = (condition: string) => problemsOf(ruleText(condition))[0]?.split('\n')[0]?.split('; expected ')[1];
    assert.equal(expected('tolower(proc.aname) = x'), 'text or fields of text with one value');
    assert.equal(expected('join(",", fd.ip) = x'), 'text, a list, or a field with a value for each ancestor');
    assert.equal(expected('len(fd.port) = 1'), 'text, a list, or a field with a value for each ancestor');
  });
});
