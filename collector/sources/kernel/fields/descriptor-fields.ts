import type { EventView } from '../event-view.ts';
import { DESCRIPTOR, FILE_KINDS, OPEN, SOCKET, SOCKET_INFO } from '../layout.ts';
import { type ArgumentGetter, type FieldTable, type Getter, plain } from './context.ts';

/** fd.type by enum file_kind. Falco calls every file that is no directory `file`. */
const KIND_NAMES: Readonly<Record<string, string>> = {
  file: 'file',
  directory: 'directory',
  character_device: 'file',
  block_device: 'file',
  pipe: 'pipe',
  ipv4: 'ipv4',
  ipv6: 'ipv6',
  unix: 'unix',
  netlink: 'netlink',
  socket: 'socket',
  memfd: 'memfd',
  anonymous: 'event',
  symlink: 'file',
  unknown: 'unknown',
  eventpoll: 'eventpoll',
  inotify: 'inotify',
  signalfd: 'signalfd',
  timerfd: 'timerfd',
  userfaultfd: 'userfaultfd',
  io_uring: 'io_uring',
  pidfd: 'pidfd',
  bpf: 'bpf',
};
const KIND_LETTERS: Readonly<Record<string, string>> = {
  file: 'f',
  directory: 'd',
  character_device: 'f',
  block_device: 'f',
  pipe: 'p',
  ipv4: '4',
  ipv6: '6',
  unix: 'u',
  netlink: 'n',
  memfd: 'm',
  anonymous: 'e',
};
/** Files that lie in no folder, by the beginning of the name that the kernel has for them: fd.type and fd.typechar. */
const WITHOUT_PLACE: readonly (readonly [name: string, type: string, letter: string])[] = [
  ['[eventfd', 'event', 'e'],
  ['[eventpoll', 'eventpoll', 'l'],
  ['inotify', 'inotify', 'i'],
  ['[signalfd', 'signalfd', 's'],
  ['[timerfd', 'timerfd', 't'],
  ['[userfaultfd', 'userfaultfd', 'u'],
  ['[io_uring', 'io_uring', 'r'],
  ['[pidfd', 'pidfd', 'P'],
  ['bpf', 'bpf', 'b'],
  ['btf', 'bpf', 'b'],
  ['memfd:', 'memfd', 'm'],
];
const NAMES: readonly (string | undefined)[] = [...FILE_KINDS.keys()].map((kind) => KIND_NAMES[kind]);
const LETTERS: readonly (string | undefined)[] = [...FILE_KINDS.keys()].map((kind) => KIND_LETTERS[kind] ?? 'o');
const KIND_IPV4 = FILE_KINDS.get('ipv4')!;
const KIND_IPV6 = FILE_KINDS.get('ipv6')!;
const KIND_UNIX = FILE_KINDS.get('unix')!;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;

/** Name of a kind for proc.stdin.type and its kin. */
export function kindName(kind: number): string | undefined {
  return NAMES[kind];
}

function family(event: EventView): number {
  if (event.shape === 'socket')
    return event.u16(SOCKET.socket + SOCKET_INFO.family) || event.u16(SOCKET.asked + SOCKET_INFO.family);
  return event.shape === 'descriptor' ? event.u16(DESCRIPTOR.socket + SOCKET_INFO.family) : 0;
}

function kind(event: EventView): number {
  switch (event.shape) {
    case 'open':
    case 'descriptor':
      return event.kind;
    case 'socket': {
      const of = family(event);
      return of === AF_INET ? KIND_IPV4 : of === AF_INET6 ? KIND_IPV6 : of === AF_UNIX ? KIND_UNIX : 0;
    }
    default:
      return 0;
  }
}

const SLASH = 0x2f;

function withoutPlace(event: EventView): (typeof WITHOUT_PLACE)[number] | undefined {
  const name = event.shape === 'descriptor' && family(event) === 0 ? event.path : undefined;
  if (name === undefined || name.charCodeAt(0) === SLASH) return undefined;
  return WITHOUT_PLACE.find(([beginning]) => name.startsWith(beginning));
}

