import { formatTime } from '../../../detection/time.ts';
import { ABIS, DESCRIPTOR, FORK, HEADER, OPEN, PATH, SCALAR, SOCKET } from '../layout.ts';
import {
  addressFamily,
  atFlags,
  bpfCommands,
  cloneFlags,
  fileModes,
  memfdFlags,
  mountFlags,
  O_ACCMODE,
  O_CREAT,
  O_RDONLY,
  O_WRONLY,
  openFlags,
  prctlOption,
  ptraceRequest,
  resultName,
  signalName,
  umountFlags,
  userfaultfdFlags,
} from '../numbers.ts';
import { familyOf } from '../system-calls.ts';
import { type FieldContext, type FieldTable, type Getter, plain } from './context.ts';

type Arguments = Readonly<Record<string, Argument>>;
/** An argument as text; what it is made of is its raw value. */
interface Argument extends Getter {
  readonly raw?: Getter;
}

/** An argument with names for its number. */
function named(
  raw: (event: Parameters<Getter>[0]) => number,
  names: ((number: number) => string) | { of(number: number): string },
): Argument {
  const getter: Getter = typeof names === 'function' ? (event) => names(raw(event)) : (event) => names.of(raw(event));
  return Object.assign(getter, { raw });
}

const result: Getter = (event) => event.result;
const path: Getter = (event) => event.path;
const path2: Getter = (event) => event.path2 || undefined;
const directoryFd: Getter = (event) => event.i32(event.shape === 'open' ? OPEN.directory_fd : PATH.directory_fd);
const pathArgument = (event: Parameters<Getter>[0]) => event.u64(PATH.argument);
const pathMode = named(pathArgument, fileModes);
const pathFlags = named(pathArgument, atFlags);
const scalar =
  (index: number): Getter =>
  (event) =>
    event.u64(SCALAR.arguments + 8 * index);
const text: Getter = (event) => event.string(SCALAR.text) || undefined;
const descriptor: Getter = (event) => event.i32(DESCRIPTOR.fd);
const directoryFd2: Getter = (event) => event.i32(PATH.directory_fd2);
const socketFd: Getter = (event) => event.i32(SOCKET.fd);

const OPEN_ARGUMENTS: Arguments = {
  name: path,
  path,
  filename: path,
  fd: result,
  dirfd: directoryFd,
  flags: named((event) => event.u32(OPEN.flags), openFlags),
  mode: named((event) => event.u16(OPEN.mode), fileModes),
  dev: (event) => event.u32(OPEN.dev),
  ino: (event) => event.u64(OPEN.ino),
};
const CHMOD: Arguments = {
  filename: path,
  name: path,
  path,
  dirfd: directoryFd,
  mode: pathMode,
};
const REMOVE: Arguments = { path, name: path, dirfd: directoryFd, flags: pathFlags };
const MOVE: Arguments = {
  oldpath: path,
  newpath: path2,
  olddirfd: directoryFd,
  newdirfd: directoryFd2,
  flags: (event) => event.u64(PATH.argument),
};
const SYMLINK: Arguments = { target: path2, linkpath: path, linkdirfd: directoryFd };
const MKDIR: Arguments = { path, name: path, dirfd: directoryFd, mode: pathMode };
const DUP: Arguments = {
  fd: (event) => event.i32(DESCRIPTOR.fd2),
  oldfd: descriptor,
  newfd: (event) => event.i32(DESCRIPTOR.fd2),
};
const OWNER: Arguments = {
  path,
  pathname: path,
  name: path,
  dirfd: directoryFd,
  uid: (event) => event.u64(PATH.argument),
  gid: (event) => event.u64(PATH.argument2),
};
const XATTR: Arguments = { path, name: path2, flags: (event) => event.u64(PATH.argument) };
const MOUNT_TREE: Arguments = {
  path,
  pathname: path,
  dirfd: directoryFd,
  flags: (event) => event.u64(PATH.argument),
};
/** A number of the caller that is signed there: -1 leaves an id as it is, a pid below 0 is a group. */
const signed =
  (index: number): Getter =>
  (event) =>
    event.i32(SCALAR.arguments + 8 * index);
