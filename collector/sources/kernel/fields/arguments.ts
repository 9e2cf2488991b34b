/** What calls were given: evt.arg, evt.rawarg and evt.args. */
import { DESCRIPTOR, FORK, OPEN, PATH, SCALAR, SOCKET, SOCKET_INFO } from '../layout.ts';
import {
  addressFamily,
  atFlags,
  bpfCommands,
  capabilities,
  cloneFlags,
  fileModes,
  memfdFlags,
  mountFlags,
  openFlags,
  prctlOption,
  protections,
  ptraceRequest,
  resultName,
  signalName,
  umountFlags,
  userfaultfdFlags,
} from '../numbers.ts';
import type { FieldContext, Getter } from './context.ts';
import { DESCRIPTOR_FIELDS } from './descriptor-fields.ts';
import { PROCESS_FIELDS } from './process-fields.ts';
import { data } from './transfers.ts';

type Event = Parameters<Getter>[0];

/** An argument as text; what it is made of is its raw value. */
interface Argument {
  readonly text: Getter;
  readonly raw?: Getter;
  /** The file that has names for the number. */
  readonly names?: 'users' | 'groups';
}

type Arguments = Readonly<Record<string, Argument>>;

/** Those of one event type: in Falco's order, by which they have their numbers, and other names of the same. */
interface Signature {
  readonly listed: Arguments;
  readonly aliases: Arguments;
}

function plain(text: Getter): Argument {
  return { text };
}

/** An argument with names for its number. */
function named(
  raw: (event: Event) => number,
  names: ((number: number) => string) | { of(number: number): string },
): Argument {
  return { text: typeof names === 'function' ? (event) => names(raw(event)) : (event) => names.of(raw(event)), raw };
}

function fieldOf(table: typeof DESCRIPTOR_FIELDS, name: string): Getter {
  // None of these asks the context for anything.
  return table[name]!(undefined, {} as FieldContext, undefined)!;
}

const nameOf = fieldOf(DESCRIPTOR_FIELDS, 'fd.name');
const letterOf = fieldOf(DESCRIPTOR_FIELDS, 'fd.typechar');
const transportOf = fieldOf(DESCRIPTOR_FIELDS, 'fd.l4proto');

/**
 * A descriptor that leads to what the event is about: `<f>/etc/passwd`, `<4t>10.0.0.1:1->10.0.0.2:80`.
 * @param ofError what one below 0 is called
 */
function leading(raw: (event: Event) => number, ofError: (fd: number) => string | number = (fd) => fd): Argument {
  return {
    raw,
    text(event) {
      const fd = raw(event);
      if (fd < 0) return ofError(fd);
      const letter = letterOf(event);
      const [transport = ''] = String(transportOf(event) ?? '');
      return letter === undefined ? fd : `<${letter}${transport}>${nameOf(event) ?? ''}`;
    },
  };
}

const AT_FDCWD = -100;
/** The folder that a path starts from. */
const folder = (offset: (event: Event) => number): Argument => ({
  raw: offset,
  text: (event) => (offset(event) === AT_FDCWD ? 'AT_FDCWD' : offset(event)),
});

const result = (event: Event): number => event.result;
/** 0 or more as it is, an error by its name. */
const res: Argument = { raw: result, text: ({ result: number }) => (number >= 0 ? number : resultName(number)) };
const path = plain((event) => event.path);
const path2 = plain((event) => event.path2 || undefined);
/** Falco has it, and it is not collected: it keeps its number, and the others theirs. */
const absent = plain(() => undefined);