const typeName: Getter = (event) => withoutPlace(event)?.[1] ?? NAMES[kind(event)];
const typeLetter: Getter = (event) =>
  withoutPlace(event)?.[2] ?? (kind(event) === 0 ? undefined : LETTERS[kind(event)]);

const addresses = new Map<number, string>();

function addressText(event: EventView, at: number, ofFamily: number): string {
  if (ofFamily === AF_INET) return v4Text(event.u32(at));
  if (event.u32(at) === 0 && event.u32(at + 4) === 0 && event.u32(at + 8) === 0xffff0000)
    return v4Text(event.u32(at + 12));
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((event.u16(at + 2 * i) & 0xff) << 8) | (event.u16(at + 2 * i) >>> 8),
  );
  return compressV6(groups);
}

/** An IPv4 address in network order, read as a little-endian number; texts are remembered. */
function v4Text(address: number): string {
  let text = addresses.get(address);
  if (text === undefined) {
    if (addresses.size > 16384) addresses.clear();
    text = `${address & 0xff}.${(address >>> 8) & 0xff}.${(address >>> 16) & 0xff}.${address >>> 24}`;
    addresses.set(address, text);
  }
  return text;
}

/** RFC 5952: the longest run of two or more zero groups becomes `::`. */
export function compressV6(groups: readonly number[]): string {
  const text = groups.map((group) => group.toString(16)).join(':');
  const runs = text.match(/(?:^|(?<=:))0(?::0)+(?=:|$)/g) ?? [];
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  if (longest === '') return text;
  const at = text.search(new RegExp(`(?:^|(?<=:))${longest}(?=:|$)`));
  return `${text.slice(0, at).replace(/:$/, '')}::${text.slice(at + longest.length).replace(/^:/, '')}`;
}

/** Where the socket's addresses stand in the record; -1 if it has none. */
function socketAt(event: EventView): number {
  if (event.shape === 'socket') return SOCKET.socket;
  return event.shape === 'descriptor' ? DESCRIPTOR.socket : -1;
}

function isInternet(of: number): boolean {
  return of === AF_INET || of === AF_INET6;
}

const localAddress: Getter = (event) => {
  const of = family(event);
  return isInternet(of) ? addressText(event, socketAt(event) + SOCKET_INFO.local_address, of) : undefined;
};

/** The peer as the kernel's socket has it; of a call that failed, as it was asked for. */
const remoteAddress: Getter = (event) => {
  const of = family(event);
  return isInternet(of) ? addressText(event, remoteAt(event) + SOCKET_INFO.remote_address, of) : undefined;
};

function remoteAt(event: EventView): number {
  const at = socketAt(event);
  return event.shape === 'socket' && event.u16(at + SOCKET_INFO.remote_port) === 0 && NAMES_PEER.has(event.typeName)
    ? SOCKET.asked
    : at;
}

const SENDS: ReadonlySet<string> = new Set(['sendto', 'sendmsg', 'sendmmsg']);
const RECEIVES: ReadonlySet<string> = new Set(['recvfrom', 'recvmsg', 'recvmmsg']);
/** Calls that say themselves who is on the other side. */
const NAMES_PEER: ReadonlySet<string> = new Set(['connect', ...SENDS, ...RECEIVES]);

/** A datagram that names its peer itself: the descriptor has an address that it had not before, and will have another with the next. */
function namesPeer(event: EventView): boolean | undefined {
  if (family(event) === 0) return undefined;
  if (event.typeName === 'connect') return event.result >= 0;
  if (!SENDS.has(event.typeName) && !RECEIVES.has(event.typeName)) return false;
  return event.u16(SOCKET.socket + SOCKET_INFO.remote_port) === 0 && event.u16(SOCKET.asked + SOCKET_INFO.family) !== 0;
}

const localPort: Getter = (event) =>
  isInternet(family(event)) ? event.u16(socketAt(event) + SOCKET_INFO.local_port) : undefined;
const remotePort: Getter = (event) =>
  isInternet(family(event)) ? event.u16(remoteAt(event) + SOCKET_INFO.remote_port) : undefined;

