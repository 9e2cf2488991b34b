import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type FilePosition,
  FileTail,
  type FileTailOptions,
  Positions,
  type TailNotice,
} from '../../../collector/sources/k8s-audit/index.ts';

/** A log in a folder of its own, and what is read of it. */
class Log {
  readonly folder: string;
  readonly path: string;
  readonly lines: (string | undefined)[] = [];
  readonly notices: TailNotice[] = [];
  position: FilePosition | undefined;
  #tail: FileTail | undefined;
  readonly #options: Partial<FileTailOptions>;

  constructor(t: TestContext, options: Partial<FileTailOptions> = {}) {
    this.folder = mkdtempSync(join(tmpdir(), 'shikra-tail-'));
    this.path = join(this.folder, 'audit.log');
    this.#options = options;
    t.after(async () => {
      await this.close();
      rmSync(this.folder, { recursive: true });
    });
  }

  beside(name: string): string {
    return join(this.folder, name);
  }

  append(...lines: string[]): void {
    appendFileSync(this.path, lines.map((line) => `${line}\n`).join(''));
  }

  /** As kube-apiserver does it: renamed, and made anew with the next event. Times of files are told apart by milliseconds. */
  async rotate(name: string): Promise<void> {
    renameSync(this.path, this.beside(name));
    await sleep(5);
  }

