import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { AttributeList } from '../../collector/detection/attribute-list.ts';
import type { AttributeValue } from '../../collector/detection/attribute-value.ts';
import { compactText } from '../../collector/detection/compact.ts';

const value = (): fc.Arbitrary<AttributeValue> =>
  fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true }), fc.boolean(), fc.array(fc.string()));
const name = () => fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('__proto__', 'constructor', '1', 'file.path'));

it('makes the same object of attributes as filling it one by one, whatever came before', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name(), value())), (pairs) => {
      const list = new AttributeList();
      for (const [key, of] of pairs) list.set(key, of);
      const plain = Object.fromEntries(pairs);
      assert.deepEqual(list.toObject(), plain);
      assert.equal(JSON.stringify(list.toObject()), JSON.stringify(plain));
      assert.notEqual(list.toObject(), list.toObject(), 'each its own');
    }),
  );
});

it('gives the same text back', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(compactText(text), text)));
});
