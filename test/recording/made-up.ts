import { writeFileSync } from 'node:fs';
import { KIND } from '../../collector/recording/format.ts';
import type { RecordingHeader } from '../../collector/recording/header.ts';
import { recordLayout } from '../../collector/recording/record-layout.ts';
import { RecordingWriter } from '../../collector/recording/writer.ts';
import { EVENT_TYPES, HEADER, OPEN, STRUCT_BYTES } from '../../collector/sources/kernel/layout.ts';
import { COLLECTED_EVENT_TYPES } from '../../collector/sources/kernel/system-calls.ts';
import { checkedRules } from './recorded-run.ts';

const PID = 77;
const START_NS = 1_000_000_000n;

export const RULES_TEXT = `- rule: Opened
  desc: d
  condition: evt.type = openat and fd.name startswith /made/up
  output: '%fd.name by %user.name, %evt.time on %evt.hostname'
  priority: NOTICE
`;
export const RULES = checkedRules(RULES_TEXT);

export function header(changes: Partial<RecordingHeader> = {}): RecordingHeader {
  return {
    version: '0.1.0',
    startedAt: '2026-11-21T22:00:00.000Z',
    hostname: 'recorded-host',
    bootId: '6f1ad0c5-9c0b-4d3e-8f0a-2b8c6f1c9a11',
    kernel: '6.18.0',
    arch: 'x64',
    clockOffsetNs: '1795298400000000000',
    eventTypes: [...COLLECTED_EVENT_TYPES],
    captureEnv: [],
    processTableEntries: 1024,
    hasContainerEngines: false,
    containerHoldMillis: 500,
    layout: recordLayout(),
    ...changes,
  };
}

/** A record as the probe writes it. */
export function openRecord(path: string, number: number): Buffer {
  const start = STRUCT_BYTES.open_event;
  const record = Buffer.alloc((start + Buffer.byteLength(path) + 7) & ~7);
  record.writeUInt16LE(EVENT_TYPES.get('openat')!, HEADER.type);
  record.writeUInt16LE(record.length, HEADER.size);
  record.writeBigUInt64LE(START_NS + BigInt(number), HEADER.time_ns);
  record.writeUInt32LE(PID, HEADER.pid);
  record.writeUInt32LE(PID, HEADER.tid);
  record.writeUInt32LE(1000, HEADER.uid);
  record.write(path, start);
  for (const ref of [OPEN.path, OPEN.path_raw]) {
    record.writeUInt16LE(start, ref);
    record.writeUInt16LE(Buffer.byteLength(path), ref + 2);
  }
  return record;
}

export interface MadeUp {
  readonly header?: Partial<RecordingHeader>;
  /** How many files are opened; each is a block of its own. */
  readonly opens?: number;
  readonly losses?: Readonly<Record<string, number>>;
  readonly ended?: boolean;
}

/** A recording of nothing that ever happened: small, and without root. */
export function makeUp(path: string, options: MadeUp = {}): void {
  const { opens = 3, losses = {}, ended = true } = options;
  const writer = new RecordingWriter(path, header(options.header), true);
  const json = (kind: number, value: unknown) => writer.append(kind, Buffer.from(JSON.stringify(value)));
  json(KIND.NAMES, { users: { 1000: 'somebody' }, groups: {} });
  const nothing = Buffer.alloc(8);
  nothing.writeUInt32LE(PID);
  writer.append(KIND.PROCESSES, nothing); // the process was gone
  for (let i = 0; i < opens; i++) {
    writer.append(KIND.EVENT, openRecord(`/made/up/${i}`, i));
    writer.flush();
  }
  if (ended) json(KIND.END, { events: opens, seconds: 1, losses });
  writer.close();
}

/** Entries of any content, in whole blocks. */
export function writeEntries(path: string, entries: readonly (readonly [kind: number, data: Uint8Array])[]): void {
  const writer = new RecordingWriter(path, header(), true);
  for (const [kind, data] of entries) writer.append(kind, data);
  writer.close();
}

export function writeBytes(path: string, bytes: Uint8Array): void {
  writeFileSync(path, bytes);
}
