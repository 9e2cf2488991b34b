/** The gRPC client against the official server, and what comes over the wire when it goes wrong. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Server, ServerCredentials, type ServerWritableStream, status } from '@grpc/grpc-js';
import { GRPC_STATUS, GrpcChannel, GrpcError } from '../../collector/containers/grpc.ts';
import { encode, encodeMap, Message } from '../../collector/protobuf.ts';
import { fields, text } from '../fixtures/protobuf.ts';

const same = (bytes: Buffer) => bytes;
const method = (path: string, responseStream: boolean) => ({
  path: `/test.Service/${path}`,
  requestStream: false,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});

function socketFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'shikra-grpc-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, 'server.sock');
}

async function serve(t: TestContext): Promise<{ channel: GrpcChannel; server: Server }> {
  const socket = socketFor(t);
  const server = new Server();
  server.addService(
    {
      Echo: method('Echo', false),
      Fail: method('Fail', false),
      Hang: method('Hang', false),
      Count: method('Count', true),
    },
    {
      Echo: (
        call: { request: Buffer; metadata: { get(key: string): unknown[] } },
        answer: (e: null, b: Buffer) => void,
      ) => answer(null, Buffer.concat([call.request, Buffer.from(call.metadata.get('containerd-namespace').join())])),
      Fail: (_: unknown, answer: (error: object) => void) =>
        answer({ code: status.NOT_FOUND, details: 'container "ä b" not found' }),
      Hang: () => {},
      Count: (call: ServerWritableStream<Buffer, Buffer>) => {
        for (let i = 0; i < 1000; i++) call.write(Buffer.alloc(i % 100, i % 256));
        call.end();
      },
    },
  );
  await new Promise((resolve) => server.bindAsync(`unix://${socket}`, ServerCredentials.createInsecure(), resolve));
  const channel = new GrpcChannel(socket);
  t.after(() => {
    channel.close();
    server.forceShutdown();
  });
  return { channel, server };
}

test('gives the answer to a call, with its metadata', async (t) => {
  const { channel } = await serve(t);
  const metadata = { 'containerd-namespace': 'k8s.io' };
  assert.equal(String(await channel.unary('test.Service/Echo', Buffer.from('hello '), { metadata })), 'hello k8s.io');
  const large = Buffer.alloc(3_000_000, 7);
  assert.deepEqual(await channel.unary('test.Service/Echo', large), large);
});

test('tells what the server refused, in its words', async (t) => {
  const { channel } = await serve(t);
  await assert.rejects(channel.unary('test.Service/Fail', Buffer.alloc(0)), (error: GrpcError) => {
    assert.deepEqual([error.status, error.message], [GRPC_STATUS.notFound, 'container "ä b" not found']);
    return true;
  });
  await assert.rejects(channel.unary('test.Service/Nothing', Buffer.alloc(0)), { status: GRPC_STATUS.unimplemented });
});

test('gives up a call that is not answered, and goes on with others', async (t) => {
  const { channel } = await serve(t);
  await assert.rejects(channel.unary('test.Service/Hang', Buffer.alloc(0), { timeoutMillis: 50 }), {
    status: GRPC_STATUS.deadlineExceeded,
    message: 'test.Service/Hang: no answer in time',
  });
  assert.equal(String(await channel.unary('test.Service/Echo', Buffer.from('on'))), 'on');
});

test('gives every message of a stream, and its end', async (t) => {
  const { channel } = await serve(t);
  const lengths: number[] = [];
  const stream = channel.stream('test.Service/Count', Buffer.alloc(0), {}, ({ length }) => lengths.push(length));
  assert.equal(await stream.ended, undefined);
  assert.deepEqual(
    lengths,
    Array.from({ length: 1000 }, (_, i) => i % 100),
  );
});

test('ends all calls when the server goes, and those made afterwards', async (t) => {
  const { channel, server } = await serve(t);
  const call = assert.rejects(channel.unary('test.Service/Hang', Buffer.alloc(0)), GrpcError);
  const stream = channel.stream('test.Service/Hang', Buffer.alloc(0), {}, () => {});
  await channel.unary('test.Service/Echo', Buffer.alloc(1)); // both have arrived there
  server.forceShutdown();
  await call;
  assert.ok((await stream.ended) instanceof GrpcError);
  await assert.rejects(channel.unary('test.Service/Echo', Buffer.alloc(0)), { status: GRPC_STATUS.unavailable });
});

test('says why nothing can be asked where nobody listens', async (t) => {
  const channel = new GrpcChannel(socketFor(t));
  await assert.rejects(channel.unary('test.Service/Echo', Buffer.alloc(0)), /ENOENT/);
  channel.close();
  channel.close();
});

const ANSWERS: readonly (readonly [what: string, bytes: Buffer, error: RegExp])[] = [
  ['a compressed message', Buffer.from([1, 0, 0, 0, 0]), /compressed/],
  ['a message of 4 GiB', Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), /a message of 4294967295 bytes/],
  ['half a message', Buffer.from([0, 0, 0, 0, 9, 1]), /the answer is empty/],
];

for (const [what, bytes, error] of ANSWERS) {
  test(`refuses ${what}`, async (t) => {
    const socket = socketFor(t);
    const server = createServer();
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => {});
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const channel = new GrpcChannel(socket);
    t.after(() => {
      channel.close();
      server.close();
    });
    await assert.rejects(channel.unary('test.Service/Echo', Buffer.alloc(0)), error);
  });
}

test('writes messages that others read, and reads them again', () => {
  const bytes = encode({
    1: 'text',
    2: 300,
    3: true,
    4: ['a', 'b'],
    5: encodeMap({ key: 'value', other: '' }),
    6: encode({ 1: 'inner' }),
    7: undefined,
    8: 2 ** 40,
  });
  assert.deepEqual(
    fields(bytes).map(({ number }) => number),
    [1, 2, 3, 4, 4, 5, 5, 6, 8],
  );
  assert.equal(text(bytes, 1), 'text');
  const message = new Message(bytes);
  assert.equal(message.text(1), 'text');
  assert.equal(message.integer(2), 300n);
  assert.equal(message.flag(3), true);
  assert.deepEqual(message.texts(4), ['a', 'b']);
  assert.deepEqual(message.map(5), { key: 'value', other: '' });
  assert.equal(message.message(6).text(1), 'inner');
  assert.equal(message.integer(8), 2n ** 40n);
});

test('has the defaults of what a message lacks, and passes over what it does not know', () => {
  const message = new Message(Buffer.from([0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7d, 1, 2, 3, 4]));
  assert.deepEqual([message.text(1), message.integer(2), message.flag(3)], ['', 0n, false]);
  assert.deepEqual([message.texts(4), message.map(5), message.message(6).text(1)], [[], {}, '']);
});

test('reads a number below zero', () => {
  const minusOne = Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
  assert.equal(new Message(minusOne).integer(1), -1n);
});

for (const [what, bytes, message] of [
  ['a text that is cut', [0x0a, 9, 1], 'a protobuf message ends within a field'],
  ['a number that is cut', [0x08, 0x80], 'a protobuf message ends within a field'],
  [
    'a number without end',
    [0x08, ...Array<number>(12).fill(0x80)],
    'a number of a protobuf message is longer than ten bytes',
  ],
  ['a group', [0x0b], 'a protobuf message has a field of the unknown wire type 3'],
] as const) {
  test(`refuses ${what}`, () => {
    assert.throws(() => new Message(Buffer.from(bytes)), { message });
  });
}
