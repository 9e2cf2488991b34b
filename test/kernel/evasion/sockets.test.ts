import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { Capture } from '../capture.ts';
import { attempt, noEffect, told } from './attempt.ts';
import { buildEvade, event, events } from './evade.ts';

const skip = process.arch === 'x64' ? false : 'there is no such convention here';
let capture: Capture;

before(async () => {
  buildEvade();
  capture = await Capture.start();
});

after(() => capture.close());

const PEER = ['fd.rip', 'fd.rport', 'fd.sip', 'fd.sport', 'fd.l4proto', 'fd.type', 'evt.rawres'];
const peer = (port: number, result: number, l4proto = 'udp') => ({
  'fd.rip': '127.0.0.1',
  'fd.rport': port,
  'fd.sip': '127.0.0.1',
  'fd.sport': port,
  'fd.l4proto': l4proto,
  'fd.type': 'ipv4',
  'evt.rawres': result,
});
const SENT = [
  ...PEER,
  'fd.connected',
  'fd.name_changed',
  'evt.buffer',
  'evt.arg.data',
  'evt.arg.flags',
  'evt.is_io',
  'evt.is_io_read',
  'evt.is_io_write',
  'evt.io_dir',
];
const sent = (port: number, result: number, data: string, more: object = {}) => ({
  ...peer(port, result),
  'fd.connected': false,
  'fd.name_changed': true,
  'evt.buffer': data,
  'evt.arg.data': data,
  'evt.arg.flags': 0,
  'evt.is_io': true,
  'evt.is_io_read': false,
  'evt.is_io_write': true,
  'evt.io_dir': 'w',
  ...more,
});

attempt(34, 'sendto without a connect tells where the datagram goes, and its first bytes', {}, () => {
  const found = event(capture, 'sendto', ['sendto', '9'], SENT);
  assert.deepEqual(found.fields, sent(9, 7, 'payload'));
  return told(found, 'fd.sip', 'fd.sport', 'evt.buffer');
});

test('sendto on a connected socket changes nothing about it', () => {
  const { fields } = event(capture, 'sendto', ['send-connected', '9'], SENT);
  assert.deepEqual(fields, sent(9, 7, 'payload', { 'fd.connected': true, 'fd.name_changed': false }));
});

attempt(34, 'a connection that the first data opens (MSG_FASTOPEN) is told where it goes', {}, () => {
  const found = event(capture, 'sendto', ['fastopen', '1'], [...PEER, 'evt.res']);
  assert.ok(found.result < 0);
  assert.deepEqual(found.fields, { ...peer(1, found.result, 'tcp'), 'evt.res': 'ECONNREFUSED' });
  return told(found, 'fd.sip', 'fd.sport');
});

attempt(34, 'sendmsg tells the receiver, and the start of the first part', {}, () => {
  const found = event(capture, 'sendmsg', ['sendmsg', '9'], SENT);
  assert.deepEqual(found.fields, sent(9, 7, 'pay'));
  return told(found, 'fd.sip', 'fd.sport', 'evt.buffer');
});

attempt([8, 34], 'each message of sendmmsg is told: the second may go elsewhere', {}, () => {
  const { found } = events(capture, 'sendmmsg', ['sendmmsg', '9', '10'], SENT);
  assert.deepEqual(
    found.map(({ fields }) => fields),
    [sent(9, 2, 'pay'), sent(10, 2, 'second')],
  );
  return told(found[1]!, 'fd.sip', 'fd.sport', 'evt.buffer');
});

