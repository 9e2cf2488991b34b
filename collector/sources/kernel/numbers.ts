/** Numbers of the kernel's interface as the names that rules use. Each table is the uapi header named above it. */
import { constants } from 'node:os';

const ERRNO_NAMES = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));

/** `SUCCESS`, or errno's name. */
export function resultName(result: number): string {
  return result >= 0 ? 'SUCCESS' : (ERRNO_NAMES.get(-result) ?? `E${-result}`);
}

/** Names of the bits that are set, joined by `|`; remembered, as few combinations ever occur. */
class FlagNames {
  readonly #bits: readonly (readonly [string, number])[];
  readonly #zero: string;
  readonly #known = new Map<number, string>();

  constructor(bits: Readonly<Record<string, number>>, zero: string) {
    this.#bits = Object.entries(bits);
    this.#zero = zero;
  }

  of(value: number): string {
    let names = this.#known.get(value);
    if (names === undefined) {
      if (this.#known.size > 4096) this.#known.clear();
      names = this.#join(value);
      this.#known.set(value, names);
    }
    return names;
  }

  #join(value: number): string {
    const set = this.#bits.filter(([, bits]) => (value & bits) === bits).map(([name]) => name);
    return set.length > 0 ? set.join('|') : this.#zero;
  }
}

/** arch/arm64/include/uapi/asm/fcntl.h has these in other places than the rest of the machines. */
const MOVED_OPEN_BITS =
  process.arch === 'arm64'
    ? { O_DIRECTORY: 0o40000, O_NOFOLLOW: 0o100000, O_DIRECT: 0o200000, O_LARGEFILE: 0o400000, O_TMPFILE: 0o20040000 }
    : { O_DIRECT: 0o40000, O_LARGEFILE: 0o100000, O_DIRECTORY: 0o200000, O_NOFOLLOW: 0o400000, O_TMPFILE: 0o20200000 };
/** include/uapi/asm-generic/fcntl.h; the access mode is a number, not bits. */
const OPEN_BITS = new FlagNames(
  {
    O_CREAT: 0o100,
    O_EXCL: 0o200,
    O_NOCTTY: 0o400,
    O_TRUNC: 0o1000,
    O_APPEND: 0o2000,
    O_NONBLOCK: 0o4000,
    O_DSYNC: 0o10000,
    O_DIRECT: MOVED_OPEN_BITS.O_DIRECT,
    O_LARGEFILE: MOVED_OPEN_BITS.O_LARGEFILE,
    O_DIRECTORY: MOVED_OPEN_BITS.O_DIRECTORY,
    O_NOFOLLOW: MOVED_OPEN_BITS.O_NOFOLLOW,
    O_CLOEXEC: 0o2000000,
    O_SYNC: 0o4010000,
    O_PATH: 0o10000000,
    O_TMPFILE: MOVED_OPEN_BITS.O_TMPFILE,
  },
  '',
);
const ACCESS_MODES = ['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_RDWR'] as const;
const openFlagNames = new Map<number, string>();

export function openFlags(flags: number): string {
  let names = openFlagNames.get(flags);
  if (names === undefined) {
    if (openFlagNames.size > 4096) openFlagNames.clear();
    const others = OPEN_BITS.of(flags & ~3);
    names = others === '' ? ACCESS_MODES[flags & 3]! : `${ACCESS_MODES[flags & 3]}|${others}`;
    openFlagNames.set(flags, names);
  }
  return names;
}

export const O_ACCMODE = 3;
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_CREAT = 0o100;

/** include/uapi/linux/stat.h */
export const fileModes = new FlagNames(
  {
    S_ISUID: 0o4000,
    S_ISGID: 0o2000,
    S_ISVTX: 0o1000,
    S_IRUSR: 0o400,
    S_IWUSR: 0o200,
    S_IXUSR: 0o100,
    S_IRGRP: 0o40,
    S_IWGRP: 0o20,
    S_IXGRP: 0o10,
    S_IROTH: 0o4,
    S_IWOTH: 0o2,
    S_IXOTH: 0o1,
  },
  '0',
);

