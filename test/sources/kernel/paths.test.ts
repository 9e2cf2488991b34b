import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withoutOwnRoot } from '../../../collector/sources/kernel/paths.ts';

const isOwn = (folder: string) => ['self', 'thread-self', '77'].includes(folder);

describe('a path through the root of the process itself', () => {
  for (const [path, expected] of [
    ['/proc/self/root/etc/shadow', '/etc/shadow'],
    ['/proc/self/root', '/'],
    ['/proc/77/root/etc', '/etc'],
    ['/proc/thread-self/root/etc', '/etc'],
    ['/proc/self/task/78/root/etc', '/etc'],
    ['//proc/./self//root/./etc', '/etc'],
    ['/tmp/../proc/self/root/etc', '/etc'],
    ['/proc/self/root/../etc', '/etc'], // above a root there is nothing
    ['/proc/self/root/proc/self/root/proc/77/root/etc/../usr', '/usr'],
  ] as const)
    it(`${path} is ${expected}`, () => assert.equal(withoutOwnRoot(path, isOwn), expected));

  for (const path of [
    '/etc/shadow',
    '/root/proc',
    '/proc/78/root/etc',
    '/proc/self/rooted/etc',
    '/proc/self/cwd/root/etc',
    '/srv/proc/self/root/etc',
    '/proc/self/task/root',
  ])
    it(`${path} is none`, () => assert.equal(withoutOwnRoot(path, isOwn), undefined));
});