/** The process takes connections here: it accepted, listens or bound. A connected socket in a dup tells by which port is known: unknown is client. */
function isServer(event: EventView): boolean {
  return (
    event.typeName === 'accept' ||
    event.typeName === 'accept4' ||
    event.typeName === 'listen' ||
    event.typeName === 'bind' ||
    (RECEIVES.has(event.typeName) && event.u16(SOCKET.socket + SOCKET_INFO.remote_port) === 0)
  );
}

const clientAddress: Getter = (event) => (isServer(event) ? remoteAddress(event) : localAddress(event));
const serverAddress: Getter = (event) => (isServer(event) ? localAddress(event) : remoteAddress(event));
const clientPort: Getter = (event) => (isServer(event) ? remotePort(event) : localPort(event));
const serverPort: Getter = (event) => (isServer(event) ? localPort(event) : remotePort(event));

function both(one: Getter, other: Getter): Getter {
  return (event) => {
    const first = one(event);
    const second = other(event);
    return first === undefined || second === undefined ? undefined : [String(first), String(second)];
  };
}

/** Of one address several names may be asked for: conditions see all of them, an output the first. */
function domainName(address: Getter): ArgumentGetter {
  return (_argument, context, eventType) => {
    const names: Getter = (event) => {
      const text = address(event);
      return text === undefined ? undefined : context.domainNames.of(text as string);
    };
    return eventType === undefined
      ? (event) => (names(event) as readonly string[] | undefined)?.[0] || undefined
      : names;
  };
}

/** The fields of which conditions read something else than outputs. */
export const DOMAIN_NAME_FIELDS: FieldTable = {
  'fd.cip.name': domainName(clientAddress),
  'fd.sip.name': domainName(serverAddress),
  'fd.lip.name': domainName(localAddress),
  'fd.rip.name': domainName(remoteAddress),
};

const TRANSPORTS = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmp'],
  [255, 'raw'],
]);
const SOCK_RAW = 3;

const transport: Getter = (event) => {
  if (!isInternet(family(event))) return undefined;
  const at = socketAt(event);
  if (event.u16(at + SOCKET_INFO.type) === SOCK_RAW) return 'raw';
  return TRANSPORTS.get(event.u16(at + SOCKET_INFO.protocol));
};

/** client:port->server:port, as Falco writes it. */
const tuple: Getter = (event) => {
  if (!isInternet(family(event))) return undefined;
  return `${clientAddress(event)}:${clientPort(event)}->${serverAddress(event)}:${serverPort(event)}`;
};

const name: Getter = (event) => {
  if (event.shape === 'path') return undefined;
  return event.path ?? tuple(event);
};

const isFile: (event: EventView) => boolean = (event) =>
  event.shape === 'open' || (event.shape === 'descriptor' && family(event) === 0);
const TCP_ESTABLISHED = 1;

const DUPS: ReadonlySet<string> = new Set(['dup', 'dup2', 'dup3']);
/** Calls that return a descriptor, and of which nothing else is about one. */
const MAKE_DESCRIPTORS: ReadonlySet<string> = new Set(
  'memfd_create userfaultfd pidfd_open pidfd_getfd perf_event_open io_uring_setup fsopen fsmount'.split(' '),
);

function number(event: EventView): number | undefined {
  switch (event.shape) {
    case 'open':
      return event.result;
    case 'descriptor':
      return DUPS.has(event.typeName) && event.result >= 0 ? event.result : event.i32(DESCRIPTOR.fd);
    case 'socket':
      return event.i32(SOCKET.fd);
    case 'scalar':
      return MAKE_DESCRIPTORS.has(event.typeName) ? event.result : undefined;
    default:
      return undefined;
  }
}

function inode(event: EventView): number | undefined {
  return isFile(event) ? event.u64(event.shape === 'open' ? OPEN.ino : DESCRIPTOR.ino) : undefined;
}

/** The kernel's dev_t: major above 20 bits of minor. */
function device(event: EventView): number | undefined {
  return isFile(event) ? event.u32(event.shape === 'open' ? OPEN.dev : DESCRIPTOR.dev) : undefined;
}