/** include/uapi/linux/sched.h */
export const cloneFlags = new FlagNames(
  {
    CLONE_NEWTIME: 0x80,
    CLONE_VM: 0x100,
    CLONE_FS: 0x200,
    CLONE_FILES: 0x400,
    CLONE_SIGHAND: 0x800,
    CLONE_PIDFD: 0x1000,
    CLONE_PTRACE: 0x2000,
    CLONE_VFORK: 0x4000,
    CLONE_PARENT: 0x8000,
    CLONE_THREAD: 0x10000,
    CLONE_NEWNS: 0x20000,
    CLONE_SYSVSEM: 0x40000,
    CLONE_SETTLS: 0x80000,
    CLONE_PARENT_SETTID: 0x100000,
    CLONE_CHILD_CLEARTID: 0x200000,
    CLONE_UNTRACED: 0x800000,
    CLONE_CHILD_SETTID: 0x1000000,
    CLONE_NEWCGROUP: 0x2000000,
    CLONE_NEWUTS: 0x4000000,
    CLONE_NEWIPC: 0x8000000,
    CLONE_NEWUSER: 0x10000000,
    CLONE_NEWPID: 0x20000000,
    CLONE_NEWNET: 0x40000000,
  },
  '0',
);

/** include/uapi/linux/fcntl.h, for unlinkat and linkat. */
export const atFlags = new FlagNames(
  { AT_SYMLINK_NOFOLLOW: 0x100, AT_REMOVEDIR: 0x200, AT_SYMLINK_FOLLOW: 0x400, AT_EMPTY_PATH: 0x1000 },
  '0',
);

/** include/uapi/linux/memfd.h */
export const memfdFlags = new FlagNames(
  { MFD_CLOEXEC: 1, MFD_ALLOW_SEALING: 2, MFD_HUGETLB: 4, MFD_NOEXEC_SEAL: 8, MFD_EXEC: 16 },
  '0',
);

/** include/uapi/linux/ptrace.h */
const PTRACE_REQUESTS = new Map([
  [0, 'PTRACE_TRACEME'],
  [1, 'PTRACE_PEEKTEXT'],
  [2, 'PTRACE_PEEKDATA'],
  [3, 'PTRACE_PEEKUSR'],
  [4, 'PTRACE_POKETEXT'],
  [5, 'PTRACE_POKEDATA'],
  [6, 'PTRACE_POKEUSR'],
  [7, 'PTRACE_CONT'],
  [8, 'PTRACE_KILL'],
  [9, 'PTRACE_SINGLESTEP'],
  [12, 'PTRACE_GETREGS'],
  [13, 'PTRACE_SETREGS'],
  [16, 'PTRACE_ATTACH'],
  [17, 'PTRACE_DETACH'],
  [24, 'PTRACE_SYSCALL'],
  [0x4200, 'PTRACE_SETOPTIONS'],
  [0x4201, 'PTRACE_GETEVENTMSG'],
  [0x4202, 'PTRACE_GETSIGINFO'],
  [0x4203, 'PTRACE_SETSIGINFO'],
  [0x4204, 'PTRACE_GETREGSET'],
  [0x4205, 'PTRACE_SETREGSET'],
  [0x4206, 'PTRACE_SEIZE'],
  [0x4207, 'PTRACE_INTERRUPT'],
  [0x4208, 'PTRACE_LISTEN'],
  [0x4209, 'PTRACE_PEEKSIGINFO'],
]);

export function ptraceRequest(request: number): string {
  return PTRACE_REQUESTS.get(request) ?? `PTRACE_${request}`;
}

/** include/uapi/linux/mount.h */
export const mountFlags = new FlagNames(
  {
    MS_RDONLY: 1,
    MS_NOSUID: 2,
    MS_NODEV: 4,
    MS_NOEXEC: 8,
    MS_SYNCHRONOUS: 16,
    MS_REMOUNT: 32,
    MS_NOATIME: 1024,
    MS_BIND: 4096,
    MS_MOVE: 8192,
    MS_REC: 16384,
    MS_SILENT: 32768,
    MS_UNBINDABLE: 1 << 17,
    MS_PRIVATE: 1 << 18,
    MS_SLAVE: 1 << 19,
    MS_SHARED: 1 << 20,
    MS_RELATIME: 1 << 21,
  },
  '0',
);
export const umountFlags = new FlagNames({ MNT_FORCE: 1, MNT_DETACH: 2, MNT_EXPIRE: 4, UMOUNT_NOFOLLOW: 8 }, '0');

/** include/uapi/asm-generic/mman-common.h */
export const protections = new FlagNames({ PROT_READ: 1, PROT_WRITE: 2, PROT_EXEC: 4 }, 'PROT_NONE');

/** include/uapi/linux/userfaultfd.h */
export const userfaultfdFlags = new FlagNames(
  { O_CLOEXEC: 0o2000000, O_NONBLOCK: 0o4000, UFFD_USER_MODE_ONLY: 1 },
  '0',
);

