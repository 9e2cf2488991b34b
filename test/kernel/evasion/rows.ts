/** Ways past tools of this kind: what docs/evasion.md says of each beside what its attempts came to. */
export interface Row {
  /** Only for reference. */
  readonly number: number;
  readonly way: string;
  /** How it is seen, or why it does nothing. */
  readonly why: string;
  /** What of it is not seen, or not as well. */
  readonly limits?: string;
  /** Why nothing is tried here, where nothing is; `result` is what is claimed all the same. */
  readonly untried?: { readonly result: string; readonly why: string };
}

export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}

const WHAT: Section = {
  title: 'Which file, which address',
  rows: [
    {
      number: 1,
      way: 'another thread writes over an argument while the call runs',
      why: 'The path is that of the file that was opened, the peer that of the kernel’s socket, the arguments those of the new image. Calls on paths that open nothing (unlink, rename, chmod, link, mount, ...) are told by the caller’s memory, read when the call begins and when it ends; where the two differ the event has `shikra.evt.raced`, and rules look at both texts.',
      limits:
        'A write that is undone between the two readings is missed: of many tries some are flagged, of one perhaps none. Paths longer than 2,000 bytes are compared up to there. A connect or send that failed is told with the address that was asked for, read at its end.',
    },
    {
      number: 2,
      way: 'the page of an argument is held by userfaultfd or FUSE',
      why: 'What is opened is told by the kernel’s file. A call on a path that lies on such a page is marked (`shikra.evt.raced`) even if nothing else shows.',
      limits:
        'Calls that open nothing, held by FUSE or while another thread changes the map of the memory: what cannot be read at the beginning without a page fault is not compared. That an ordinary user handles page faults is a detection by itself.',
    },
    {
      number: 3,
      way: 'symbolic links, `..`, links to links',
      why: 'Of what is opened or executed the file’s own path and the caller’s spelling are both looked at. So it is of calls that open nothing (unlink, rename, chmod, link, mkdir, ...): where the folder leads is found out when the event is looked at, some milliseconds later, and links that were made in the last second are known by their own events. A relative path starts from where the folder really is.',
      limits:
        'Calls that open nothing: only what the kernel knows by heart is found out, so not folders of file systems that ask for each name (FUSE, NFS, sysfs), and nothing before Linux 5.12. An older link that is taken away or changed between the call and the look hides where it led; so does one with a name that is no UTF-8, and a flood of calls in more than 20,000 folders a second. In a root of its own (chroot) an absolute link in a relative path is followed from the machine’s root. The last name of a path is followed for chmod, chown, truncate and setxattr only, not for their kin with flags. The path as it was written is told in any case, and making a link is told.',
    },
    {
      number: 4,
      way: '`/proc/self/root`, `/proc/PID/cwd`, `/dev/fd`',
      why: 'What is opened is told by its own path. Of calls that open nothing the path is told without the detour by the root of the process itself, or by that of the first process of the machine.',
      limits:
        'Calls that open nothing, by the root, folder or descriptor of another process: the path is as it was written.',
    },
    {
      number: 5,
      way: 'hard link, bind mount, overlay, detached mount, pivot_root, chroot',
      why: 'A bind mount has a third spelling: the path inside the file system; a detached mount begins with `detached:`.',
      limits:
        'A hard link is told when it is made, and by its inode (`fd.ino`) afterwards; it is a file like another then.',
    },
    {
      number: 15,
      way: 'paths and names beyond every limit',
      why: 'Paths come whole, as long as the kernel takes them; what were cut would be marked.',
    },
    {
      number: 16,
      way: 'two names that are one when they are cut',
      why: 'Nothing is compared by a part of its name, but `proc.name`, which the kernel cuts at 15 characters; `proc.exepath` is whole.',
    },
    {
      number: 17,
      way: 'memory that is paged out, strings across pages',
      why: 'A path that cannot be read is marked (`evt.unreadable`); the opened file is known all the same.',
      limits: 'Calls that open nothing have no path then.',
    },
    {
      number: 26,
      way: 'another thread changes the folder that a relative path starts from',
      why: 'What is opened is told by its own path.',
      limits: 'Calls that open nothing: the folder is the one at the end of the call.',
    },
    {
      number: 30,
      way: 'a filter learns that something is harmless, and it becomes something else',
      why: 'What is kept of a path is what rules say about its text.',
    },
  ],
};