export const DESCRIPTOR_FIELDS: FieldTable = {
  ...DOMAIN_NAME_FIELDS,
  'fd.num': plain(number),
  'fd.type': plain(typeName),
  'fd.typechar': plain(typeLetter),
  'fd.name': plain(name),
  'fd.nameraw': plain((event) => (event.shape === 'open' ? event.pathRaw || undefined : undefined)),
  'fd.directory': plain((event) => (isFile(event) ? event.cachedPath?.directory : undefined)),
  'fd.filename': plain((event) => (isFile(event) ? event.cachedPath?.filename : undefined)),
  'fd.ino': plain(inode),
  'fd.dev': plain(device),
  'fd.dev.major': plain((event) => (device(event) === undefined ? undefined : device(event)! >>> 20)),
  'fd.dev.minor': plain((event) => (device(event) === undefined ? undefined : device(event)! & 0xfffff)),
  'fd.ip': plain(both(localAddress, remoteAddress)),
  'fd.lip': plain(localAddress),
  'fd.rip': plain(remoteAddress),
  'fd.cip': plain(clientAddress),
  'fd.sip': plain(serverAddress),
  'fd.net': plain(both(localAddress, remoteAddress)),
  'fd.lnet': plain(localAddress),
  'fd.rnet': plain(remoteAddress),
  'fd.cnet': plain(clientAddress),
  'fd.snet': plain(serverAddress),
  'fd.port': plain(both(localPort, remotePort)),
  'fd.lport': plain(localPort),
  'fd.rport': plain(remotePort),
  'fd.cport': plain(clientPort),
  'fd.sport': plain(serverPort),
  'fd.l4proto': plain(transport),
  'fd.sockfamily': plain((event) =>
    isInternet(family(event)) ? 'ip' : family(event) === AF_UNIX ? 'unix' : undefined,
  ),
  'fd.is_server': plain((event) => (family(event) === 0 ? undefined : isServer(event))),
  'fd.connected': plain((event) =>
    isInternet(family(event)) ? event.u16(socketAt(event) + SOCKET_INFO.state) === TCP_ESTABLISHED : undefined,
  ),
  'fd.name_changed': plain(namesPeer),
  'fs.path.name': plain((event) => (event.shape === 'path' || event.shape === 'open' ? event.path : undefined)),
  'fs.path.nameraw': plain((event) => event.pathRaw || undefined),
  'fs.path.source': plain((event) => sourcePath(event, false)),
  'fs.path.sourceraw': plain((event) => sourcePath(event, true)),
  'fs.path.target': plain((event) => targetPath(event, false)),
  'fs.path.targetraw': plain((event) => targetPath(event, true)),
};

/** Calls whose second string is where it comes from: what a link points to, what is mounted. */
const SECOND_IS_SOURCE: ReadonlySet<string> = new Set(['symlink', 'symlinkat', 'mount']);
/** Calls whose second string is no path at all. */
const SECOND_IS_NAME: ReadonlySet<string> = new Set(['setxattr', 'lsetxattr', 'setxattrat']);

function first(event: EventView, raw: boolean): string | undefined {
  return raw ? event.pathRaw || undefined : event.path;
}

function second(event: EventView, raw: boolean): string | undefined {
  return (raw ? event.path2Raw : event.path2) || undefined;
}

/** Of the two paths of a call the one that something comes from: of a rename or link, what there was. */
function sourcePath(event: EventView, raw: boolean): string | undefined {
  if (event.path2 === '' || SECOND_IS_NAME.has(event.typeName)) return undefined;
  return SECOND_IS_SOURCE.has(event.typeName) ? second(event, raw) : first(event, raw);
}

/** The other one: of a rename or link, what there is now. */
function targetPath(event: EventView, raw: boolean): string | undefined {
  if (event.path2 === '' || SECOND_IS_NAME.has(event.typeName)) return undefined;
  return SECOND_IS_SOURCE.has(event.typeName) ? first(event, raw) : second(event, raw);
}