  /** Reads until there is nothing new for several looks. */
  async read(): Promise<(string | undefined)[]> {
    this.#tail ??= new FileTail({
      path: this.path,
      startAt: 'beginning',
      maxLineBytes: 1000,
      position: this.position,
      onNotice: (notice) => this.notices.push(notice),
      ...this.#options,
    });
    const from = this.lines.length;
    for (let idle = 0; idle < 4; ) {
      const chunk = await this.#tail.read();
      if (chunk === undefined) {
        idle++;
        continue;
      }
      idle = 0;
      this.lines.push(...chunk.lines.map(({ text }) => text));
      this.position = chunk.position;
    }
    return this.lines.slice(from);
  }

  /** The end of a reader, as of a process: the next one knows the position only. */
  async close(): Promise<void> {
    await this.#tail?.close();
    this.#tail = undefined;
  }

  get gaps(): string[] {
    return this.notices.filter(({ kind }) => kind === 'gap').map(({ message }) => message);
  }
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`);

describe('a log that grows', () => {
  it('is read from its end, and from its beginning if it appears later', async (t) => {
    const there = new Log(t, { startAt: 'end' });
    there.append('old');
    assert.deepEqual(await there.read(), []);
    there.append('new');
    assert.deepEqual(await there.read(), ['new']);

    const later = new Log(t, { startAt: 'end' });
    assert.deepEqual(await later.read(), []);
    later.append('first');
    assert.deepEqual(await later.read(), ['first']);
    assert.deepEqual(
      later.notices.map(({ message }) => message.replace(later.path, 'LOG')),
      ["'LOG' is not there yet: it is waited for", "'LOG' is read from its beginning"],
    );
  });

  it('keeps a line that is cut in the middle until its rest is there, at the end too', async (t) => {
    const log = new Log(t, { startAt: 'end' });
    appendFileSync(log.path, 'old\nhal');
    assert.deepEqual(await log.read(), []);
    const rest = Buffer.from('f ü\nnext\n');
    appendFileSync(log.path, rest.subarray(0, 3)); // in the middle of a character
    assert.deepEqual(await log.read(), []);
    appendFileSync(log.path, rest.subarray(3));
    assert.deepEqual(await log.read(), ['half ü', 'next']);
  });

  it('gives of a line that is too long only that it was there', async (t) => {
    const log = new Log(t, { maxLineBytes: 10 });
    log.append('0123456789', '0123456789a', 'x'.repeat(600_000), 'end');
    assert.deepEqual(await log.read(), ['0123456789', undefined, undefined, 'end']);
  });

  it('says on which line something stands, wherever reading began', async (t) => {
    const log = new Log(t);
    log.append(...numbered(1, 40_000));
    const tail = new FileTail({ path: log.path, startAt: 'end', maxLineBytes: 100 });
    t.after(() => tail.close());
    await tail.read();
    log.append('a', 'b', 'c');
    const chunk = (await tail.read())!;
    assert.deepEqual(
      chunk.lines.map(({ text }) => text),
      ['a', 'b', 'c'],
    );
    const places = [];
    for (const { offset } of [...chunk.lines, ...chunk.lines.toReversed()]) places.push(await chunk.lineAt(offset));
    assert.deepEqual(places, [40_001, 40_002, 40_003, 40_003, 40_002, 40_001]);
  });

  it('is read through a symbolic link, and where that leads to another file', async (t) => {
    const log = new Log(t);
    mkdirSync(log.beside('real'));
    writeFileSync(log.beside('real/one'), 'a\n');
    symlinkSync('real/one', log.path);
    assert.deepEqual(await log.read(), ['a']);
    writeFileSync(log.beside('real/two'), 'b\n');
    symlinkSync('real/two', log.beside('link'));
    renameSync(log.beside('link'), log.path);
    assert.deepEqual(await log.read(), ['b']);
  });

  it('that cannot be read is an error each time, and read once it can', async (t) => {
    const log = new Log(t);
    mkdirSync(log.path);
    await assert.rejects(log.read(), { message: `expected a file, got the folder '${log.path}'` });
    await assert.rejects(log.read());
    rmSync(log.path, { recursive: true });
    log.append('a');
    assert.deepEqual(await log.read(), ['a']);
  });
});

describe('a rotated log', () => {
  it('is read to its end under its new name, then the new one', async (t) => {
    const log = new Log(t);
    log.append('a');
    assert.deepEqual(await log.read(), ['a']);
    log.append('b');
    await log.rotate('audit-2026-11-21T22-00-00.123.log');
    log.append('c');
    assert.deepEqual(await log.read(), ['b', 'c']);
    await log.rotate('audit-2026-11-21T22-00-01.123.log');
    assert.deepEqual(await log.read(), []);
    log.append('d');
    assert.deepEqual(await log.read(), ['d']);
    assert.deepEqual(log.gaps, []);
  });

  it('is read file by file where it was rotated several times between two looks', async (t) => {
    const log = new Log(t);
    log.append('a');
    await log.read();
    for (let index = 1; index <= 5; index++) {
      log.append(`b${index}`);
      await log.rotate(`audit-2026-11-21T22-00-0${index}.000.log`);
    }
    log.append('c');
    writeFileSync(log.beside('audit-other.log'), 'not ours\n');
    writeFileSync(log.beside('audit.log.1.gz'), 'compressed\n');
    assert.deepEqual(await log.read(), ['b1', 'b2', 'b3', 'b4', 'b5', 'c']);
  });

  it('may be written to for a moment after its rename', async (t) => {
    const log = new Log(t);
    log.append('a');
    await log.read();
    await log.rotate('audit.log.1');
    writeFileSync(log.path, '');
    const old = log.beside('audit.log.1');
    const tail = new FileTail({ path: log.path, startAt: 'end', position: log.position, maxLineBytes: 100 });
    t.after(() => tail.close());
    assert.deepEqual((await tail.read())!.lines, []);
    assert.equal(await tail.read(), undefined);
    appendFileSync(old, 'late\n');
    assert.equal((await tail.read())!.lines[0]!.text, 'late');
  });

  it('gives its last line also without a newline', async (t) => {
    const log = new Log(t);
    appendFileSync(log.path, 'a\nlast');
    assert.deepEqual(await log.read(), ['a']);
    await log.rotate('audit.log.1');
    log.append('b');
    assert.deepEqual(await log.read(), ['last', 'b']);
  });

  it('is read anew when it was copied and cut, and the rest of it from the copy', async (t) => {
    const log = new Log(t);
    log.append(...numbered(1, 100));
    assert.equal((await log.read()).length, 100);
    log.append('unread');
    copyFileSync(log.path, log.beside('audit.log.1'));
    truncateSync(log.path);
    log.append('after');
    assert.deepEqual(await log.read(), ['unread', 'after']);
    assert.deepEqual(log.gaps, []);
  });

  it('is known as cut even if it has grown beyond what was read', async (t) => {
    const log = new Log(t);
    log.append('first event');
    await log.read();
    writeFileSync(log.path, 'another event, longer than the first\nand one more\n');
    assert.deepEqual(await log.read(), ['another event, longer than the first', 'and one more']);
    assert.deepEqual(
      log.notices.map(({ kind }) => kind),
      ['opened', 'cut'],
    );
  });
});

describe('after a restart', () => {
  it('a log goes on where it was left', async (t) => {
    const log = new Log(t, { startAt: 'end' });
    log.append('old');
    assert.deepEqual(await log.read(), []);
    await log.close();
    log.append('while away');
    assert.deepEqual(await log.read(), ['while away']);
    await log.close();
    assert.deepEqual(await log.read(), []);
    appendFileSync(log.path, 'ha');
    assert.deepEqual(await log.read(), []);
    await log.close();
    appendFileSync(log.path, 'lf\n');
    assert.deepEqual(await log.read(), ['half']);
  });

  it('files that were rotated away meanwhile are read first', async (t) => {
    const log = new Log(t);
    log.append('a');
    await log.read();
    await log.close();
    log.append('b');
    await log.rotate('audit-2026-11-21T22-00-00.000.log');
    log.append('c');
    await log.rotate('audit-2026-11-21T22-00-01.000.log');
    log.append('d');
    assert.deepEqual(await log.read(), ['b', 'c', 'd']);
    assert.deepEqual(log.gaps, []);
  });

  it('a copy that was made meanwhile is read before what was cut', async (t) => {
    const log = new Log(t);
    log.append(...numbered(1, 10));
    await log.read();
    await log.close();
    log.append('b');
    copyFileSync(log.path, log.beside('audit.log.1'));
    truncateSync(log.path);
    log.append('c');
    assert.deepEqual(await log.read(), ['b', 'c']);
  });

  it('a file that is gone is told, and all that is younger is read', async (t) => {
    const log = new Log(t);
    log.append('a');
    await log.rotate('audit.log.2');
    log.append('b');
    await log.read();
    assert.deepEqual(log.lines, ['b'], 'what was rotated away before the first look is not read');
    await log.close();
    await log.rotate('gone');
    unlinkSync(log.beside('gone'));
    log.append('c');
    await log.rotate('audit.log.1');
    log.append('d');
    assert.deepEqual(await log.read(), ['c', 'd']);
    assert.equal(log.gaps.length, 1);
    const [first] = log.gaps;
    const expected = `the file that '${log.path}' was is gone: its last events may be missing; '${log.beside('audit.log.1')}' is read from its beginning`;
    assert.equal(first, expected);
  });

  it('a new file with the inode of the old one is not taken for it', async (t) => {
    const log = new Log(t);
    log.append('the first event of the old file');
    await log.read();
    await log.close();
    // The same inode, as file systems give it to the next file: written in place it is kept for sure.
    writeFileSync(log.path, 'the first event of the new file\nthe second one, so that it is longer\n');
    assert.equal((await log.read()).length, 2);
  });
});

describe('positions', () => {
  const position = (offset: number): FilePosition => ({
    inode: '1:2',
    head: 'abc',
    headBytes: 3,
    offset,
    changedMillis: 1.5,
  });

  it('are written as a whole and found again, but for files that are no longer named', async (t) => {
    const log = new Log(t);
    const file = log.beside('made/positions.json');
    const positions = new Positions(file);
    await positions.load();
    positions.set('/a', position(1));
    positions.set('/b', position(2));
    await Promise.all([positions.save(), positions.save()]);
    positions.set('/a', position(3));
    await positions.save();
    const again = new Positions(file);
    await again.load();
    assert.deepEqual([again.get('/a'), again.get('/b')], [position(3), position(2)]);
    again.keep(['/a']);
    assert.equal(again.get('/b'), undefined);
  });

  it('that cannot be understood are an error', async (t) => {
    const log = new Log(t);
    const file = log.beside('positions.json');
    for (const [text, message] of [
      ['{', /JSON/],
      ['{"version":7}', /^expected positions of version 1, got 7$/],
    ] as const) {
      writeFileSync(file, text);
      await assert.rejects(new Positions(file).load(), { message });
    }
  });
});