const HOW: Section = {
  title: 'Other ways to do the same',
  rows: [
    {
      number: 8,
      way: 'sister calls: openat2, creat, open_by_handle_at, execveat, memfd, sendmmsg, process_vm_writev, fsopen, ...',
      why: 'Each call of `shikra fields` is told by what it did.',
      limits:
        '`splice` and `sendfile` are told with the file that the data comes from (no bundled rule asks for them); data moved by `pwritev2` or a mapping is not told: the open before it is. Of `mmap` and `mprotect` what asks for memory that may be written and executed is told.',
    },
    {
      number: 9,
      way: 'io_uring',
      why: 'Operations are told as the calls that they stand for, by the owner of the ring, with the kernel’s own copies of the paths, whether the caller, a worker or a polling thread does them; also into direct descriptors, which are told when they become ordinary ones (as `dup`), and when their answer finds no room in the ring. Setting up a ring is an event everywhere, and has rules.',
      limits:
        'With `IOSQE_CQE_SKIP_SUCCESS`, or more than 256 under way, an operation is told when it is submitted, with its result and file marked as unknown. Not told: who sent a datagram, the bytes that are sent and received, credentials of a personality (the submitter’s are). `read` and `write` have no events by any way. Needs Linux 6.5; direct descriptors are followed to the file since 6.13, receivers of datagrams told since 6.15, each connection of a multishot accept since 6.17 (before, the last).',
    },
    {
      number: 10,
      way: '`int 0x80`, i386 programs, `socketcall`',
      why: 'Told by what they do; `shikra.evt.abi` is `compat`. None of the calls behind the other multiplexer, `ipc` (semaphores, message queues, shared memory), has an event, by any way.',
    },
    {
      number: 34,
      way: 'data out without connect: sendto, sendmsg, the second message of sendmmsg, MSG_FASTOPEN, duplicated sockets, abstract unix sockets',
      why: '`fd.name_changed` and the address of each datagram. AF_ALG, AF_VSOCK and raw sockets are told when they are made.',
      limits:
        'Of one call at most 64 messages. Where a datagram goes only the caller’s memory says, read at the end of the call: another thread may write over it.',
    },
    {
      number: 36,
      way: 'a process is made to act by ptrace',
      why: 'Attaching to it is told. What the process does then is told as its own.',
    },
    {
      number: 37,
      way: 'x32 numbers',
      why: 'Told as the calls that they are, the numbers that only x32 has included; on a kernel without x32 the attempt is.',
    },
    {
      number: 38,
      way: '32-bit programs on arm64',
      why: 'Their numbers are in no table.',
      untried: { result: 'not detected', why: 'there is no arm64 machine to try it on; x86 has nothing of it' },
    },
    {
      number: 39,
      way: 'numbers that mean an execution in the other table',
      why: 'Executions are told by the scheduler, not by numbers.',
    },
  ],
};

