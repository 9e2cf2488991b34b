import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FIELDS, fieldText, findField, holdsPath } from '../../rules/index.ts';

describe('the field catalogue', () => {
  it('names each field once, with a description', () => {
    const names = [...FIELDS.keys()];
    assert.equal(new Set(names).size, names.length);
    for (const { name, description, argument, argumentKind } of FIELDS.values()) {
      assert.match(name, /^[a-z0-9]+(\.[a-zA-Z0-9_]+)+$/);
      assert.ok(description.length > 3, name);
      assert.equal(argument === 'none', argumentKind === undefined, name);
    }
  });

  it('has the number of fields that Falco lists', () => {
    const count = (prefix: RegExp) => [...FIELDS.keys()].filter((name) => prefix.test(name)).length;
    assert.equal(count(/^fd\./), 46);
    assert.equal(count(/^fdlist\./), 6);
    assert.equal(count(/^fs\.path\./), 6);
    assert.equal(count(/^(user|group)\./), 8);
    assert.equal(count(/^(container\.|k8s\.|proc\.is_container_)/), 61);
    assert.equal(count(/^ka\./), 100);
    assert.equal(count(/^(json|jevt)\./), 6);
  });

  it('finds a field with its argument, however it is written', () => {
    assert.deepEqual(findField('evt.arg.flags')?.reference, { name: 'evt.arg', argument: 'flags' });
    assert.deepEqual(findField('evt.arg', 'flags')?.reference, { name: 'evt.arg', argument: 'flags' });
    assert.deepEqual(findField('evt.type.is.open')?.reference, { name: 'evt.type.is', argument: 'open' });
    assert.deepEqual(findField('k8s.pod.label.app.kubernetes.io/name')?.reference, {
      name: 'k8s.pod.label',
      argument: 'app.kubernetes.io/name',
    });
    assert.deepEqual(findField('proc.name')?.reference, { name: 'proc.name' });
    assert.equal(findField('proc.name.x'), undefined);
    assert.equal(findField('constructor'), undefined);
  });

  it('writes a field as rules do', () => {
    assert.equal(fieldText({ name: 'evt.arg', argument: 'flags' }), 'evt.arg.flags');
    assert.equal(fieldText({ name: 'proc.aname', argument: '2' }), 'proc.aname[2]');
    assert.equal(fieldText({ name: 'proc.name' }), 'proc.name');
  });

  it('knows which fields hold paths', () => {
    for (const name of [
      'fd.name',
      'fd.directory',
      'fd.filename',
      'fs.path.target',
      'evt.arg.path',
      'evt.arg.newpath',
    ]) {
      assert.equal(holdsPath(findField(name)!), true, name);
    }
    for (const name of ['proc.name', 'evt.arg.flags', 'fd.nameraw'])
      assert.equal(holdsPath(findField(name)!), false, name);
  });
});