const signal = (index: number) => named((event) => event.u64(SCALAR.arguments + 8 * index), signalName);
const OTHER_MEMORY: Arguments = { pid: signed(0), flags: scalar(5) };
const IO_URING: Arguments = {
  fd: signed(0),
  to_submit: scalar(1),
  min_complete: scalar(2),
  flags: scalar(3),
};
const CONNECTION: Arguments = { fd: socketFd };
const data: Getter = (event) => bytesOf(event);
const TRANSFER: Arguments = { fd: socketFd, data, flags: (event) => event.u32(SOCKET.argument) };
const NEW_PROCESS: Arguments = { flags: named((event) => event.u64(FORK.flags), cloneFlags), pid: result };

/** The first bytes that a call sent or received, each as the character of its number: what `bcontains` looks through. */
function bytesOf(event: Parameters<Getter>[0]): string | undefined {
  if (!TRANSFERS.has(event.typeName)) return undefined;
  const length = event.u16(SOCKET.data + 2);
  if (length === 0) return undefined;
  const start = event.at + event.u16(SOCKET.data);
  return event.memory.bytes.toString('latin1', start, start + length);
}

/** Calls that send or receive, and those of them that send. */
const SENDS: ReadonlySet<string> = new Set(['sendto', 'sendmsg', 'sendmmsg']);
const TRANSFERS: ReadonlySet<string> = new Set([...SENDS, 'recvfrom', 'recvmsg', 'recvmmsg']);
const isTransfer: Getter = (event) => TRANSFERS.has(event.typeName);