const dirfd = folder((event) => event.i32(event.shape === 'open' ? OPEN.directory_fd : PATH.directory_fd));
const dirfd2 = folder((event) => event.i32(PATH.directory_fd2));
const pathArgument = (event: Event) => event.u64(PATH.argument);
const pathNumber = plain(pathArgument);
const pathMode = named(pathArgument, fileModes);
const pathFlags = named(pathArgument, atFlags);
const pathDevice = plain((event) => event.u64(PATH.argument2));
const scalarAt = (index: number) => (event: Event) => event.u64(SCALAR.arguments + 8 * index);
const scalar = (index: number) => plain(scalarAt(index));
/** A number of the caller that is signed there: -1 leaves an id as it is, a pid below 0 is a group. */
const signed = (index: number) => plain((event) => event.i32(SCALAR.arguments + 8 * index));
/** A user or group: -1 leaves it as it is. */
function id(names: 'users' | 'groups', raw: Getter): Argument {
  return { text: raw, raw, names };
}
const signal = (index: number) => named(scalarAt(index), signalName);
/** A descriptor that the call returned, and of which no more is told. */
const made: Argument = { text: res.text, raw: result };
const text = plain((event) => event.string(SCALAR.text) || undefined);
const descriptorArgument = (event: Event) => event.u64(DESCRIPTOR.argument);
const descriptor = leading((event) => event.i32(DESCRIPTOR.fd));
const duplicate = leading((event) => event.i32(DESCRIPTOR.fd2), resultName);
const descriptorText = plain((event) => event.string(DESCRIPTOR.text) || undefined);
/** Where splice and sendfile take data from. */
const origin: Argument = {
  raw: (event) => event.i32(DESCRIPTOR.fd2),
  text: (event) => event.string(DESCRIPTOR.text) || event.i32(DESCRIPTOR.fd2),
};
/** The result, and what it leads to. */
const newFd = leading(result, resultName);
const socketFd = leading((event) => event.i32(SOCKET.fd));
const tuple = plain(nameOf);

/** @param aliases other names of the same, which are not listed */
function call(listed: Arguments, aliases: Arguments = {}): Signature {
  return { listed, aliases };
}

const openFlagsOf = named((event) => event.u32(OPEN.flags), openFlags);
const openMode = named((event) => event.u16(OPEN.mode), fileModes);
const dev = plain((event) => event.u32(OPEN.dev));
const ino = plain((event) => event.u64(OPEN.ino));
const OPENED: Arguments = { name: path, path, filename: path, res, dirfd, flags: openFlagsOf, mode: openMode };
const SUBJECT: Arguments = { path, name: path, filename: path, pathname: path, dirfd };
const MODE_OF_DESCRIPTOR = named(descriptorArgument, fileModes);
const RENAMED: Arguments = { oldpath: path, newpath: path2, olddirfd: dirfd, newdirfd: dirfd2, flags: pathNumber };
const UID = id('users', (event) => event.i32(PATH.argument));
const GID = id('groups', (event) => event.i32(PATH.argument2));
const IDS_OF_DESCRIPTOR: Arguments = {
  uid: id('users', (event) => event.i32(DESCRIPTOR.argument)),
  gid: id('groups', (event) => event.i32(DESCRIPTOR.argument + 4)),
};
const remove = call({ res, path }, { ...SUBJECT, flags: pathFlags });
const mode = call({ res, filename: path, mode: pathMode }, SUBJECT);
const modeAt = call({ res, dirfd, filename: path, mode: pathMode }, SUBJECT);
const move = call({ res, oldpath: path, newpath: path2 }, RENAMED);
const owner = call({ res, path, uid: UID, gid: GID }, SUBJECT);
const attribute = call({ res, path, name: path2, flags: pathNumber });
const tree = call({ res, dirfd, path, flags: pathNumber }, SUBJECT);
const otherMemory = call({ res, pid: signed(0), flags: scalar(5) });
const memory = { res, addr: scalar(0), length: scalar(1), prot: named(scalarAt(2), protections) };
const accepted = call({ fd: newFd, tuple });
const bytes = plain(data);
const transferFlags: Arguments = { flags: plain((event) => event.u32(SOCKET.argument)) };
const send = call({ res, data: bytes, fd: socketFd, size: absent, tuple }, transferFlags);
const receive = call({ res, data: bytes, tuple, fd: socketFd, size: absent }, transferFlags);
const receiveMessage = call({ res, size: absent, data: bytes, tuple, msgcontrol: absent, fd: socketFd }, transferFlags);
const newProcess = call({ res, flags: named((event) => event.u64(FORK.flags), cloneFlags) }, { pid: plain(result) });
const user = (index: number) => id('users', (event) => event.i32(SCALAR.arguments + 8 * index));
const group = (index: number) => id('groups', (event) => event.i32(SCALAR.arguments + 8 * index));

