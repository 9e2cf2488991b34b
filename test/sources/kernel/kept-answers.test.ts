/**
 * What rules decided about a path, a program, or the manner of an open is kept and used again. The law: the answer is what it would be if nothing
 * were kept, whatever came before.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Engine } from '../../../collector/engine/engine.ts';
import { EventView } from '../../../collector/sources/kernel/event-view.ts';
import { KernelFields } from '../../../collector/sources/kernel/fields/index.ts';
import {
  ABIS,
  EVENT_TYPE_NAMES,
  EVENT_TYPES,
  FILE_KINDS,
  HEADER,
  OPEN,
} from '../../../collector/sources/kernel/layout.ts';
import { Memory } from '../../../collector/sources/kernel/memory.ts';
import { unknownProcess } from '../../../collector/sources/kernel/process.ts';
import { COLLECTED_EVENT_TYPES } from '../../../collector/sources/kernel/system-calls.ts';
import { bundledRulesPath, type CheckedRule, loadRules, readRuleFiles } from '../../../rules/index.ts';
import { openRecord } from '../../recording/made-up.ts';

const CONDITIONS = [
  'evt.is_open_read = true',
  'evt.is_open_write = true and evt.rawres >= 0',
  'evt.is_open_write = true or fd.name = /etc/shadow',
  'evt.rawres < 0',
  'evt.rawres = 3',
  'evt.rawres >= 3',
  'evt.rawres in (-2, 4)',
  'not (evt.rawres >= 0 and evt.is_open_exec = true)',
  'evt.failed = true and evt.res = ENOENT',
  "fd.typechar = 'f' and fd.name startswith /etc",
  'fd.type = directory',
  'evt.arg.flags contains O_CREAT and evt.arg.mode contains S_ISUID',
  'fd.nameraw contains ".."',
  'fs.path.nameraw startswith /etc and not fd.name startswith /etc',
  'shikra.evt.abi = compat and evt.is_open_read = true',
  'evt.rawres = val(fd.num) and evt.is_open_read = true',
];
const TEXT = CONDITIONS.map(
  (condition, index) =>
    `- rule: R${index}\n  desc: d\n  output: o\n  priority: INFO\n  condition: evt.type in (open, openat) and ${condition}\n`,
).join('');

interface Opened {
  readonly type: 'open' | 'openat';
  readonly path: string;
  readonly written: string;
  readonly flags: number;
  readonly mode: number;
  readonly kind: string;
  readonly result: number;
  readonly abi: string;
}

const opened: fc.Arbitrary<Opened> = fc.record({
  type: fc.constantFrom('open', 'openat'),
  path: fc.constantFrom('/etc/shadow', '/etc/passwd', '/tmp/a'),
  written: fc.constantFrom('', '/etc/shadow', '/tmp/../etc/shadow', '/etc/../tmp/a'),
  flags: fc.constantFrom(0, 1, 2, 0o100, 0o101, 0o1101),
  mode: fc.constantFrom(0, 0o644, 0o755, 0o4755),
  kind: fc.constantFrom('none', 'file', 'directory', 'memfd'),
  result: fc.constantFrom(0, 3, 4, 70_000, -2, -13),
  abi: fc.constantFrom('native', 'compat', 'io_uring'),
});

const path = (text: string, record: Buffer, ref: number, at: number): void => {
  record.write(text, at);
  record.writeUInt16LE(at, ref);
  record.writeUInt16LE(Buffer.byteLength(text), ref + 2);
};

function recordOf(event: Opened, number: number): Memory {
  const plain = openRecord(event.path, number);
  const record = Buffer.from(new ArrayBuffer(plain.length + 64));
  plain.copy(record);
  record.writeUInt16LE(EVENT_TYPES.get(event.type)!, HEADER.type);
  record.writeInt32LE(event.flags, OPEN.flags);
  record.writeUInt16LE(event.mode, OPEN.mode);
  record.writeUInt8(FILE_KINDS.get(event.kind)!, HEADER.kind);
  record.writeBigInt64LE(BigInt(event.result), HEADER.result);
  record.writeUInt8(ABIS.get(event.abi)!, HEADER.abi);
  if (event.written !== '') path(event.written, record, OPEN.path_raw, plain.length);
  return new Memory(record.buffer as ArrayBuffer);
}

function engineOf(rules: readonly CheckedRule[], keeps: boolean): Engine<EventView> {
  const names = { name: () => undefined };
  const fields = new KernelFields({
    table: { generation: 0 } as never,
    clock: { wallNs: BigInt },
    users: names,
    groups: names,
    hostname: 'h',
    domainNames: { of: () => [''] },
  });
  return new Engine({
    rules,
    resolver: keeps ? fields : { getter: (field, type) => fields.getter(field, type) },
    eventTypeNames: EVENT_TYPE_NAMES,
    collected: COLLECTED_EVENT_TYPES,
    matching: 'all',
    timeNs: (event) => event.u64(HEADER.time_ns),
  });
}

function answers(engine: Engine<EventView>, events: readonly Opened[]): string[][] {
  const view = new EventView();
  const caller = unknownProcess(77, 1e9, 0);
  return events.map((event, number) => {
    const matched: string[] = [];
    view.select(recordOf(event, number), 0, caller);
    engine.evaluate(view, ({ name }) => matched.push(name));
    return matched;
  });
}

function holdsFor(rules: readonly CheckedRule[], numRuns: number): void {
  const [keeping, forgetting] = [engineOf(rules, true), engineOf(rules, false)];
  fc.assert(
    fc.property(fc.array(opened, { minLength: 1, maxLength: 40 }), (events) => {
      assert.deepEqual(answers(keeping, events), answers(forgetting, events));
    }),
    { numRuns },
  );
}

describe('answers that are kept are those that would be found anew', () => {
  it('for rules about the manner of an open, its result, and the path as it was written', () => {
    const { rules, problems } = loadRules([{ path: 'r.yaml', text: TEXT }]);
    assert.deepEqual(
      problems.filter(({ severity }) => severity === 'error'),
      [],
    );
    assert.equal(rules.length, CONDITIONS.length);
    holdsFor(rules, 300);
  });

  it('for the bundled rules', async () => {
    const { files } = await readRuleFiles([bundledRulesPath()]);
    const rules = loadRules(files).rules.filter(({ source }) => source === 'syscall');
    holdsFor(rules, 30);
  });

  it('every rule of the first kind matches sometimes and sometimes does not', () => {
    const { rules } = loadRules([{ path: 'r.yaml', text: TEXT }]);
    const events = fc.sample(opened, { numRuns: 2000, seed: 1 });
    const matched = answers(engineOf(rules, true), events);
    for (const { name } of rules) {
      const count = matched.filter((names) => names.includes(name)).length;
      assert.ok(count > 0 && count < events.length, `${name}: ${count} of ${events.length}`);
    }
  });
});
