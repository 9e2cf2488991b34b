/** The probe copies short names word by word, long ones by a helper, and compares the path with what the caller wrote: each has its seams. */
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Capture } from './capture.ts';

/** Around each multiple of a word, and the longest. */
const LENGTHS = [...Array.from({ length: 41 }, (_, n) => n + 1), 63, 64, 65, 127, 128, 129, 254, 255];

let capture: Capture;
let folder: string;

before(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'shikra-paths-')));
  capture = await Capture.start();
});

after(() => {
  capture?.close();
  rmSync(folder, { recursive: true });
});

/** A name of which every byte says where it stands. */
const name = (length: number): string =>
  Array.from({ length }, (_, at) => String.fromCharCode(97 + ((at + length) % 26))).join('');

/** What is told of a file that is opened by this path. */
function told(path: string): unknown {
  const events = capture.all(() => closeSync(openSync(path, 'a')), ['fd.name', 'fd.nameraw']);
  const ours = events.filter(({ pid, fields }) => pid === process.pid && fields['fd.nameraw'] === path);
  assert.equal(ours.length, 1, path);
  return ours[0]!.fields['fd.name'];
}

describe('the path of an opened file is right', () => {
  test('whatever the length of its name', () => {
    for (const length of LENGTHS) {
      const path = join(folder, name(length));
      assert.equal(told(path), path);
      assert.equal(told(`${folder}//${name(length)}`), path);
    }
  });

  test('whatever the length of a folder on its way', () => {
    for (const length of LENGTHS) {
      const within = join(folder, 'on', 'the', 'way', name(length));
      mkdirSync(within, { recursive: true });
      assert.equal(told(join(within, 'file')), join(within, 'file'));
    }
  });

  test('where the caller wrote another that differs in one letter', () => {
    const real = name(40);
    for (let at = 0; at < real.length; at++) {
      const other = `${real.slice(0, at)}-${real.slice(at + 1)}`;
      symlinkSync(real, join(folder, other));
      assert.equal(told(join(folder, other)), join(folder, real));
    }
  });
});
