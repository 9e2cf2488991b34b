import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Memory } from '../../../collector/sources/kernel/memory.ts';
import { StringCache } from '../../../collector/sources/kernel/string-cache.ts';

const START = 16;

/** As the probe writes it: from a multiple of 8, with zeros up to the next. */
function written(text: string): { memory: Memory; length: number } {
  const bytes = Buffer.from(text);
  const memory = new Memory(new ArrayBuffer(START + ((bytes.length + 8) & ~7)));
  memory.bytes.set(bytes, START);
  return { memory, length: bytes.length };
}

function get(cache: StringCache, text: string) {
  const { memory, length } = written(text);
  return cache.get(memory, START, length);
}

test('gives the text of the bytes, whatever came before', () => {
  const cache = new StringCache(4);
  for (let round = 0; round < 3; round++) {
    for (let length = 1; length < 300; length++) {
      const text = `/${'é/ü'.repeat(length)}`.slice(0, length);
      assert.equal(get(cache, text).text, text);
    }
  }
});

test('tells texts apart that differ in one byte, or in their length alone', () => {
  const cache = new StringCache();
  const text = '/usr/lib/x86_64-linux-gnu/libcrypto.so.3';
  const others = [...text].map((_, at) => `${text.slice(0, at)}~${text.slice(at + 1)}`);
  const all = [text, ...others, text.slice(0, -1), `${text}\0`];
  for (let round = 0; round < 2; round++) for (const each of all) assert.equal(get(cache, each).text, each);
});

/** Paths had one place each: of two thousand in use every ninth pushed another out and was pushed out by it, again and again, and rules had to decide anew each time. */
test('remembers some thousand paths in use, next to all of them', () => {
  const cache = new StringCache();
  const paths = Array.from({ length: 3000 }, (_, i) => `/usr/lib/modules/${i % 7}/build/include/file-${i}.h`);
  for (const path of paths) get(cache, path);
  const first = paths.map((path) => get(cache, path));
  const again = paths.filter((path, i) => get(cache, path) === first[i]);
  assert.ok(again.length >= 0.99 * paths.length, `${again.length} of ${paths.length}`);
});
