/** What becomes of recordings that are cut off, damaged, of another version, or made to harm. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { ShikraError } from '../../collector/errors.ts';
import { BLOCK_HEADER_BYTES, checksum, KIND, PREAMBLE_BYTES } from '../../collector/recording/format.ts';
import { RecordingReader } from '../../collector/recording/reader.ts';
import { Replay } from '../../collector/recording/replay.ts';
import { EVENT_TYPE_NAMES, HEADER } from '../../collector/sources/kernel/layout.ts';
import { FIELDS } from '../../rules/index.ts';
import { header, makeUp, openRecord, RULES, writeEntries } from './made-up.ts';
import { checkedRules } from './recorded-run.ts';

let folder: string;
let file: string;
let whole: Buffer;
/** Where the header's block ends. */
let headerEnd: number;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'shikra-damage-'));
  file = join(folder, 'recording');
  makeUp(file);
  whole = readFileSync(file);
  headerEnd = PREAMBLE_BYTES + BLOCK_HEADER_BYTES + whole.readUInt32LE(PREAMBLE_BYTES + 8);
});
after(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly outputs: readonly string[];
  /** What a user is told; undefined if all is well. */
  readonly told: string | undefined;
}

function outcomeOf(bytes: Uint8Array, rules = RULES): Outcome {
  writeFileSync(file, bytes);
  return outcome(rules);
}

function outcome(rules = RULES): Outcome {
  let reader: RecordingReader;
  try {
    reader = new RecordingReader(file);
  } catch (error) {
    assert.ok(error instanceof ShikraError, String(error));
    return { outputs: [], told: error.message };
  }
  try {
    const replay = new Replay(reader, { rules, matching: 'all' });
    const outputs = [...replay.run()].flat().map(({ output }) => output);
    return { outputs, told: replay.damage && `${replay.damage.offset}: ${replay.damage.what}` };
  } finally {
    reader.close();
  }
}

function errorOf(bytes: Uint8Array): string {
  const { told } = outcomeOf(bytes);
  return told!.replace(file, 'FILE');
}

const OUTPUTS = [0, 1, 2].map(
  (number) => `/made/up/${number} by somebody, 2026-11-21T22:00:01.00000000${number}Z on recorded-host`,
);

function assertBeginning(outputs: readonly string[]): void {
  assert.deepEqual(outputs, OUTPUTS.slice(0, outputs.length));
}

