import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { CALL_TABLES, INTEREST, SYSCALL_TABLE_ENTRIES } from '../../../collector/sources/kernel/layout.ts';
import { allOf, COLLECTED_EVENT_TYPES, interestsFor } from '../../../collector/sources/kernel/system-calls.ts';

/** Of linux/unistd for i386, and of the headers that say what is behind them. */
const MULTIPLEXERS = [
  { name: 'socketcall', number: 102, header: '/usr/include/linux/net.h', calls: /^#define SYS_(\w+)\s/gm },
  { name: 'ipc', number: 117, header: '/usr/include/linux/ipc.h', calls: /^#define ((?:SEM|MSG|SHM)\w+)\s+\d/gm },
] as const;

for (const { name, number, header, calls } of MULTIPLEXERS) {
  it(`looks at the 32-bit multiplexer ${name} if, and only if, a call behind it has an event`, (t) => {
    if (!existsSync(header)) return t.skip(`no ${header}`);
    const behind = [...readFileSync(header, 'utf8').matchAll(calls)].map(([, call]) => call!.toLowerCase());
    assert.ok(behind.length >= 12, behind.join());
    const told = behind.filter((call) => COLLECTED_EVENT_TYPES.includes(call));
    const { interests } = interestsFor(allOf(COLLECTED_EVENT_TYPES), 'x64');
    const at = (CALL_TABLES.get('compat')! * SYSCALL_TABLE_ENTRIES + number) * INTEREST.sizeBytes;
    const isLookedAt = Buffer.from(interests).readUInt16LE(at + INTEREST.type) !== 0;
    assert.equal(isLookedAt, told.length > 0, told.join());
  });
}