const process = (name: string): Argument => plain(fieldOf(PROCESS_FIELDS, name));
const execution = call({
  res,
  exe: process('proc.exe'),
  args: process('proc.args'),
  tid: process('thread.tid'),
  pid: process('proc.pid'),
  ptid: process('proc.ppid'),
  cwd: process('proc.cwd'),
  fdlimit: absent,
  pgft_maj: absent,
  pgft_min: absent,
  vm_size: absent,
  vm_rss: absent,
  vm_swap: absent,
  comm: process('proc.name'),
  cgroups: process('thread.cgroups'),
  env: process('proc.env'),
  tty: process('proc.tty'),
  vpgid: process('proc.vpgid'),
  loginuid: process('user.loginuid'),
});

/** Falco's names of the arguments of each event type (driver/event_table.c of its libraries); what it does not know, by the names of the manual pages. */
const SIGNATURES: Readonly<Record<string, Signature>> = {
  execve: execution,
  execveat: execution,
  fork: newProcess,
  vfork: newProcess,
  clone: newProcess,
  clone3: newProcess,
  procexit: call({
    status: plain(result),
    ret: plain((event) => (event.result >>> 8) & 0xff),
    sig: named((event) => event.result & 0x7f, signalName),
    core: plain((event) => (event.result >>> 7) & 1),
  }),
  open: call({ fd: newFd, name: path, flags: openFlagsOf, mode: openMode, dev, ino }, OPENED),
  openat: call({ fd: newFd, dirfd, name: path, flags: openFlagsOf, mode: openMode, dev, ino }, OPENED),
  openat2: call(
    { fd: newFd, dirfd, name: path, flags: openFlagsOf, mode: openMode, resolve: absent, dev, ino },
    OPENED,
  ),
  creat: call({ fd: newFd, name: path, mode: openMode, dev, ino }, OPENED),
  open_by_handle_at: call({ fd: newFd, mountfd: dirfd, flags: openFlagsOf, path, dev, ino }, OPENED),
  chmod: mode,
  fchmodat: modeAt,
  fchmodat2: modeAt,
  fchmod: call({ res, fd: descriptor, mode: MODE_OF_DESCRIPTOR }, { filename: path, path, name: path }),
  truncate: call({ res, path, length: pathNumber }),
  ftruncate: call({ res, fd: descriptor, length: plain(descriptorArgument) }, { path }),
  unlink: remove,
  unlinkat: call({ res, dirfd, name: path, flags: pathFlags }, SUBJECT),
  rmdir: remove,
  rename: move,
  renameat: call({ res, olddirfd: dirfd, oldpath: path, newdirfd: dirfd2, newpath: path2 }, RENAMED),
  renameat2: call({ res, olddirfd: dirfd, oldpath: path, newdirfd: dirfd2, newpath: path2, flags: pathNumber }),
  link: move,
  linkat: call({ res, olddir: dirfd, oldpath: path, newdir: dirfd2, newpath: path2, flags: pathFlags }, RENAMED),
  symlink: call({ res, target: path2, linkpath: path }),
  symlinkat: call({ res, target: path2, linkdirfd: dirfd, linkpath: path }),
  mkdir: call({ res, path, mode: pathMode }, SUBJECT),
  mkdirat: call({ res, dirfd, path, mode: pathMode }, SUBJECT),
  mknod: call({ res, path, mode: pathMode, dev: pathDevice }, SUBJECT),
  mknodat: call({ res, dirfd, path, mode: pathMode, dev: pathDevice }, SUBJECT),
  chown: owner,
  lchown: owner,
  fchownat: call({ res, dirfd, pathname: path, uid: UID, gid: GID }, SUBJECT),
  fchown: call({ res, fd: descriptor, ...IDS_OF_DESCRIPTOR }, { path }),
  setxattr: attribute,
  lsetxattr: attribute,
  setxattrat: call({ res, dirfd, path, flags: pathFlags, name: path2 }),
  fsetxattr: call({ res, fd: descriptor, name: descriptorText, flags: plain(descriptorArgument) }, { path }),
  name_to_handle_at: call({ res, dirfd, path, flags: pathFlags }, SUBJECT),
  mount: call(
    {
      res,
      dev: path2,
      dir: path,
      type: plain((event) => event.string(PATH.directory2) || undefined),
      flags: named(pathArgument, mountFlags),
    },
    { target: path, source: path2 },
  ),
  umount2: call({ res, name: path, flags: named(pathArgument, umountFlags) }, { target: path, path }),
  open_tree: tree,
  mount_setattr: call({ res, dirfd, path, flags: pathFlags }, SUBJECT),
  move_mount: call(
    { res, from_dirfd: dirfd, from_pathname: path, to_dirfd: dirfd2, to_pathname: path2, flags: pathNumber },
    RENAMED,
  ),
  chroot: call({ res, path }),
  pivot_root: call({ res, new_root: path, put_old: path2 }),
  dup: call({ res: duplicate, oldfd: descriptor }, { fd: duplicate, newfd: duplicate }),
  dup2: call({ res: duplicate, oldfd: descriptor, newfd: duplicate }, { fd: duplicate }),
  dup3: call(
    { res: duplicate, oldfd: descriptor, newfd: duplicate, flags: named(descriptorArgument, openFlags) },
    { fd: duplicate },
  ),
  splice: call(
    { res, fd_in: origin, fd_out: descriptor, size: absent, flags: plain(descriptorArgument) },
    { fd: descriptor },
  ),
  sendfile: call({ res, offset: absent, size: absent, out_fd: descriptor, in_fd: origin }, { fd: descriptor }),
  finit_module: call({ res, fd: descriptor, uargs: descriptorText, flags: plain(descriptorArgument) }, { path }),
  init_module: call({ res, img: absent, length: scalar(1), uargs: text }),
  delete_module: call({ res, name: text, flags: named(scalarAt(1), openFlags) }),
  setns: call({ res, fd: descriptor, nstype: named(descriptorArgument, cloneFlags) }, { path }),
  unshare: call({ res, flags: named(scalarAt(0), cloneFlags) }),
  ptrace: call({ res, addr: scalar(2), data: scalar(3), request: named(scalarAt(0), ptraceRequest), pid: scalar(1) }),
  setuid: call({ res, uid: user(0) }),
  setgid: call({ res, gid: group(0) }),
  setreuid: call({ res, ruid: user(0), euid: user(1) }),
  setregid: call({ res, rgid: group(0), egid: group(1) }),
  setresuid: call({ res, ruid: user(0), euid: user(1), suid: user(2) }),
  setresgid: call({ res, rgid: group(0), egid: group(1), sgid: group(2) }),
  setfsuid: call({ res, uid: user(0) }),
  setfsgid: call({ res, gid: group(0) }),
  capset: call({
    res,
    cap_inheritable: named(scalarAt(0), (set) => capabilities(BigInt(set))),
    cap_permitted: named(scalarAt(1), (set) => capabilities(BigInt(set))),
    cap_effective: named(scalarAt(2), (set) => capabilities(BigInt(set))),
  }),
  prctl: call({ res, option: named(scalarAt(0), prctlOption), arg2_str: text, arg2_int: scalar(1) }),
  personality: call({ res, persona: scalar(0) }),
  keyctl: call({ res, cmd: scalar(0) }),
  kill: call({ res, pid: signed(0), sig: signal(1) }),
  tkill: call({ res, tid: signed(0), sig: signal(1) }),
  tgkill: call({ res, pid: signed(0), tid: signed(1), sig: signal(2) }),
  pidfd_open: call({ fd: made, pid: signed(0), flags: scalar(1) }),
  pidfd_getfd: call({ fd: made, pid_fd: signed(0), target_fd: signed(1), flags: scalar(2) }),
  pidfd_send_signal: call({ res, pid_fd: signed(0), sig: signal(1) }),
  process_vm_readv: otherMemory,
  process_vm_writev: otherMemory,
  bpf: call({ fd: made, cmd: named(scalarAt(0), bpfCommands) }),
  perf_event_open: call({ res, pid: signed(1), cpu: signed(2), group_fd: signed(3), flags: scalar(4) }),
  userfaultfd: call({ res, flags: named(scalarAt(0), userfaultfdFlags) }),
  io_uring_setup: call({ res, entries: scalar(0) }),
  io_uring_enter: call({ res, fd: signed(0), to_submit: scalar(1), min_complete: scalar(2), flags: scalar(3) }),
  io_uring_register: call({ res, fd: signed(0), opcode: scalar(1), arg: absent, nr_args: scalar(3) }),
  fsopen: call({ res, fsname: text, flags: scalar(1) }),
  fsmount: call({ res, fd: signed(0), flags: scalar(1), attr_flags: scalar(2) }),
  kexec_load: call({ res, nr_segments: scalar(1), flags: scalar(3) }),
  kexec_file_load: call({ res, kernel_fd: signed(0), initrd_fd: signed(1), cmdline: text, flags: scalar(4) }),
  mmap: call({ ...memory, flags: scalar(3), fd: signed(4), offset: scalar(5) }),
  mprotect: call(memory),
  memfd_create: call({ fd: made, name: text, flags: named(scalarAt(1), memfdFlags) }),
  socket: call({
    fd: newFd,
    domain: named((event) => event.u16(SOCKET.asked + SOCKET_INFO.family), addressFamily),
    type: plain((event) => event.u16(SOCKET.asked + SOCKET_INFO.type)),
    proto: plain((event) => event.u16(SOCKET.asked + SOCKET_INFO.protocol)),
  }),
  bind: call({ res, addr: plain((event) => localName(event)), fd: socketFd }),
  connect: call({ res, tuple, fd: socketFd }),
  listen: call({ res, fd: socketFd, backlog: plain((event) => event.u32(SOCKET.argument)) }),
  accept: accepted,
  accept4: accepted,
  sendto: send,
  sendmsg: send,
  sendmmsg: send,
  recvfrom: receive,
  recvmsg: receiveMessage,
  recvmmsg: receiveMessage,
};