describe('a recording', () => {
  it('that is whole is replayed whole', () => {
    assert.deepEqual(outcomeOf(whole), { outputs: OUTPUTS, told: undefined });
  });

  it('that is cut off anywhere is replayed as far as it goes, and says where that is', () => {
    for (let length = 0; length < whole.length; length++) {
      const { outputs, told } = outcomeOf(whole.subarray(0, length));
      assert.ok(told !== undefined, `cut at ${length}`);
      assert.match(told, length === 0 ? /empty/ : /\d+: |at byte \d+/, `cut at ${length}`);
      assertBeginning(outputs);
    }
  });

  it('in which any one byte is another is replayed up to there, and says so', () => {
    for (let offset = 0; offset < whole.length; offset++) {
      const bytes = Buffer.from(whole);
      bytes[offset] = bytes[offset]! ^ (1 << (offset % 8));
      const { outputs, told } = outcomeOf(bytes);
      assert.ok(told !== undefined, `flipped at ${offset}`);
      assertBeginning(outputs);
    }
  });

  it('that lacks a block, has one twice, or goes on after its end, says so', () => {
    const second = headerEnd + BLOCK_HEADER_BYTES + whole.readUInt32LE(headerEnd + 8);
    const third = second + BLOCK_HEADER_BYTES + whole.readUInt32LE(second + 8);
    const without = outcomeOf(Buffer.concat([whole.subarray(0, second), whole.subarray(third)]));
    assert.deepEqual(without, { outputs: OUTPUTS.slice(0, 1), told: `${second}: expected block 2, got block 3` });
    const twice = outcomeOf(Buffer.concat([whole.subarray(0, third), whole.subarray(second)]));
    assert.deepEqual(twice, { outputs: OUTPUTS.slice(0, 2), told: `${third}: expected block 3, got block 2` });
    const longer = outcomeOf(Buffer.concat([whole, Buffer.from('more and more of it')]));
    assert.deepEqual(longer, { outputs: OUTPUTS, told: `${whole.length}: no block begins there` });
  });

  it('that its recorder could not end says so', () => {
    makeUp(file, { ended: false });
    const { outputs, told } = outcome();
    assert.deepEqual(outputs, OUTPUTS);
    assert.match(told!, /^\d+: it was not ended: whoever recorded it was killed, ran out of space, or records still$/);
  });

  it('that is none is refused', () => {
    const start = 'the recording cannot be read: FILE: ';
    assert.equal(errorOf(Buffer.alloc(0)), `${start}the file is empty`);
    assert.equal(errorOf(Buffer.from('SHI')), `${start}it is cut off at byte 3, within its first 16`);
    assert.equal(
      errorOf(Buffer.from('rules:\n- no recording\n')),
      `${start}it is no recording: it begins with other bytes`,
    );
    assert.equal(errorOf(whole.subarray(0, 16)), `${start}it is cut off at byte 16, before its header`);
    const block = 'the checksum of the block that begins there is wrong';
    const bytes = Buffer.from(whole);
    bytes[100] = 0;
    assert.equal(errorOf(bytes), `${start}it is damaged at byte 16, before anything was recorded: ${block}`);
  });

  it('of another format is refused by its version', () => {
    const bytes = Buffer.from(whole);
    bytes.writeUInt32LE(2, 8);
    bytes.writeUInt32LE(checksum(bytes.subarray(0, 12)), 12);
    assert.equal(
      errorOf(bytes),
      'the recording is of another build of Shikra: FILE: its format has version 2, this build reads version 1',
    );
  });

  it('of another layout is refused with what is different', () => {
    const { layout } = header();
    const other = { ...layout, OPEN: { ...layout.OPEN!, path: 8 }, FORK: { ...layout.FORK!, added: 96 } };
    makeUp(file, { header: { layout: other, version: '9.9.9' } });
    assert.throws(outcome, (error: ShikraError) => {
      assert.equal(error.code, 'RECORDING_INCOMPATIBLE');
      const start = 'Shikra 9.9.9 recorded it, whose records are laid out otherwise: ';
      assert.ok(error.detail.startsWith(start), error.detail);
      assert.ok(error.detail.includes('FORK.added is 96 there, missing here'), error.detail);
      assert.ok(error.detail.includes(`OPEN.path is 8 there, ${layout.OPEN!.path} here`), error.detail);
      return true;
    });
  });

  it('of a build that knew fewer event types is replayed', () => {
    const { layout } = header();
    const types = Object.entries(layout.EVENT_TYPES!).slice(0, -1);
    makeUp(file, { header: { layout: { ...layout, EVENT_TYPES: Object.fromEntries(types) } } });
    assert.deepEqual(outcome(), { outputs: OUTPUTS, told: undefined });
  });

  it('with whole blocks of nonsense ends no replay but by saying so', () => {
    const kinds = fc.constantFrom(...Object.values(KIND), 0, 99, KIND.CONTAINER | 0x8000_0000);
    const json = fc.constantFrom({ users: 1 }, { type: 'known', metadata: { id: 'x' } }, [], null, { events: -1 });
    const data = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      json.map((value) => Buffer.from(JSON.stringify(value))),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(kinds, data), { maxLength: 6 }), (entries) => {
        writeEntries(file, [
          ...entries.map(([kind, bytes]) => [kind >>> 0, bytes] as const),
          [KIND.EVENT, openRecord('/made/up/0', 0)],
        ]);
        assert.notEqual(outcome().told, undefined);
      }),
      { numRuns: 150 },
    );
  });

  it('with events of any content is replayed, whatever the rules ask for', () => {
    const asked = [...FIELDS.values()]
      .filter(({ name, argument, filterOnly }) => argument !== 'required' && !filterOnly && !/^(ka|jevt)\./.test(name))
      .map(({ name }) => `%${name}`);
    const rules = checkedRules(
      JSON.stringify([
        { rule: 'All', desc: 'd', condition: 'evt.num > 0', output: asked.join(' '), priority: 'DEBUG' },
      ]),
    );
    const types = fc.integer({ min: 1, max: EVENT_TYPE_NAMES.length - 1 });
    fc.assert(
      fc.property(types, fc.uint8Array({ minLength: 400, maxLength: 1000 }), (type, bytes) => {
        const record = Buffer.from(bytes);
        record.writeUInt16LE(type, HEADER.type);
        record.writeUInt16LE(record.length, HEADER.size);
        writeEntries(file, [[KIND.EVENT, record]]);
        assert.match(outcome(rules).told!, /it was not ended/);
      }),
      { numRuns: 150 },
    );
  });
});
