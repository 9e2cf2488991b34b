import { CALL_TABLE_ROWS, CALL_TABLES, EVENT_TYPES, FAMILIES, INTEREST, SYSCALL_TABLE_ENTRIES } from './layout.ts';

type Family = 'open' | 'path' | 'descriptor' | 'socket' | 'scalar';

interface SystemCall {
  readonly family: Family;
  /** Numbers on x86-64, on arm64 (absent: the call does not exist there) and for 32-bit programs on x86: some have one for ids or lengths of either size. */
  readonly x64: number;
  readonly arm64?: number;
  readonly i386?: number | readonly number[];
  /** Of the few that x32 programs call by a number of their own; the others are x86-64's. */
  readonly x32?: number;
  /** First argument of socketcall, by which 32-bit programs may make socket calls (linux/net.h); send and recv are sendto and recvfrom without an address. */
  readonly socketcall?: readonly number[];
  /** Operations of io_uring that do the same (IORING_OP_* of linux/io_uring.h): told as this call. */
  readonly uring?: readonly number[];
}

/** What the probe can collect at the exit of a system call, by evt.type. Executions, forks and exits have hooks of their own. */
const SYSTEM_CALLS: Readonly<Record<string, SystemCall>> = {
  open: { family: 'open', x64: 2, i386: 5 },
  openat: { family: 'open', x64: 257, arm64: 56, i386: 295, uring: [18] },
  openat2: { family: 'open', x64: 437, arm64: 437, i386: 437, uring: [28] },
  creat: { family: 'open', x64: 85, i386: 8 },
  open_by_handle_at: { family: 'open', x64: 304, arm64: 265, i386: 342 },
  chmod: { family: 'path', x64: 90, i386: 15 },
  fchmodat: { family: 'path', x64: 268, arm64: 53, i386: 306 },
  fchmodat2: { family: 'path', x64: 452, arm64: 452, i386: 452 },
  truncate: { family: 'path', x64: 76, arm64: 45, i386: [92, 193] },
  unlink: { family: 'path', x64: 87, i386: 10 },
  unlinkat: { family: 'path', x64: 263, arm64: 35, i386: 301, uring: [36] },
  rmdir: { family: 'path', x64: 84, i386: 40 },
  rename: { family: 'path', x64: 82, i386: 38 },
  renameat: { family: 'path', x64: 264, arm64: 38, i386: 302 },
  renameat2: { family: 'path', x64: 316, arm64: 276, i386: 353, uring: [35] },
  link: { family: 'path', x64: 86, i386: 9 },
  linkat: { family: 'path', x64: 265, arm64: 37, i386: 303, uring: [39] },
  symlink: { family: 'path', x64: 88, i386: 83 },
  symlinkat: { family: 'path', x64: 266, arm64: 36, i386: 304, uring: [38] },
  mkdir: { family: 'path', x64: 83, i386: 39 },
  mkdirat: { family: 'path', x64: 258, arm64: 34, i386: 296, uring: [37] },
  mknod: { family: 'path', x64: 133, i386: 14 },
  mknodat: { family: 'path', x64: 259, arm64: 33, i386: 297 },
  chown: { family: 'path', x64: 92, i386: [212, 182] },
  lchown: { family: 'path', x64: 94, i386: [198, 16] },
  fchownat: { family: 'path', x64: 260, arm64: 54, i386: 298 },
  setxattr: { family: 'path', x64: 188, arm64: 5, i386: 226, uring: [42] },
  lsetxattr: { family: 'path', x64: 189, arm64: 6, i386: 227 },
  setxattrat: { family: 'path', x64: 463, arm64: 463, i386: 463 },
  name_to_handle_at: { family: 'path', x64: 303, arm64: 264, i386: 341 },
  mount: { family: 'path', x64: 165, arm64: 40, i386: 21 },
  umount2: { family: 'path', x64: 166, arm64: 39, i386: [52, 22] },
  open_tree: { family: 'path', x64: 428, arm64: 428, i386: 428 },
  move_mount: { family: 'path', x64: 429, arm64: 429, i386: 429 },
  mount_setattr: { family: 'path', x64: 442, arm64: 442, i386: 442 },
  chroot: { family: 'path', x64: 161, arm64: 51, i386: 61 },
  pivot_root: { family: 'path', x64: 155, arm64: 41, i386: 217 },
  fchown: { family: 'descriptor', x64: 93, arm64: 55, i386: [207, 95] },
  fchmod: { family: 'descriptor', x64: 91, arm64: 52, i386: 94 },
  ftruncate: { family: 'descriptor', x64: 77, arm64: 46, i386: [93, 194], uring: [55] },
  fsetxattr: { family: 'descriptor', x64: 190, arm64: 7, i386: 228, uring: [41] },
  splice: { family: 'descriptor', x64: 275, arm64: 76, i386: 313, uring: [30] },
  sendfile: { family: 'descriptor', x64: 40, arm64: 71, i386: [239, 187] },
  dup: { family: 'descriptor', x64: 32, arm64: 23, i386: 41, uring: [54] },
  dup2: { family: 'descriptor', x64: 33, i386: 63 },
  dup3: { family: 'descriptor', x64: 292, arm64: 24, i386: 330 },
  finit_module: { family: 'descriptor', x64: 313, arm64: 273, i386: 350 },
  setns: { family: 'descriptor', x64: 308, arm64: 268, i386: 346 },
  socket: { family: 'socket', x64: 41, arm64: 198, i386: 359, socketcall: [1], uring: [45] },
  bind: { family: 'socket', x64: 49, arm64: 200, i386: 361, socketcall: [2], uring: [56] },
  connect: { family: 'socket', x64: 42, arm64: 203, i386: 362, uring: [16], socketcall: [3] },
  listen: { family: 'socket', x64: 50, arm64: 201, i386: 363, socketcall: [4], uring: [57] },
  accept: { family: 'socket', x64: 43, arm64: 202, socketcall: [5] },
  accept4: { family: 'socket', x64: 288, arm64: 242, i386: 364, socketcall: [18], uring: [13] },
  sendto: { family: 'socket', x64: 44, arm64: 206, i386: 369, socketcall: [11, 9], uring: [26, 47] },
  sendmsg: { family: 'socket', x64: 46, arm64: 211, i386: 370, x32: 518, socketcall: [16], uring: [9, 48] },
  sendmmsg: { family: 'socket', x64: 307, arm64: 269, i386: 345, x32: 538, socketcall: [20] },
  recvfrom: { family: 'socket', x64: 45, arm64: 207, i386: 371, x32: 517, socketcall: [12, 10], uring: [27, 58] },
  recvmsg: { family: 'socket', x64: 47, arm64: 212, i386: 372, x32: 519, socketcall: [17], uring: [10] },
  recvmmsg: { family: 'socket', x64: 299, arm64: 243, i386: 337, x32: 537, socketcall: [19] },
  ptrace: { family: 'scalar', x64: 101, arm64: 117, i386: 26, x32: 521 },
  unshare: { family: 'scalar', x64: 272, arm64: 97, i386: 310 },
  setuid: { family: 'scalar', x64: 105, arm64: 146, i386: [213, 23] },
  init_module: { family: 'scalar', x64: 175, arm64: 105, i386: 128 },
  delete_module: { family: 'scalar', x64: 176, arm64: 106, i386: 129 },
  memfd_create: { family: 'scalar', x64: 319, arm64: 279, i386: 356 },
  setgid: { family: 'scalar', x64: 106, arm64: 144, i386: [214, 46] },
  setreuid: { family: 'scalar', x64: 113, arm64: 145, i386: [203, 70] },
  setregid: { family: 'scalar', x64: 114, arm64: 143, i386: [204, 71] },
  setresuid: { family: 'scalar', x64: 117, arm64: 147, i386: [208, 164] },
  setresgid: { family: 'scalar', x64: 119, arm64: 149, i386: [210, 170] },
  setfsuid: { family: 'scalar', x64: 122, arm64: 151, i386: [215, 138] },
  setfsgid: { family: 'scalar', x64: 123, arm64: 152, i386: [216, 139] },
  capset: { family: 'scalar', x64: 126, arm64: 91, i386: 185 },
  prctl: { family: 'scalar', x64: 157, arm64: 167, i386: 172 },
  personality: { family: 'scalar', x64: 135, arm64: 92, i386: 136 },
  keyctl: { family: 'scalar', x64: 250, arm64: 219, i386: 288 },
  kill: { family: 'scalar', x64: 62, arm64: 129, i386: 37 },
  tkill: { family: 'scalar', x64: 200, arm64: 130, i386: 238 },
  tgkill: { family: 'scalar', x64: 234, arm64: 131, i386: 270 },
  pidfd_open: { family: 'scalar', x64: 434, arm64: 434, i386: 434 },
  pidfd_getfd: { family: 'scalar', x64: 438, arm64: 438, i386: 438 },
  pidfd_send_signal: { family: 'scalar', x64: 424, arm64: 424, i386: 424 },
  process_vm_readv: { family: 'scalar', x64: 310, arm64: 270, i386: 347, x32: 539 },
  process_vm_writev: { family: 'scalar', x64: 311, arm64: 271, i386: 348, x32: 540 },
  bpf: { family: 'scalar', x64: 321, arm64: 280, i386: 357 },
  perf_event_open: { family: 'scalar', x64: 298, arm64: 241, i386: 336 },
  userfaultfd: { family: 'scalar', x64: 323, arm64: 282, i386: 374 },
  io_uring_setup: { family: 'scalar', x64: 425, arm64: 425, i386: 425 },
  io_uring_enter: { family: 'scalar', x64: 426, arm64: 426, i386: 426 },
  io_uring_register: { family: 'scalar', x64: 427, arm64: 427, i386: 427 },
  fsopen: { family: 'scalar', x64: 430, arm64: 430, i386: 430 },
  fsmount: { family: 'scalar', x64: 432, arm64: 432, i386: 432 },
  kexec_load: { family: 'scalar', x64: 246, arm64: 104, i386: 283, x32: 528 },
  kexec_file_load: { family: 'scalar', x64: 320, arm64: 294 },
  mmap: { family: 'scalar', x64: 9, arm64: 222, i386: [192, 90] },
  mprotect: { family: 'scalar', x64: 10, arm64: 226, i386: 125 },
};

