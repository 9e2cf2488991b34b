import { readFileSync } from 'node:fs';
import { type Expected, resultOf, type Scene } from './scene.ts';

/** A call by its number on x86-64, and all its arguments as the event says them. */
function numbered(
  type: string,
  call: readonly (string | number)[],
  args: Expected,
  fields: Readonly<Record<string, Expected>> = {},
): Scene {
  return { type, arch: 'x64', call: () => ['syscall', ...call], fields: { 'evt.args': args, ...fields } };
}

/** The program is run by this process, and has its capabilities. */
function capabilityCount(set: 'CapInh' | 'CapPrm' | 'CapEff'): number {
  const [, bits] = new RegExp(`^${set}:\\s*(\\w+)`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))!;
  return BigInt(`0x${bits}`).toString(2).replaceAll('0', '').length;
}
const asMany = (set: 'CapInh' | 'CapPrm' | 'CapEff'): Expected => ({
  holds: (value) => String(value).split(' ').filter(Boolean).length === capabilityCount(set),
});

export const SCALARS: readonly Scene[] = [
  {
    type: 'ptrace',
    call: () => ['ptrace-traceme'],
    fields: { 'evt.arg.request': 'PTRACE_TRACEME', 'evt.args': 'res=0 addr=0 data=0 request=0(PTRACE_TRACEME) pid=0' },
  },
  {
    type: 'unshare',
    call: () => ['unshare', 0x04020000],
    fields: {
      'evt.arg.flags': 'CLONE_NEWNS|CLONE_NEWUTS',
      'evt.args': 'res=0 flags=67239936(CLONE_NEWNS|CLONE_NEWUTS)',
    },
  },
  {
    type: 'init_module',
    call: () => ['init_module', 'a=1'],
    fields: {
      'evt.arg.uargs': 'a=1',
      'evt.args': (truth) => `res=${resultOf(truth)} length=9 uargs=a=1`,
    },
  },
  {
    type: 'delete_module',
    call: () => ['delete_module', 'absent'],
    fields: {
      'evt.arg.name': 'absent',
      'evt.args': (truth) => `res=${resultOf(truth)} name=absent flags=2048(O_RDONLY|O_NONBLOCK)`,
    },
  },
  {
    type: 'memfd_create',
    call: () => ['memfd_create', 'hidden'],
    fields: {
      'fd.num': ({ result }) => result,
      'evt.arg.name': 'hidden',
      'evt.args': ({ result }) => `fd=${result} name=hidden flags=1(MFD_CLOEXEC)`,
    },
  },
  {
    type: 'setuid',
    call: () => ['setuid', 33],
    fields: {
      'user.uid': 33,
      'user.name': 'www-data',
      'evt.arg.uid': 'www-data',
      'evt.args': 'res=0 uid=33(www-data)',
    },
  },
  numbered('setgid', [106, 0], 'res=0 gid=0(root)'),
  numbered('setreuid', [113, -1, 0], 'res=0 ruid=-1 euid=0(root)', { 'evt.arg.ruid': -1, 'evt.arg.euid': 'root' }),
  numbered('setregid', [114, -1, 0], 'res=0 rgid=-1 egid=0(root)'),
  numbered('setresuid', [117, 0, 0, -1], 'res=0 ruid=0(root) euid=0(root) suid=-1'),
  numbered('setresgid', [119, 0, 0, -1], 'res=0 rgid=0(root) egid=0(root) sgid=-1'),
  numbered('setfsuid', [122, 33], 'res=0 uid=33(www-data)', { 'evt.arg.uid': 'www-data', 'evt.rawarg.uid': 33 }),
  numbered('setfsgid', [123, 34], 'res=0 gid=34(backup)'),
  // The version in its memory is wrong: the program keeps what it has.
  numbered(
    'capset',
    [126, '*8', '*24'],
    { holds: (value) => /^res=-22\(EINVAL\) cap_inher/.test(String(value)) },
    {
      'evt.arg.cap_inheritable': asMany('CapInh'),
      'evt.arg.cap_permitted': asMany('CapPrm'),
      'evt.arg.cap_effective': asMany('CapEff'),
    },
  ),
  numbered(
    'prctl',
    [157, 15, '@renamed'],
    { holds: (value) => /^res=0 option=15\(PR_SET_NAME\) arg2_str=renamed arg2_int=\d+$/.test(String(value)) },
    { 'evt.arg.option': 'PR_SET_NAME', 'evt.arg.arg2_str': 'renamed' },
  ),
  numbered('personality', [135, 0xffffffff], 'res=0 persona=4294967295'),
  numbered('keyctl', [250, 0, -3, 0], (truth) => `res=${resultOf(truth)} cmd=0`),
  numbered('kill', [62, 0, 0], 'res=0 pid=0 sig=0', { 'evt.arg.sig': '0' }),
  // no thread has so high a number
  numbered('tkill', [200, 4_194_304, 9], 'res=-3(ESRCH) tid=4194304 sig=9(SIGKILL)', { 'evt.arg.sig': 'SIGKILL' }),
  numbered('tgkill', [234, 1, 2, 9], 'res=-3(ESRCH) pid=1 tid=2 sig=9(SIGKILL)', { 'evt.arg.sig': 'SIGKILL' }),
  numbered('pidfd_open', [434, 1, 0], ({ result }) => `fd=${result} pid=1 flags=0`, {
    'fd.num': ({ result }) => result,
  }),
  numbered('pidfd_getfd', [438, 99, 1, 0], 'fd=-9(EBADF) pid_fd=99 target_fd=1 flags=0'),
  numbered('pidfd_send_signal', [424, 99, 15, 0, 0], 'res=-9(EBADF) pid_fd=99 sig=15(SIGTERM)'),
  numbered('process_vm_readv', [310, 1, 0, 0, 0, 0, 0], 'res=0 pid=1 flags=0'),
  numbered('process_vm_writev', [311, 1, 0, 0, 0, 0, 0], 'res=0 pid=1 flags=0'),
  numbered('bpf', [321, 5, 0, 0], (truth) => `fd=${resultOf(truth)} cmd=5(BPF_PROG_LOAD)`, {
    'evt.arg.cmd': 'BPF_PROG_LOAD',
    'evt.rawarg.cmd': 5,
  }),
  numbered('perf_event_open', [298, 0, 7, -1, -1, 8], 'res=-14(EFAULT) pid=7 cpu=-1 group_fd=-1 flags=8'),
  numbered('userfaultfd', [323, 1], ({ result }) => `res=${result} flags=1(UFFD_USER_MODE_ONLY)`, {
    'evt.arg.flags': 'UFFD_USER_MODE_ONLY',
    'fd.num': ({ result }) => result,
  }),
  numbered('io_uring_setup', [425, 4, 0], 'res=-14(EFAULT) entries=4'),
  numbered('io_uring_enter', [426, 99, 1, 2, 0], 'res=-9(EBADF) fd=99 to_submit=1 min_complete=2 flags=0'),
  numbered('io_uring_register', [427, 99, 3, 0, 7], 'res=-9(EBADF) fd=99 opcode=3 nr_args=7'),
  numbered('fsopen', [430, '@tmpfs', 0], ({ result }) => `res=${result} fsname=tmpfs flags=0`),
  numbered('fsmount', [432, 99, 0, 1], 'res=-9(EBADF) fd=99 flags=0 attr_flags=1'),
  numbered('kexec_load', [246, 0, 1, 0, 0xffff], (truth) => `res=${resultOf(truth)} nr_segments=1 flags=65535`),
  numbered(
    'kexec_file_load',
    [320, -1, -1, 5, '@root', 0],
    (truth) => `res=${resultOf(truth)} kernel_fd=-1 initrd_fd=-1 cmdline=root flags=0`,
  ),
  numbered(
    'mmap',
    [9, 0, 4096, 7, 0x22, -1, 0],
    ({ result }) => `res=${result} addr=0 length=4096 prot=7(PROT_READ|PROT_WRITE|PROT_EXEC) flags=34 fd=-1 offset=0`,
    { 'evt.arg.prot': 'PROT_READ|PROT_WRITE|PROT_EXEC' },
  ),
  {
    type: 'mmap',
    what: 'by the number with which 32-bit programs leave their arguments in memory',
    arch: 'x64',
    call: () => ['int80', 90, '=0,4096,7,0x22,-1,0'],
    fields: {
      'shikra.evt.abi': 'compat',
      'evt.arg.length': 4096,
      'evt.arg.prot': 'PROT_READ|PROT_WRITE|PROT_EXEC',
    },
  },
  numbered(
    'mprotect',
    [10, 4096, 4096, 7],
    'res=-12(ENOMEM) addr=4096 length=4096 prot=7(PROT_READ|PROT_WRITE|PROT_EXEC)',
  ),
];