const localAddress = fieldOf(DESCRIPTOR_FIELDS, 'fd.lip');
const localPort = fieldOf(DESCRIPTOR_FIELDS, 'fd.lport');

/** What a socket is bound to. */
function localName(event: Event) {
  const address = localAddress(event);
  return address === undefined ? nameOf(event) : `${address}:${localPort(event)}`;
}

/** By its name, or by its number in Falco's order. `res` is that of every type. */
function argumentOf(type: string, argument: string): Argument | undefined {
  const signature = SIGNATURES[type];
  if (signature === undefined) return undefined;
  const { listed, aliases } = signature;
  if (/^\d+$/.test(argument)) return Object.values(listed)[Number(argument)];
  return listed[argument] ?? aliases[argument] ?? (argument === 'res' ? res : undefined);
}

export function argumentGetter(
  argument: string | undefined,
  context: FieldContext,
  eventType: string | undefined,
): Getter | undefined {
  return anyArgument(argument, eventType, (found) => textOf(found, context));
}

function textOf({ text: getter, names }: Argument, context: FieldContext): Getter {
  if (names === undefined) return getter;
  return (event) => {
    const number = Number(getter(event));
    return context[names].name(number) ?? number;
  };
}

/** The number behind a name, as the kernel has it; otherwise the same as the argument. */
export function rawArgumentGetter(
  argument: string | undefined,
  _context: FieldContext,
  eventType: string | undefined,
): Getter | undefined {
  return anyArgument(argument, eventType, ({ text: getter, raw }) => raw ?? getter);
}

function anyArgument(
  argument: string | undefined,
  eventType: string | undefined,
  form: (argument: Argument) => Getter,
): Getter | undefined {
  if (argument === undefined) return undefined;
  const of = (type: string) => {
    const found = argumentOf(type, argument);
    return found && form(found);
  };
  return eventType === undefined ? (event) => of(event.typeName)?.(event) : of(eventType);
}

/** All of them as `name=value`; numbers that have a name as `name=value(NAME)`. */
export function listedArguments(event: Event, context: FieldContext): string {
  return Object.entries(SIGNATURES[event.typeName]?.listed ?? {})
    .map(([name, argument]) => [name, inFull(argument, event, context)])
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

function inFull(argument: Argument, event: Event, context: FieldContext): string | undefined {
  const value = textOf(argument, context)(event);
  if (value === undefined) return undefined;
  const number = String(argument.raw?.(event) ?? value);
  return String(value) === number ? number : `${number}(${value})`;
}
