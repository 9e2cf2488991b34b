import { constants } from 'node:os';
import { posix } from 'node:path';
import type { FieldValue } from '../../collector/detection/detection.ts';
import { formatTime } from '../../collector/detection/time.ts';

/** What a derivation may look at. */
export interface Facts {
  readonly type: string;
  readonly source: string;
  readonly number: number;
  readonly timeNs: bigint;
  readonly inContainer: boolean;
  /** Nearest first. */
  readonly parents: readonly ProcessFacts[];
  /** What the case says of a field; undefined if it says nothing. */
  given(key: string): FieldValue | undefined;
  /** What the case says, else what is derived. */
  get(key: string): FieldValue | undefined;
}

/** Facts of one process, by the name of its `proc.` field without the prefix. */
export interface ProcessFacts {
  given(key: string): FieldValue | undefined;
  get(key: string): FieldValue | undefined;
}

export type Derivation = (facts: Facts) => FieldValue | undefined;

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Event types that are about the same things. */
const OPENS = words('open openat openat2 creat open_by_handle_at io_uring_open');
const MOVES = words('rename renameat renameat2 link linkat');
const SYMLINKS = words('symlink symlinkat');
const SOCKETS =
  words(`socket bind connect listen accept accept4 sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg send recv
  shutdown getsockname getpeername socketpair setsockopt getsockopt io_uring_connect`);
const SERVERS = words('accept accept4 listen bind');
/** Calls that name a path and give no descriptor. */
const PATHS =
  words(`unlink unlinkat rmdir mkdir mkdirat mknod mknodat chmod fchmodat fchmodat2 chown lchown fchownat truncate
  access faccessat faccessat2 chdir chroot mount umount umount2 oldumount pivot_root swapon swapoff acct utime utimes utimensat futimesat
  setxattr lsetxattr removexattr lremovexattr setxattrat removexattrat stat lstat newfstatat statx readlink readlinkat statfs
  name_to_handle_at uselib quotactl move_mount open_tree fspick inotify_add_watch fanotify_mark`);
const RETURNS_DESCRIPTOR =
  words(`open openat openat2 creat open_by_handle_at io_uring_open socket accept accept4 dup dup2 dup3
  memfd_create memfd_secret userfaultfd epoll_create epoll_create1 eventfd eventfd2 inotify_init inotify_init1 fanotify_init
  io_uring_setup pidfd_open pidfd_getfd perf_event_open fsopen fsmount fspick open_tree timerfd_create signalfd signalfd4 bpf`);
const FORKS = words('fork vfork clone clone3');

const PATH_KEYS = ['evt.arg.path', 'evt.arg.name', 'evt.arg.filename', 'evt.arg.pathname'];
const FILE_KEYS = ['fd.name', 'fs.path.name', ...PATH_KEYS];
const FS_KEYS = ['fs.path.name', ...PATH_KEYS];
/** For symlinks Falco's source is what the link points to. */
const SOURCE_KEYS = ['fs.path.source', 'evt.arg.oldpath'];
const TARGET_KEYS = ['fs.path.target', 'evt.arg.newpath'];
const POINTS_TO_KEYS = ['fs.path.source', 'evt.arg.target'];
const LINK_KEYS = ['fs.path.target', 'evt.arg.linkpath'];

const TYPE_OF_LETTER: Readonly<Record<string, string>> = {
  f: 'file',
  d: 'directory',
  '4': 'ipv4',
  '6': 'ipv6',
  u: 'unix',
  p: 'pipe',
  e: 'event',
  m: 'memfd',
  n: 'netlink',
  l: 'eventpoll',
  i: 'inotify',
  s: 'signalfd',
};
const LETTER_OF_TYPE = Object.fromEntries(Object.entries(TYPE_OF_LETTER).map(([letter, type]) => [type, letter]));
const ERRORS: Readonly<Record<string, number>> = constants.errno;

const FIRST_PID = 4321;
const SECOND_NS = 1_000_000_000;
const SERVER_ADDRESS = { '4': '93.184.216.34', '6': '2606:2800:220:1::1' } as const;
const CLIENT_ADDRESS = { '4': '10.0.0.2', '6': 'fd00::2' } as const;
const SERVER_PORT = 443;
const CLIENT_PORT = 40000;