for (const [type, result] of [
  ['recvfrom', 7],
  ['recvmsg', 7],
  ['recvmmsg', 1],
] as const) {
  test(`${type} tells who sent, and the first bytes`, () => {
    const names = ['fd.cip', 'fd.sip', 'fd.is_server', 'fd.name_changed', 'evt.rawres', 'evt.io_dir', 'evt.is_io_read'];
    const { fields } = event(capture, type, [type, '0'], [...names, 'fd.cport', 'evt.buffer', 'fd.l4proto']);
    assert.ok(Number(fields['fd.cport']) > 0);
    const { 'fd.cport': _port, 'evt.buffer': data, ...rest } = fields;
    assert.equal(String(data).slice(0, 7), 'payload');
    assert.deepEqual(rest, {
      'fd.cip': '127.0.0.1',
      'fd.sip': '127.0.0.1',
      'fd.is_server': true,
      'fd.name_changed': true,
      'evt.rawres': result,
      'evt.io_dir': 'r',
      'evt.is_io_read': true,
      'fd.l4proto': 'udp',
    });
  });
}

test('bytes are compared as bytes, whatever characters they would be', () => {
  const { fields } = event(capture, 'sendto', ['sendto-bytes', '9'], ['evt.buffer']);
  assert.equal(fields['evt.buffer'], '\u00ca\u00fe\u00ba\u00be\u0000\u00ff');
});

attempt(10, 'a 32-bit program that makes its socket calls by one multiplexer is told by what it does', { skip }, () => {
  const connected = event(capture, 'connect', ['connect-socketcall', '9'], [...PEER, 'shikra.evt.abi']);
  assert.deepEqual(connected.fields, { ...peer(9, 0), 'shikra.evt.abi': 'compat' });
  const made = event(capture, 'socket', ['connect-socketcall', '9'], ['evt.arg.domain', 'evt.arg.type', 'fd.num']);
  assert.deepEqual(made.fields, { 'evt.arg.domain': 'AF_INET', 'evt.arg.type': 2, 'fd.num': 3 });
  const { fields } = event(capture, 'sendto', ['sendto-socketcall', '9'], [...PEER, 'evt.buffer']);
  assert.deepEqual(fields, { ...peer(9, 7), 'evt.buffer': 'payload' });
  return told(connected, 'fd.sip', 'fd.sport', 'shikra.evt.abi');
});

test('a connect that does not wait is told with the address that it goes to', async (t) => {
  const { fields } = event(capture, 'connect', ['connect-nonblocking', '1'], ['fd.sip', 'fd.sport', 'evt.failed']);
  assert.deepEqual(fields, { 'fd.sip': '127.0.0.1', 'fd.sport': 1, 'evt.failed': true });
  t.diagnostic('the loopback answers at once, so the result is either refused or in progress');
});

attempt(34, 'a socket that was duplicated twice is still told by its peer', {}, async (t) => {
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const names = ['fd.sip', 'fd.sport', 'fd.type', 'fd.num'];
  const found = event(capture, 'dup2', ['duplicated-socket', String(port)], names);
  assert.deepEqual(found.fields, { 'fd.sip': '127.0.0.1', 'fd.sport': port, 'fd.type': 'ipv4', 'fd.num': 100 });
  return told(found, 'fd.sip', 'fd.num');
});

attempt(34, 'an abstract unix socket has a name, though no file', {}, () => {
  const found = event(capture, 'connect', ['abstract'], ['fd.name', 'fd.type', 'evt.res']);
  assert.deepEqual(found.fields, { 'fd.name': '@hidden', 'fd.type': 'unix', 'evt.res': 'SUCCESS' });
  return told(found, 'fd.name', 'fd.type');
});

attempt(33, 'addresses that no program has are unreadable, and nothing worse', { expect: 'no effect' }, () => {
  const { all } = events(capture, 'connect', ['odd-pointers'], ['evt.res']);
  const told = all.filter(({ type }) => ['connect', 'open', 'openat', 'sendmsg'].includes(type));
  assert.deepEqual(
    told.map(({ type, fields }) => [type, fields['evt.res']]),
    [
      ['connect', 'EFAULT'],
      ['connect', 'EFAULT'],
      ['openat', 'EFAULT'],
      ['sendmsg', 'EFAULT'],
    ],
  );
  return noEffect('`connect` `openat` `sendmsg` with `evt.res=EFAULT`; machine and agent go on');
});
