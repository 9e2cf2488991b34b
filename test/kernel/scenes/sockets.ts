import type { Expected, Scene } from './scene.ts';

/** Ports of these scenes alone: below those that are given to whoever asks for any. */
const HERE = 11_411;
const THERE = 11_412;
const V4 = '127.0.0.1';

interface Side {
  readonly address: string;
  readonly port: number;
}

const here: Side = { address: V4, port: HERE };
const there: Side = { address: V4, port: THERE };

/** What rules would call the addresses of these scenes. */
export const DOMAIN_NAMES = { 'four.test': [V4], 'six.test': ['::1'] };
/** The names of an address as conditions have them: of one that no rule has a name for, an empty one. */
const namesOf = (address: string) => [address === V4 ? 'four.test' : address === '::1' ? 'six.test' : ''];

/** Everything that is said of an internet socket. */
function sides(
  local: Side,
  remote: Side,
  isServer: boolean,
  transport: 'tcp' | 'udp',
  version: '4' | '6' = '4',
): Readonly<Record<string, Expected>> {
  const [client, server] = isServer ? [remote, local] : [local, remote];
  const addresses = [local.address, remote.address];
  return {
    'fd.type': `ipv${version}`,
    'fd.typechar': version,
    'fd.sockfamily': 'ip',
    'fd.l4proto': transport,
    'fd.is_server': isServer,
    'fd.name': `${client.address}:${client.port}->${server.address}:${server.port}`,
    'fd.ip': addresses,
    'fd.net': addresses,
    'fd.port': [String(local.port), String(remote.port)],
    'fd.lip': local.address,
    'fd.lnet': local.address,
    'fd.lport': local.port,
    'fd.rip': remote.address,
    'fd.rnet': remote.address,
    'fd.rport': remote.port,
    'fd.cip': client.address,
    'fd.cnet': client.address,
    'fd.cport': client.port,
    'fd.sip': server.address,
    'fd.snet': server.address,
    'fd.sport': server.port,
    'fd.lip.name': namesOf(local.address),
    'fd.rip.name': namesOf(remote.address),
    'fd.cip.name': namesOf(client.address),
    'fd.sip.name': namesOf(server.address),
    'evt.category': 'net',
  };
}

/** `evt.args` says a connection as client->server. */
const tupleOf = (client: Side, server: Side) => `${client.address}:${client.port}->${server.address}:${server.port}`;
const v4 = ({ address, port }: Side) => `v4:${address}:${port}`;
const NOBODY: Side = { address: '0.0.0.0', port: 0 };

const PAYLOAD = 'payload';
const SENT: Readonly<Record<string, Expected>> = {
  'evt.buffer': PAYLOAD,
  'evt.arg.data': PAYLOAD,
  'evt.is_io': true,
  'fd.connected': false,
  'fd.name_changed': true,
};

export const SOCKETS: readonly Scene[] = [
  {
    type: 'socket',
    call: () => ['socket', 17, 3, 0],
    fields: {
      'fd.num': ({ result }) => result,
      'evt.arg.domain': 'AF_PACKET',
      'evt.rawarg.domain': 17,
      'evt.args': ({ result }) => `fd=${result} domain=17(AF_PACKET) type=3 proto=0`,
    },
  },
  {
    type: 'connect',
    call: () => ['connect', v4(there), 2, v4(here)],
    fields: {
      ...sides(here, there, false, 'udp'),
      'fd.num': 3,
      'fd.connected': true,
      'fd.name_changed': true,
      'evt.args': `res=0 tuple=${tupleOf(here, there)} fd=3(<4u>${tupleOf(here, there)})`,
    },
  },
  {
    type: 'connect',
    what: 'by IPv6',
    call: () => ['connect', `v6:::1:${THERE}`, 2, `v6:::1:${HERE}`],
    fields: {
      ...sides({ address: '::1', port: HERE }, { address: '::1', port: THERE }, false, 'udp', '6'),
      'fd.connected': true,
    },
  },
  {
    type: 'connect',
    what: 'that is refused',
    call: () => ['connect', v4({ address: V4, port: 1 }), 1],
    fields: {
      'fd.rip': V4,
      'fd.rport': 1,
      'fd.connected': false,
      'fd.name_changed': false,
      'evt.arg.res': 'ECONNREFUSED',
    },
  },
  {
    type: 'connect',
    what: 'to a path',
    call: (path) => ['connect', `unix:${path}.none`, 1],
    fields: {
      'fd.type': 'unix',
      'fd.typechar': 'u',
      'fd.sockfamily': 'unix',
      'fd.name': ({ at }) => `${at}.none`,
      'fd.ip': undefined,
      'fd.l4proto': undefined,
      'evt.args': ({ at }) => `res=-2(ENOENT) tuple=${at}.none fd=3(<u>${at}.none)`,
    },
  },
  {
    type: 'bind',
    call: () => ['bind', v4(here)],
    fields: {
      ...sides(here, NOBODY, true, 'tcp'),
      'fd.connected': false,
      'fd.name_changed': false,
      'evt.args': `res=0 addr=${V4}:${HERE} fd=3(<4t>${tupleOf(NOBODY, here)})`,
    },
  },
  {
    type: 'bind',
    what: 'to a path',
    call: (path) => ['bind', `unix:${path}.socket`],
    fields: {
      'fd.type': 'unix',
      'fd.name': ({ at }) => `${at}.socket`,
      'evt.args': ({ at }) => `res=0 addr=${at}.socket fd=3(<u>${at}.socket)`,
    },
  },
  {
    type: 'listen',
    call: () => ['listen', v4(here), 17],
    fields: {
      ...sides(here, NOBODY, true, 'tcp'),
      'fd.connected': false,
      'evt.args': `res=0 fd=3(<4t>${tupleOf(NOBODY, here)}) backlog=17`,
    },
  },
  ...['accept', 'accept4'].map(
    (type): Scene => ({
      type,
      call: () => [type, v4(here), v4(there)],
      fields: {
        ...sides(here, there, true, 'tcp'),
        'fd.num': ({ result }) => result,
        'fd.connected': true,
        'evt.args': ({ result }) => `fd=${result}(<4t>${tupleOf(there, here)}) tuple=${tupleOf(there, here)}`,
      },
    }),
  ),
  ...['sendto', 'sendmsg', 'sendmmsg'].map(
    (type): Scene => ({
      type,
      call: () => [type, v4(here), v4(there)],
      fields: {
        ...sides(here, there, false, 'udp'),
        ...SENT,
        'evt.is_io_read': false,
        'evt.is_io_write': true,
        'evt.io_dir': 'w',
        'evt.args': ({ result }) =>
          `res=${result} data=payload fd=3(<4u>${tupleOf(here, there)}) tuple=${tupleOf(here, there)}`,
      },
    }),
  ),
  // What recvmmsg had received was told with what stood behind it in the caller's buffer, as far as the buffer went.
  ...['recvfrom', 'recvmsg', 'recvmmsg'].map((type): Scene => {
    const tuple = tupleOf(here, there);
    return {
      type,
      call: () => [type, v4(here), v4(there)],
      fields: {
        ...sides(there, here, true, 'udp'),
        ...SENT,
        'evt.is_io_read': true,
        'evt.is_io_write': false,
        'evt.io_dir': 'r',
        'evt.args': ({ result }) => `res=${result} data=payload tuple=${tuple} fd=4(<4u>${tuple})`,
      },
    };
  }),
];