/** The first of the fields that the case names. */
function firstGiven(facts: Pick<Facts, 'given'>, keys: readonly string[]): FieldValue | undefined {
  for (const key of keys) {
    const value = facts.given(key);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** Names for the same path. */
function path(facts: Facts): FieldValue | undefined {
  if (OPENS.has(facts.type)) return firstGiven(facts, FILE_KEYS);
  return PATHS.has(facts.type) ? firstGiven(facts, FS_KEYS) : undefined;
}

function sourcePath(facts: Facts): FieldValue | undefined {
  if (SYMLINKS.has(facts.type)) return firstGiven(facts, POINTS_TO_KEYS);
  return MOVES.has(facts.type) ? firstGiven(facts, SOURCE_KEYS) : undefined;
}

function targetPath(facts: Facts): FieldValue | undefined {
  if (SYMLINKS.has(facts.type)) return firstGiven(facts, LINK_KEYS);
  return MOVES.has(facts.type) ? firstGiven(facts, TARGET_KEYS) : undefined;
}

function fileName(facts: Facts): string | undefined {
  const name = facts.get('fd.name');
  return typeof name === 'string' && isFile(facts) ? name : undefined;
}

function isFile(facts: Facts): boolean {
  return facts.get('fd.typechar') === 'f' || facts.get('fd.typechar') === 'd';
}

const REMOTE = ['fd.rip', 'fd.rnet'];
const LOCAL = ['fd.lip', 'fd.lnet'];
const SERVER = ['fd.sip', 'fd.snet'];
const CLIENT = ['fd.cip', 'fd.cnet'];
const ADDRESSES = [...REMOTE, ...LOCAL, ...SERVER, ...CLIENT];
const PORTS = ['fd.rport', 'fd.lport', 'fd.sport', 'fd.cport'];

function letter(facts: Facts): string | undefined {
  const type = facts.given('fd.type');
  if (type !== undefined) return LETTER_OF_TYPE[String(type)];
  const address = firstGiven(facts, ADDRESSES);
  if (address !== undefined) return String(address).includes(':') ? '6' : '4';
  if (firstGiven(facts, PORTS) !== undefined) return '4';
  const name = facts.given('fd.name');
  if (SOCKETS.has(facts.type)) {
    if (facts.type === 'socket') return undefined;
    return typeof name === 'string' && name.startsWith('/') ? 'u' : '4';
  }
  if (OPENS.has(facts.type) || name !== undefined) return 'f';
  return undefined;
}

function isServer(facts: Facts): boolean {
  return facts.given('fd.is_server') === true || SERVERS.has(facts.type);
}

/** Address of a side of the connection; no value if the descriptor is no internet socket. */
function address(of: 'client' | 'server'): Derivation {
  return (facts) => {
    const version = facts.get('fd.typechar');
    if (version !== '4' && version !== '6') return undefined;
    const isRemote = (of === 'client') === isServer(facts);
    const keys = [...(of === 'client' ? CLIENT : SERVER), ...(isRemote ? REMOTE : LOCAL)];
    const fallback = of === 'client' ? CLIENT_ADDRESS : SERVER_ADDRESS;
    return firstGiven(facts, keys) ?? fallback[version];
  };
}

function port(of: 'client' | 'server'): Derivation {
  return (facts) => {
    if (facts.get('fd.typechar') !== '4' && facts.get('fd.typechar') !== '6') return undefined;
    const isRemote = (of === 'client') === isServer(facts);
    const keys = [of === 'client' ? 'fd.cport' : 'fd.sport', isRemote ? 'fd.rport' : 'fd.lport'];
    return firstGiven(facts, keys) ?? (of === 'client' ? CLIENT_PORT : SERVER_PORT);
  };
}

const clientAddress = address('client');
const serverAddress = address('server');
const clientPort = port('client');
const serverPort = port('server');
const remoteAddress: Derivation = (facts) => (isServer(facts) ? clientAddress(facts) : serverAddress(facts));
const localAddress: Derivation = (facts) => (isServer(facts) ? serverAddress(facts) : clientAddress(facts));
const remotePort: Derivation = (facts) => (isServer(facts) ? clientPort(facts) : serverPort(facts));
const localPort: Derivation = (facts) => (isServer(facts) ? serverPort(facts) : clientPort(facts));

function both(one: string, other: string): Derivation {
  return (facts) => {
    const sides = [facts.get(one), facts.get(other)];
    return sides.includes(undefined) ? undefined : sides.map(String);
  };
}

/** What an address is called that rules have no name for, unless a case says otherwise. */
function unnamed(address: string): Derivation {
  return (facts) => (facts.get(address) === undefined ? undefined : '');
}

function connectionName(facts: Facts): FieldValue | undefined {
  const client = facts.get('fd.cip');
  if (client === undefined) return undefined;
  return `${client}:${facts.get('fd.cport')}->${facts.get('fd.sip')}:${facts.get('fd.sport')}`;
}

function flags(facts: Facts): string | undefined {
  if (!OPENS.has(facts.type)) return undefined;
  if (facts.type === 'creat') return 'O_WRONLY|O_CREAT|O_TRUNC';
  return String(facts.get('evt.arg.flags'));
}

/** True or false on events that open, and no value on others. */
function onOpen(test: (flags: string, facts: Facts) => boolean): Derivation {
  return (facts) => {
    const text = flags(facts);
    return text === undefined ? undefined : test(text, facts);
  };
}

function result(facts: Facts): number {
  const name = facts.given('evt.res');
  if (name !== undefined && name !== 'SUCCESS') return -(ERRORS[String(name)] ?? 1);
  if (facts.given('evt.failed') === true) return -ERRORS.EPERM!;
  if (FORKS.has(facts.type)) return FIRST_PID + 1;
  return RETURNS_DESCRIPTOR.has(facts.type) ? 3 : 0;
}

function resultName(facts: Facts): string {
  const code = Number(facts.get('evt.rawres'));
  if (code >= 0) return 'SUCCESS';
  return Object.keys(ERRORS).find((name) => ERRORS[name] === -code) ?? `E${-code}`;
}

function descriptor(facts: Facts): FieldValue | undefined {
  const given = firstGiven(facts, ['evt.arg.fd']);
  if (given !== undefined && /^-?\d+$/.test(String(given))) return Number(given);
  if (RETURNS_DESCRIPTOR.has(facts.type)) return Number(facts.get('evt.rawres'));
  return facts.get('fd.typechar') === undefined ? undefined : 3;
}

/** As `<f>/etc/passwd` and `<4t>10.0.0.2:40000->10.0.0.1:443`. */
function descriptorText(facts: Facts): FieldValue | undefined {
  const number = facts.get('fd.num');
  const letter = facts.get('fd.typechar');
  if (number === undefined || letter === undefined) return number === undefined ? undefined : String(number);
  const [transport = ''] = String(facts.get('fd.l4proto') ?? '');
  return `<${letter}${transport}>${facts.get('fd.name') ?? ''}`;
}

const constant =
  (value: FieldValue): Derivation =>
  () =>
    value;

const alias =
  (key: string): Derivation =>
  (facts) =>
    facts.get(key);

/** The path in the calls' arguments, whichever of the names the case uses. */
const PATH_ARGUMENTS: Readonly<Record<string, Derivation>> = Object.fromEntries(
  PATH_KEYS.map((key) => [key, (facts) => path(facts) ?? fileName(facts)]),
);

/** Each field that a case need not give, and how it follows from what the case gives. */
export const DERIVED: Readonly<Record<string, Derivation>> = {
  'evt.num': (facts) => facts.number,
  'evt.type': (facts) => facts.type,
  'syscall.type': (facts) => (facts.source === 'syscall' ? facts.type : undefined),
  'evt.source': (facts) => facts.source,
  'evt.is_async': constant(false),
  'evt.dir': constant('<'),
  'evt.hostname': constant('host'),
  'evt.count': constant(1),
  'evt.rawtime': (facts) => facts.timeNs,
  'evt.time': (facts) => formatTime(facts.timeNs),
  'evt.time.iso8601': (facts) => formatTime(facts.timeNs),
  'evt.datetime': (facts) => formatTime(facts.timeNs),
  'evt.rawres': result,
  'evt.res': resultName,
  'evt.failed': (facts) => Number(facts.get('evt.rawres')) < 0,
  'evt.arg.res': (facts) => String(facts.get('evt.rawres')),
  'evt.arg.fd': descriptorText,
  'evt.arg.flags': (facts) => (OPENS.has(facts.type) && facts.type !== 'creat' ? 'O_RDONLY' : undefined),
  ...PATH_ARGUMENTS,
  'evt.arg.oldpath': (facts) => (MOVES.has(facts.type) ? sourcePath(facts) : undefined),
  'evt.arg.newpath': (facts) => (MOVES.has(facts.type) ? targetPath(facts) : undefined),
  'evt.arg.target': (facts) => (SYMLINKS.has(facts.type) ? sourcePath(facts) : undefined),
  'evt.arg.linkpath': (facts) => (SYMLINKS.has(facts.type) ? targetPath(facts) : undefined),
  'evt.abspath': (facts) => path(facts) ?? sourcePath(facts),
  'evt.is_open_read': onOpen((text) => !text.includes('O_WRONLY')),
  'evt.is_open_write': onOpen((text) => /O_WRONLY|O_RDWR/.test(text)),
  'evt.is_open_create': onOpen((text) => /O_CREAT|O_TMPFILE/.test(text)),
  'evt.is_open_exec': onOpen(
    (text, facts) => text.includes('O_CREAT') && String(facts.get('evt.arg.mode')).includes('S_IX'),
  ),

  'fd.num': descriptor,
  'fd.typechar': letter,
  'fd.type': (facts) => TYPE_OF_LETTER[String(facts.get('fd.typechar'))],
  'fd.name': (facts) => (OPENS.has(facts.type) ? path(facts) : connectionName(facts)),
  'fd.nameraw': (facts) => (OPENS.has(facts.type) ? facts.get('fd.name') : undefined),
  'fd.directory': (facts) => fileName(facts) && posix.dirname(fileName(facts)!),
  'fd.filename': (facts) => fileName(facts) && posix.basename(fileName(facts)!),
  'fd.cip': clientAddress,
  'fd.sip': serverAddress,
  'fd.lip': localAddress,
  'fd.rip': remoteAddress,
  'fd.cnet': alias('fd.cip'),
  'fd.snet': alias('fd.sip'),
  'fd.lnet': alias('fd.lip'),
  'fd.rnet': alias('fd.rip'),
  'fd.cip.name': unnamed('fd.cip'),
  'fd.sip.name': unnamed('fd.sip'),
  'fd.lip.name': unnamed('fd.lip'),
  'fd.rip.name': unnamed('fd.rip'),
  'fd.ip': both('fd.lip', 'fd.rip'),
  'fd.net': both('fd.lip', 'fd.rip'),
  'fd.cport': clientPort,
  'fd.sport': serverPort,
  'fd.lport': localPort,
  'fd.rport': remotePort,
  'fd.port': both('fd.lport', 'fd.rport'),
  'fd.l4proto': (facts) => (facts.get('fd.cip') === undefined ? undefined : 'tcp'),
  'fd.sockfamily': (facts) =>
    facts.get('fd.typechar') === 'u' ? 'unix' : facts.get('fd.cip') === undefined ? undefined : 'ip',
  'fd.is_server': (facts) => (facts.get('fd.cip') === undefined ? undefined : isServer(facts)),
  'fd.connected': (facts) => (facts.get('fd.cip') === undefined ? undefined : Number(facts.get('evt.rawres')) >= 0),

  'fs.path.name': path,
  'fs.path.nameraw': path,
  'fs.path.source': sourcePath,
  'fs.path.sourceraw': alias('fs.path.source'),
  'fs.path.target': targetPath,
  'fs.path.targetraw': alias('fs.path.target'),

  'proc.pid': constant(FIRST_PID),
  'proc.vpid': (facts) => (facts.inContainer ? 7 : Number(facts.get('proc.pid'))),
  'proc.ppid': (facts) => facts.parents[0]?.get('pid'),
  'proc.pvpid': (facts) => (facts.inContainer ? 1 : facts.get('proc.ppid')),
  'proc.sid': (facts) => facts.get('proc.vpid'),
  'proc.pgid': (facts) => facts.get('proc.vpid'),
  'proc.vpgid': (facts) => facts.get('proc.vpid'),
  'proc.is_sid_leader': (facts) => facts.get('proc.sid') === facts.get('proc.vpid'),
  'proc.is_pgid_leader': (facts) => facts.get('proc.pgid') === facts.get('proc.vpid'),
  'proc.is_vpgid_leader': (facts) => facts.get('proc.vpgid') === facts.get('proc.vpid'),
  'proc.tty': constant(0),
  'proc.duration': constant(SECOND_NS),
  'proc.ppid.duration': constant(3600 * SECOND_NS),
  'proc.is_exe_writable': constant(false),
  'proc.is_exe_upper_layer': constant(false),
  'proc.is_exe_lower_layer': (facts) => facts.inContainer,
  'proc.is_exe_from_memfd': constant(false),
  'proc.stdin.type': constant('file'),
  'proc.stdout.type': constant('file'),
  'proc.stderr.type': constant('file'),
  'shikra.proc.is_host_program': (facts) => !facts.inContainer,
  'thread.tid': alias('proc.pid'),
  'thread.vtid': alias('proc.vpid'),
  'thread.ismain': constant(true),

  'container.id': (facts) => (facts.inContainer ? '3ad7b26ded6d' : 'host'),
  'container.full_id': (facts) => (facts.inContainer ? String(facts.get('container.id')).padEnd(64, '0') : 'host'),
  'container.name': (facts) => (facts.inContainer ? undefined : 'host'),
  'container.type': (facts) => (facts.inContainer ? undefined : 'host'),

  'user.name': (facts) => (Number(facts.given('user.uid') ?? 0) === 0 ? 'root' : undefined),
  'user.uid': (facts) => (facts.get('user.name') === 'root' ? 0 : 1000),
  'user.homedir': (facts) => (facts.get('user.name') === 'root' ? '/root' : `/home/${facts.get('user.name')}`),
  'user.loginuid': constant(-1),
  'group.gid': alias('user.uid'),
  'group.name': alias('user.name'),
};

const EXECUTABLES: Readonly<Record<string, string>> = { systemd: '/usr/lib/systemd/systemd' };
const LONGEST_NAME = 15;

type ProcessDerivation = (facts: ProcessFacts) => FieldValue | undefined;

/** The fields that every process of a lineage has, its own and its parents'. */
export const DERIVED_OF_PROCESS: Readonly<Record<string, ProcessDerivation>> = {
  name: (facts) => {
    const executable = facts.given('exepath') ?? facts.given('exe');
    if (executable !== undefined) return String(executable).replace(/^.*\//, '').slice(0, LONGEST_NAME);
    return facts.given('cmdline') === undefined ? 'tool' : String(facts.given('cmdline')).split(' ')[0];
  },
  exepath: (facts) => EXECUTABLES[String(facts.get('name'))] ?? `/usr/bin/${facts.get('name')}`,
  exe: (facts) => facts.get('name'),
  args: (facts) => (facts.given('cmdline') === undefined ? '' : afterFirstWord(String(facts.given('cmdline')))),
  cmdline: (facts) => joined(facts.get('name'), facts.get('args')),
  exeline: (facts) => joined(facts.get('exe'), facts.get('args')),
  cmdnargs: (facts) => argumentsOf(facts).length,
  cmdlenargs: (facts) => argumentsOf(facts).join('').length,
  cwd: () => '/',
};

/** Arguments one by one. A text is cut at its blanks. */
export function argumentsOf(facts: ProcessFacts): string[] {
  const text = String(facts.get('args') ?? '');
  return text === '' ? [] : text.split(' ');
}

function afterFirstWord(text: string): string {
  const blank = text.indexOf(' ');
  return blank < 0 ? '' : text.slice(blank + 1);
}

function joined(first: FieldValue | undefined, rest: FieldValue | undefined): string {
  return rest === undefined || rest === '' ? String(first) : `${first} ${rest}`;
}

export const PARENT_PID = (generation: number): number => Math.max(1, FIRST_PID - 100 * generation);