/** A number of an enumeration by its place in the kernel's header. */
class NumberNames {
  readonly #names: readonly string[];
  readonly #prefix: string;

  constructor(prefix: string, names: readonly string[]) {
    this.#prefix = prefix;
    this.#names = names.map((name) => `${prefix}${name}`);
  }

  of(value: number): string {
    return this.#names[value] ?? `${this.#prefix}${value}`;
  }
}

/** include/uapi/linux/bpf.h, enum bpf_cmd */
export const bpfCommands = new NumberNames('BPF_', [
  'MAP_CREATE',
  'MAP_LOOKUP_ELEM',
  'MAP_UPDATE_ELEM',
  'MAP_DELETE_ELEM',
  'MAP_GET_NEXT_KEY',
  'PROG_LOAD',
  'OBJ_PIN',
  'OBJ_GET',
  'PROG_ATTACH',
  'PROG_DETACH',
  'PROG_TEST_RUN',
  'PROG_GET_NEXT_ID',
  'MAP_GET_NEXT_ID',
  'PROG_GET_FD_BY_ID',
  'MAP_GET_FD_BY_ID',
  'OBJ_GET_INFO_BY_FD',
  'PROG_QUERY',
  'RAW_TRACEPOINT_OPEN',
  'BTF_LOAD',
  'BTF_GET_FD_BY_ID',
  'TASK_FD_QUERY',
  'MAP_LOOKUP_AND_DELETE_ELEM',
  'MAP_FREEZE',
  'BTF_GET_NEXT_ID',
  'MAP_LOOKUP_BATCH',
  'MAP_LOOKUP_AND_DELETE_BATCH',
  'MAP_UPDATE_BATCH',
  'MAP_DELETE_BATCH',
  'LINK_CREATE',
  'LINK_UPDATE',
  'LINK_GET_FD_BY_ID',
  'LINK_GET_NEXT_ID',
  'ENABLE_STATS',
  'ITER_CREATE',
  'LINK_DETACH',
  'PROG_BIND_MAP',
  'TOKEN_CREATE',
]);

/** include/uapi/linux/prctl.h, those that rules ask for */
const PRCTL_OPTIONS = new Map([
  [1, 'PR_SET_PDEATHSIG'],
  [3, 'PR_GET_DUMPABLE'],
  [4, 'PR_SET_DUMPABLE'],
  [8, 'PR_SET_KEEPCAPS'],
  [15, 'PR_SET_NAME'],
  [16, 'PR_GET_NAME'],
  [22, 'PR_SET_SECCOMP'],
  [23, 'PR_CAPBSET_READ'],
  [24, 'PR_CAPBSET_DROP'],
  [28, 'PR_SET_SECUREBITS'],
  [35, 'PR_SET_MM'],
  [36, 'PR_SET_CHILD_SUBREAPER'],
  [38, 'PR_SET_NO_NEW_PRIVS'],
  [47, 'PR_CAP_AMBIENT'],
  [59, 'PR_SET_SYSCALL_USER_DISPATCH'],
  [0x59616d61, 'PR_SET_PTRACER'],
  [0x53564d41, 'PR_SET_VMA'],
]);

export function prctlOption(option: number): string {
  return PRCTL_OPTIONS.get(option) ?? `PR_${option}`;
}

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, value]) => [value as number, name]));

export function signalName(signal: number): string {
  return signal === 0 ? '0' : (SIGNAL_NAMES.get(signal) ?? `SIG${signal}`);
}

/** include/linux/socket.h */
const ADDRESS_FAMILIES = new Map([
  [0, 'AF_UNSPEC'],
  [1, 'AF_UNIX'],
  [2, 'AF_INET'],
  [10, 'AF_INET6'],
  [16, 'AF_NETLINK'],
  [17, 'AF_PACKET'],
  [38, 'AF_ALG'],
  [40, 'AF_VSOCK'],
  [44, 'AF_XDP'],
]);

export function addressFamily(family: number): string {
  return ADDRESS_FAMILIES.get(family) ?? `AF_${family}`;
}

/** include/uapi/linux/capability.h, by bit. */
const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
] as const;
const capabilitySets = new Map<bigint, string>();

/** Names joined by blanks, as rules expect thread.cap_*. */
export function capabilities(set: bigint): string {
  let names = capabilitySets.get(set);
  if (names === undefined) {
    if (capabilitySets.size > 1024) capabilitySets.clear();
    names = CAPABILITIES.filter((_, bit) => (set >> BigInt(bit)) & 1n).join(' ');
    capabilitySets.set(set, names);
  }
  return names;
}