/** Falco's names of the arguments of each event type (falco-compat.md, evt.arg). */
const ARGUMENTS: Readonly<Record<string, Arguments>> = {
  fork: NEW_PROCESS,
  vfork: NEW_PROCESS,
  clone: NEW_PROCESS,
  clone3: NEW_PROCESS,
  open: OPEN_ARGUMENTS,
  openat: OPEN_ARGUMENTS,
  openat2: OPEN_ARGUMENTS,
  creat: OPEN_ARGUMENTS,
  open_by_handle_at: OPEN_ARGUMENTS,
  chmod: CHMOD,
  fchmodat: CHMOD,
  fchmodat2: CHMOD,
  fchmod: {
    fd: descriptor,
    mode: named((event) => event.u64(DESCRIPTOR.argument), fileModes),
    filename: path,
    path,
    name: path,
  },
  truncate: { path, length: (event) => event.u64(PATH.argument) },
  ftruncate: { fd: descriptor, path, length: (event) => event.u64(DESCRIPTOR.argument) },
  unlink: REMOVE,
  unlinkat: REMOVE,
  rmdir: REMOVE,
  rename: MOVE,
  renameat: MOVE,
  renameat2: MOVE,
  link: MOVE,
  linkat: { ...MOVE, flags: pathFlags },
  symlink: SYMLINK,
  symlinkat: SYMLINK,
  mkdir: MKDIR,
  mkdirat: MKDIR,
  dup: DUP,
  dup2: DUP,
  dup3: { ...DUP, flags: named((event) => event.u64(DESCRIPTOR.argument), openFlags) },
  finit_module: {
    fd: descriptor,
    uargs: (event) => event.string(DESCRIPTOR.text),
    flags: (event) => event.u64(DESCRIPTOR.argument),
    path,
  },
  init_module: { uargs: text, length: scalar(1) },
  delete_module: { name: text, flags: named((event) => event.u64(SCALAR.arguments + 8), openFlags) },
  setns: {
    fd: descriptor,
    nstype: named((event) => event.u64(DESCRIPTOR.argument), cloneFlags),
    path,
  },
  unshare: {
    flags: named((event) => event.u64(SCALAR.arguments), cloneFlags),
  },
  ptrace: {
    request: named((event) => event.u64(SCALAR.arguments), ptraceRequest),
    pid: scalar(1),
    addr: scalar(2),
    data: scalar(3),
  },
  setuid: { uid: scalar(0) },
  mknod: { path, name: path, mode: pathMode },
  mknodat: { path, name: path, dirfd: directoryFd, mode: pathMode },
  chown: OWNER,
  lchown: OWNER,
  fchownat: OWNER,
  fchown: {
    fd: descriptor,
    path,
    uid: (event) => event.u32(DESCRIPTOR.argument),
    gid: (event) => event.u32(DESCRIPTOR.argument + 4),
  },
  setxattr: XATTR,
  lsetxattr: XATTR,
  mount: {
    dir: path,
    target: path,
    dev: path2,
    source: path2,
    type: (event) => event.string(PATH.directory2) || undefined,
    flags: named((event) => event.u64(PATH.argument), mountFlags),
  },
  umount2: {
    name: path,
    target: path,
    path,
    flags: named((event) => event.u64(PATH.argument), umountFlags),
  },
  open_tree: MOUNT_TREE,
  mount_setattr: MOUNT_TREE,
  move_mount: { ...MOVE, from_pathname: path, to_pathname: path2 },
  chroot: { path },
  pivot_root: { new_root: path, put_old: path2 },
  setgid: { gid: scalar(0) },
  setreuid: { ruid: signed(0), euid: signed(1) },
  setregid: { rgid: signed(0), egid: signed(1) },
  setresuid: { ruid: signed(0), euid: signed(1), suid: signed(2) },
  setresgid: { rgid: signed(0), egid: signed(1), sgid: signed(2) },
  setfsuid: { uid: scalar(0) },
  setfsgid: { gid: scalar(0) },
  prctl: { option: named((event) => event.u64(SCALAR.arguments), prctlOption), arg2_str: text, arg2_int: scalar(1) },
  personality: { persona: scalar(0) },
  keyctl: { cmd: scalar(0) },
  kill: { pid: signed(0), sig: signal(1) },
  tgkill: { pid: signed(0), tid: signed(1), sig: signal(2) },
  pidfd_open: { pid: signed(0), flags: scalar(1) },
  pidfd_getfd: { pid_fd: signed(0), target_fd: signed(1), flags: scalar(2) },
  pidfd_send_signal: { pid_fd: signed(0), sig: signal(1) },
  process_vm_readv: OTHER_MEMORY,
  process_vm_writev: OTHER_MEMORY,
  bpf: {
    cmd: named((event) => event.u64(SCALAR.arguments), bpfCommands),
  },
  perf_event_open: { pid: signed(1), cpu: signed(2), group_fd: signed(3), flags: scalar(4) },
  userfaultfd: {
    flags: named((event) => event.u64(SCALAR.arguments), userfaultfdFlags),
  },
  io_uring_setup: { entries: scalar(0) },
  io_uring_enter: IO_URING,
  io_uring_register: { fd: signed(0), opcode: scalar(1), nr_args: scalar(3) },
  fsopen: { fsname: text, flags: scalar(1) },
  fsmount: { fd: signed(0), flags: scalar(1), attr_flags: scalar(2) },
  kexec_load: { nr_segments: scalar(1), flags: scalar(3) },
  kexec_file_load: { kernel_fd: signed(0), initrd_fd: signed(1), cmdline: text, flags: scalar(4) },
  memfd_create: {
    name: text,
    flags: named((event) => event.u64(SCALAR.arguments + 8), memfdFlags),
  },
  socket: {
    domain: named((event) => event.u16(SOCKET.asked), addressFamily),
    type: (event) => event.u16(SOCKET.asked + 2),
    proto: (event) => event.u16(SOCKET.asked + 4),
  },
  connect: CONNECTION,
  accept: CONNECTION,
  accept4: CONNECTION,
  bind: CONNECTION,
  sendto: TRANSFER,
  sendmsg: TRANSFER,
  sendmmsg: TRANSFER,
  recvfrom: TRANSFER,
  recvmsg: TRANSFER,
  recvmmsg: TRANSFER,
  listen: { ...CONNECTION, backlog: (event) => event.u32(SOCKET.argument) },
};

const RESULT: Argument = Object.assign(
  ((event) => (event.result >= 0 ? event.result : resultName(event.result))) satisfies Getter,
  { raw: result },
);
const USER_ID = SCALAR.arguments;

function argumentGetter(
  argument: string | undefined,
  context: FieldContext,
  eventType: string | undefined,
): Getter | undefined {
  if (eventType === 'setuid' && argument === 'uid')
    return (event) => context.users.name(event.u64(USER_ID)) ?? String(event.u64(USER_ID));
  return anyArgument(argument, eventType, (getter) => getter);
}

/** The number behind a name, as the kernel has it; otherwise the same as the argument. */
function rawArgumentGetter(
  argument: string | undefined,
  _context: FieldContext,
  eventType: string | undefined,
): Getter | undefined {
  return anyArgument(argument, eventType, (getter) => getter.raw ?? getter);
}