/** Process events come whatever the rules want: the process table lives on them. */
const PROCESS_EVENTS = ['execve', 'execveat', 'fork', 'vfork', 'clone', 'clone3', 'procexit'] as const;

/** Every evt.type that this source can deliver. */
export const COLLECTED_EVENT_TYPES: readonly string[] = [...PROCESS_EVENTS, ...Object.keys(SYSTEM_CALLS)];

/** Which family collects an event type; undefined for process events. */
export function familyOf(eventType: string): Family | undefined {
  return SYSTEM_CALLS[eventType]?.family;
}

const I386_SOCKETCALL = 102;

/** What is wanted of the kernel. */
export interface WantedEvents {
  /** By the names of event types. */
  readonly types: ReadonlySet<string>;
  /** Of these, the ones whose calls are wanted when they fail, too. */
  readonly failed: ReadonlySet<string>;
}

/** Every event of some types. */
export function allOf(eventTypes: readonly string[]): WantedEvents {
  const types = new Set(eventTypes);
  return { types, failed: types };
}

/** The probe's table of interests for the wanted events, and the families that they need as a bit set. */
export function interestsFor(
  wanted: WantedEvents,
  arch: string = process.arch,
): { interests: Uint8Array; families: number } {
  const interests = new Uint8Array(CALL_TABLE_ROWS * SYSCALL_TABLE_ENTRIES * INTEREST.sizeBytes);
  const view = new DataView(interests.buffer);
  let families = 0;
  const set = (table: string, number: number | undefined, type: number, family: number, failed = true): void => {
    if (number === undefined) return;
    const at = (CALL_TABLES.get(table)! * SYSCALL_TABLE_ENTRIES + number) * INTEREST.sizeBytes;
    view.setUint16(at + INTEREST.type, type, true);
    view.setUint8(at + INTEREST.family, family);
    view.setUint8(at + INTEREST.failed, failed ? 1 : 0);
    families |= 1 << family;
  };
  for (const [name, call] of Object.entries(SYSTEM_CALLS)) {
    if (!wanted.types.has(name)) continue;
    const failed = wanted.failed.has(name);
    const type = EVENT_TYPES.get(name)!;
    const family = FAMILIES.get(call.family)!;
    for (const operation of call.uring ?? []) set('io_uring', operation, type, family);
    set('native', arch === 'arm64' ? call.arm64 : call.x64, type, family, failed);
    if (arch !== 'x64') continue;
    set('native', call.x32, type, family, failed);
    for (const number of [call.i386].flat()) set('compat', number, type, family, failed);
    if (call.socketcall === undefined) continue;
    for (const number of call.socketcall) set('socketcall', number, type, family);
    set('compat', I386_SOCKETCALL, type, FAMILIES.get('socketcall')!);
  }
  return { interests, families };
}
