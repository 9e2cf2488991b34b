import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { matches, rulesetOf, ruleText } from './helper.ts';

const file = (path: string) => ({ 'fd.name': path, 'fd.directory': path.slice(0, path.lastIndexOf('/')) });

describe('a folder that is a symbolic link everywhere', () => {
  it('stands in a rule also for where it leads to', () => {
    const table: [string, Record<string, string | string[]>, boolean][] = [
      ['fd.name = /bin/su', file('/usr/bin/su'), true],
      ['fd.name = /bin/su', file('/bin/su'), true],
      ['fd.name = /bin/su', file('/usr/bin/sum'), false],
      ['fd.name startswith /bin/', file('/usr/bin/x'), true],
      ['fd.name startswith /bin', file('/usr/bin/x'), true],
      ['fd.name startswith /li', file('/usr/lib64/x'), true],
      ['fd.name startswith /b', file('/usr/sbin/x'), false],
      ['fd.name startswith anyof (/opt/, /sbin/)', file('/usr/sbin/x'), true],
      ['fd.name in (/etc/x, /lib/x)', file('/usr/lib/x'), true],
      ['fd.directory in (/bin, /sbin)', file('/usr/sbin/x'), true],
      ['fd.directory = /bin', file('/usr/local/bin/x'), false],
      ['fd.name pmatch (/lib/systemd)', file('/usr/lib/systemd/system/x'), true],
      ['fd.name glob /lib/*/x', file('/usr/lib/y/x'), true],
      ['fd.name startswith /var/run/', file('/run/docker.sock'), true],
      ['proc.exepath = /bin/bash', { 'proc.exepath': '/usr/bin/bash' }, true],
      ['proc.exepath startswith /usr/bin/', { 'proc.exepath': '/bin/bash' }, false],
      ['proc.aexepath = /bin/bash', { 'proc.aexepath': ['/usr/bin/x', '/usr/bin/bash'] }, true],
      ['proc.cwd = /bin/', { 'proc.cwd': '/usr/bin/' }, true],
      ['evt.arg.path = /bin/x', { 'evt.arg[path]': '/usr/bin/x' }, true],
      ['not not fd.name = /bin/su', file('/usr/bin/su'), true],
      ['fd.name exists and not (fd.name exists and not fd.name = /bin/su)', file('/usr/bin/su'), true],
    ];
    for (const [condition, event, holds] of table) assert.equal(matches(condition, event), holds, condition);
  });

  it('is nothing but itself in what excuses: no rule matches less', () => {
    const event = { ...file('/usr/bin/su'), 'proc.exepath': '/usr/bin/su' };
    for (const condition of [
      'fd.name exists and not fd.name = /bin/su',
      'fd.name != /bin/su',
      'fd.name exists and not fd.name startswith /bin/',
      'proc.exepath exists and not (fd.name exists and proc.exepath in (/bin/su))',
      'fd.name exists and not not not fd.name pmatch (/bin)',
    ])
      assert.equal(matches(condition, event), true, condition);
  });

  it('is nothing but itself in what is no path, or was written by the caller', () => {
    for (const [condition, event] of [
      ['fd.nameraw = /bin/su', { 'fd.nameraw': '/usr/bin/su' }],
      ['proc.cmdline startswith /bin/su', { 'proc.cmdline': '/usr/bin/su' }],
      ['proc.exe = /bin/su', { 'proc.exe': '/usr/bin/su' }],
      ['fd.name regex "/bin/s."', file('/usr/bin/su')],
      ['fd.name startswith oneof (/bin/, /x)', file('/usr/bin/su')],
    ] as const)
      assert.equal(matches(condition, event), false, condition);
  });

  it('means each in a macro that is used both ways', () => {
    const event = { 'proc.exepath': '/usr/bin/su', 'fd.name': '/usr/bin/su' };
    const fires = (condition: string) => {
      const text = `- macro: is_su\n  condition: (proc.exepath = /bin/su)\n${ruleText(condition)}`;
      return rulesetOf(text).evaluator('open')?.(event, 0) === 0;
    };
    assert.equal(fires('evt.type = open and is_su'), true);
    assert.equal(fires('evt.type = open and not is_su'), true);
  });
});
