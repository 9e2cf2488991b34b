/**
 * `otlp-sink.ts FILE`: a receiver of OTLP over HTTP in a process of its own, as a real one is. It takes every request and remembers of each record its
 * `log.record.uid` and how long it was on its way. Says `{ url }` to its parent at the start, and {@link Arrived} whenever it is told something; the uids are in
 * FILE then, one a line, as often as they came.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messages } from '../test/fixtures/protobuf.ts';

export interface Arrived {
  readonly records: number;
  /** From the kernel's time of the event to its record being here, in milliseconds. */
  readonly latencyMillis: { readonly p50: number; readonly p99: number; readonly max: number };
}

const UID_KEY = 'log.record.uid';
const UUID_LENGTH = 36;
/** From the key's end to the uid: tag and length of the AnyValue, then of the string in it. */
const TO_UID = 4;

const uids: string[] = [];
const latencies: number[] = [];

/** Looks for what it wants instead of decoding all: the receiver shares the machine with what is measured. */
function take(body: Buffer, arrivedMillis: number): void {
  for (const resourceLogs of messages(body, 1))
    for (const scopeLogs of messages(resourceLogs, 2))
      for (const record of messages(scopeLogs, 2)) {
        const uid = record.indexOf(UID_KEY) + UID_KEY.length + TO_UID;
        uids.push(record.toString('latin1', uid, uid + UUID_LENGTH));
        // time_unix_nano is the first field: a tag, then eight bytes.
        latencies.push(arrivedMillis - Number(record.readBigUInt64LE(1) / 1000n) / 1000);
      }
}

function arrived(): Arrived {
  const sorted = Float64Array.from(latencies).sort();
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return { records: uids.length, latencyMillis: { p50: at(0.5), p99: at(0.99), max: at(1) } };
}

const server = createServer((request, reply) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    take(Buffer.concat(chunks), Date.now());
    reply.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.send!({ url: `http://127.0.0.1:${port}` });
});
process.on('message', () => {
  writeFileSync(process.argv[2]!, uids.map((uid) => `${uid}\n`).join(''));
  process.send!(arrived());
});
process.on('disconnect', () => process.exit());
