import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rulesetOf, ruleText } from './helper.ts';
import type { TestEvent } from './interpret.ts';

function render(output: string, event: TestEvent) {
  const text = ruleText('evt.type = open').replace('output: o', `output: ${JSON.stringify(output)}`);
  return rulesetOf(text).rules[0]!.render(event);
}

describe('outputs', () => {
  it('fill in fields and report them under the name that the rule gives', () => {
    assert.deepEqual(
      render('file=%fd.name up=%proc.aname[2] flags=%evt.arg.flags', {
        'fd.name': '/x',
        'proc.aname[2]': 'sshd',
        'evt.arg[flags]': 'O_RDONLY',
      }),
      {
        output: 'file=/x up=sshd flags=O_RDONLY',
        fields: { 'fd.name': '/x', 'proc.aname[2]': 'sshd', 'evt.arg.flags': 'O_RDONLY' },
      },
    );
  });

  it('show <NA> for what is missing, and report null', () => {
    assert.deepEqual(render('*a %fd.name.', {}), { output: 'a <NA>.', fields: { 'fd.name': null } });
  });

  it('take the longest name that exists', () => {
    assert.equal(
      render('%proc.name_x %proc.names%proc.pid,%evt.num', { 'proc.name': 'a', 'proc.pid': 5, 'evt.num': 9n }).output,
      'a_x as5,9',
    );
  });

  it('pad and cut to a width', () => {
    assert.equal(render('[%5proc.name][%2proc.name]', { 'proc.name': 'bash' }).output, '[bash ][ba]');
  });

  it('show lists in parentheses and report them as lists', () => {
    assert.deepEqual(render('%ka.req.role.rules', { 'ka.req.role.rules': ['a', 'b'] }), {
      output: '(a,b)',
      fields: { 'ka.req.role.rules': ['a', 'b'] },
    });
  });

  it('transform, and report the fields inside', () => {
    assert.deepEqual(render('%toupper(proc.name) %basename(fd.name)', { 'proc.name': 'a', 'fd.name': '/x/y' }), {
      output: 'A y',
      fields: { 'proc.name': 'a', 'fd.name': '/x/y' },
    });
  });

  it('drop the container summary that no longer exists', () => {
    assert.equal(render('a %container.info b', {}).output, 'a  b');
  });
});