const WHO: Section = {
  title: 'Who did it',
  rows: [
    {
      number: 6,
      way: 'a program renamed to a trusted name, or linked',
      why: '`proc.exepath` is the file that runs; the bundled rules trust paths of programs that came with the machine or image, never names.',
    },
    {
      number: 7,
      way: 'argv[0], `PR_SET_NAME`, arguments written over',
      why: 'Arguments are those of the execution; `proc.exe` is what the program calls itself. Joined and abbreviated options are up to each rule.',
    },
    {
      number: 19,
      way: 'credentials that changed, user namespaces',
      why: 'Those of the thread at the event, in the first user namespace.',
    },
    {
      number: 20,
      way: 'execution by another thread than the first, a dead leader, vfork, CLONE_PARENT, orphans, number reuse',
      why: '`proc.pname` is who started it, also after that one’s end. 64 ancestors are kept.',
    },
    {
      number: 24,
      way: 'memfd, deleted file, /dev/shm',
      why: 'The file that runs is the kernel’s, with a name or without.',
    },
    {
      number: 25,
      way: 'interpreters, `#!`, dynamic loader, LD_PRELOAD',
      why: 'The executable is the interpreter’s or loader’s; the script or program stands in its arguments and is among the files that it opens.',
      limits: 'Environment only as far as `capture_env` says.',
    },
    {
      number: 27,
      way: 'a hundred kilobytes of arguments',
      why: 'The first 12 KiB and the last 4 KiB are told, `...` between them and a mark (`evt.truncated`).',
      limits: 'What is padded on both sides is not seen; of a process that ran before the agent, nor is the end.',
    },
    {
      number: 28,
      way: 'images with a trusted name',
      why: 'Names come from the engine that started the container, and digests with them; what a program calls itself in a container is not trusted for it ([containers.md](containers.md)).',
      limits: 'Exceptions rest on names of images if a rule says so.',
    },
    {
      number: 29,
      way: 'processes and containers of a millisecond',
      why: 'An execution has all fields of its own; a container’s metadata is waited for.',
    },
    {
      number: 35,
      way: 'a process moves to another cgroup or namespace',
      why: 'A process keeps the container that it was executed in, and so does what it executes and starts later, in whatever cgroup of the host; of what left before the agent could see it, the container is that of its ancestors. setns and unshare are events.',
      limits:
        'Into the cgroup of another container it is told with that one, as what runs containers inside a container makes them so. What had left before the agent started, and outlived its parents, is the host’s.',
    },
  ],
};

const WATCHER: Section = {
  title: 'Against the watcher',
  rows: [
    {
      number: 11,
      way: 'a flood of events, to push others out',
      why: 'A cgroup that has filled more than its share of a ring that is nearly full is refused, for that class of events and as long as it floods, so that what is done elsewhere gets in; executions, forks and exits have rings of their own. Each refused event is counted, and `Shikra internal: flood` names the container. The processes behind the events that do come are told rightly again within a second, or marked (`evt.uncertain`).',
      limits:
        'What hides in the flood’s own cgroup and class may be among what was refused, which is said; executions are a class apart. Who may make cgroups can flood from many at once, and each of them leaves the others less of a ring. While nothing reads at all, what others do must fit into a quarter of it.',
    },
    {
      number: 12,
      way: 'harmless alerts that use up a throttle',
      why: 'There is none by default; `drop_rate` counts for each rule, and is yours to set ([routing.md](routing.md)).',
    },
    { number: 13, way: 'thousands of processes', why: 'Entries that were pushed out are read again from the kernel.' },
    {
      number: 14,
      way: 'memory and time of the agent',
      why: 'Bounded tables and caches; conditions with bounded cost ([soak.md](soak.md) is a run of ten minutes).',
    },
    {
      number: 18,
      way: 'programs that do not fire',
      why: 'No kprobes or kretprobes are used; a program that meets its own scratch in use counts the loss ([metrics.md](metrics.md)), and each has a canary.',
    },
    {
      number: 21,
      way: 'a kill that comes too late',
      why: 'This tells, it does not stop.',
      untried: { result: 'nothing is prevented', why: 'there is no kill that could come too late' },
    },
    {
      number: 22,
      way: 'a taken-over kernel',
      why: 'It can show the agent whatever it likes. Watch from outside, too: `ShikraDown`, `ShikraNoEvents`.',
      untried: { result: 'not detected', why: 'it would take over the machine that this runs on' },
    },
    {
      number: 23,
      way: 'root who takes away the programs, or what they go by',
      why: 'Canaries, see [below](#root-against-the-agent).',
      limits:
        'What is changed and changed back between two rounds, and what is done to the agent’s own memory. A thread that is held just when another waits for it holds the whole agent: it tells nothing then, and `/readyz` and `/metrics` do not answer.',
    },
    {
      number: 31,
      way: 'started before the agent, or during a reload',
      why: 'Running processes are read at start, sockets and files are asked of the kernel; rules are swapped between two events.',
    },
    {
      number: 32,
      way: 'names with line breaks, escapes, bytes that are no text',
      why: 'One detection for each, whatever its text.',
    },
    { number: 33, way: 'addresses that crash a careless reader', why: 'Marked as unreadable.' },
  ],
};

export const SECTIONS: readonly Section[] = [WHAT, HOW, WHO, WATCHER];