function anyArgument(
  argument: string | undefined,
  eventType: string | undefined,
  form: (getter: Argument) => Getter,
): Getter | undefined {
  if (argument === undefined) return undefined;
  if (argument === 'res') return form(RESULT);
  const of = (type: string) => {
    const getter = ARGUMENTS[type]?.[argument];
    return getter && form(getter);
  };
  return eventType === undefined ? (event) => of(event.typeName)?.(event) : of(eventType);
}

function namedArguments(event: Parameters<Getter>[0]): string {
  const named = Object.entries(ARGUMENTS[event.typeName] ?? {}).map(
    ([name, getter]) => `${name}=${getter(event) ?? '<NA>'}`,
  );
  return [`res=${event.result}`, ...named].join(' ');
}

/** True for the kinds of open that a field is about; no value on other events. */
function onOpen(test: (flags: number, event: Parameters<Getter>[0]) => boolean): Getter {
  return (event) => (event.shape === 'open' ? test(event.u32(OPEN.flags), event) : undefined);
}

const CATEGORIES: Readonly<Record<string, string>> = {
  open: 'file',
  path: 'file',
  descriptor: 'file',
  socket: 'net',
  scalar: 'other',
};

const ABI_NAMES = [...ABIS.keys()];

/** How a call was made: by the machine's own convention mostly. */
export function abiName(event: Parameters<Getter>[0]): string {
  return ABI_NAMES[event.abi]!;
}

/** Fields that are read in another way for each event type. */
export const FIELDS_BY_EVENT_TYPE: ReadonlySet<string> = new Set(['evt.arg']);

export const EVENT_FIELDS: FieldTable = {
  'evt.num': plain((event) => event.number),
  'evt.type': plain((event) => event.typeName),
  'syscall.type': plain((event) => event.typeName),
  'evt.type.is': (argument) => (event) => (event.typeName === argument ? 1 : 0),
  'evt.category': plain((event) => CATEGORIES[familyOf(event.typeName) ?? ''] ?? 'process'),
  'evt.source': plain(() => 'syscall'),
  'evt.is_async': plain(() => false),
  'evt.dir': plain(() => '<'),
  'evt.hostname': (_argument, context) => () => context.hostname,
  'evt.rawtime': (_argument, context) => (event) => context.clock.wallNs(event.u64(HEADER.time_ns)),
  'evt.time': (_argument, context) => (event) => formatTime(context.clock.wallNs(event.u64(HEADER.time_ns))),
  'evt.time.iso8601': (_argument, context) => (event) => formatTime(context.clock.wallNs(event.u64(HEADER.time_ns))),
  'evt.datetime': (_argument, context) => (event) => formatTime(context.clock.wallNs(event.u64(HEADER.time_ns))),
  'evt.res': plain((event) => resultName(event.result)),
  'evt.rawres': plain((event) => event.result),
  'evt.failed': plain((event) => event.result < 0),
  'shikra.evt.abi': plain(abiName),
  'shikra.evt.raced': plain((event) => event.raced),
  'evt.buffer': plain(data),
  'evt.is_io': plain(isTransfer),
  'evt.is_io_read': plain((event) => isTransfer(event) === true && !SENDS.has(event.typeName)),
  'evt.is_io_write': plain((event) => SENDS.has(event.typeName)),
  'evt.io_dir': plain((event) => (isTransfer(event) ? (SENDS.has(event.typeName) ? 'w' : 'r') : undefined)),
  'evt.count': plain(() => 1),
  'evt.count.error': plain((event) => (event.result < 0 ? 1 : 0)),
  'evt.count.exit': plain(() => 1),
  'evt.is_open_read': plain(onOpen((flags) => (flags & O_ACCMODE) !== O_WRONLY)),
  'evt.is_open_write': plain(onOpen((flags) => (flags & O_ACCMODE) !== O_RDONLY)),
  'evt.is_open_create': plain(onOpen((flags) => (flags & O_CREAT) !== 0)),
  'evt.is_open_exec': plain(onOpen((flags, event) => (flags & O_CREAT) !== 0 && (event.u16(OPEN.mode) & 0o111) !== 0)),
  'evt.arg': argumentGetter,
  'evt.rawarg': rawArgumentGetter,
  'evt.args': plain(namedArguments),
  'evt.info': plain(namedArguments),
  'evt.abspath': (argument) => (argument === 'dst' ? path2 : path),
};
