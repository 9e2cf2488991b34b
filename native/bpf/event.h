/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The wire format between the probe and user space: the only definition of it. TypeScript takes the offsets, sizes and
 * enum values from the BTF of the compiled object (native/btf.ts), so the two cannot drift.
 *
 * A record is a header, the fixed part of its family, then its strings. A string is named by a str_ref: offset from the
 * start of the record, length in bytes without a NUL. Strings start at a multiple of 8 and are followed by zeros up to the
 * next, so that they can be hashed by whole words. All times are nanoseconds of CLOCK_BOOTTIME unless said.
 */
#ifndef SHIKRA_EVENT_H
#define SHIKRA_EVENT_H

enum event_limits {
	PATH_MAX_BYTES = 4096,
	ARGV_MAX_BYTES = 16383,
	ENV_MAX_BYTES = 4095,
	USER_STRING_MAX_BYTES = 4096,
	NOTED_PATH_MAX_BYTES = 2000,
	CGROUP_PATH_MAX_BYTES = 1024,
	COMM_BYTES = 16,
	SYSCALL_TABLE_ENTRIES = 1024, /* those of x32 that are its own begin at 512 */
	SUN_PATH_BYTES = 108,
	CPUS_MAX = 512,
	REFUSED_CGROUPS_MAX = 1024,
};

/* What happened. The names, lower case and without the prefix, are the evt.type of rules. */
enum event_type {
	EVENT_NONE = 0,
	/* process life; PROCESS tells of one that was running before (or had to be read again) and is no event for rules */
	EVENT_PROCESS,
	EVENT_EXECVE,
	EVENT_EXECVEAT,
	EVENT_FORK,
	EVENT_VFORK,
	EVENT_CLONE,
	EVENT_CLONE3,
	EVENT_PROCEXIT,
	/* opened files */
	EVENT_OPEN,
	EVENT_OPENAT,
	EVENT_OPENAT2,
	EVENT_CREAT,
	EVENT_OPEN_BY_HANDLE_AT,
	/* calls on one or two paths */
	EVENT_CHMOD,
	EVENT_FCHMODAT,
	EVENT_FCHMODAT2,
	EVENT_TRUNCATE,
	EVENT_UNLINK,
	EVENT_UNLINKAT,
	EVENT_RMDIR,
	EVENT_RENAME,
	EVENT_RENAMEAT,
	EVENT_RENAMEAT2,
	EVENT_LINK,
	EVENT_LINKAT,
	EVENT_SYMLINK,
	EVENT_SYMLINKAT,
	EVENT_MKDIR,
	EVENT_MKDIRAT,
	EVENT_MKNOD,
	EVENT_MKNODAT,
	EVENT_CHOWN,
	EVENT_LCHOWN,
	EVENT_FCHOWNAT,
	EVENT_SETXATTR,
	EVENT_LSETXATTR,
	EVENT_SETXATTRAT,
	EVENT_NAME_TO_HANDLE_AT,
	EVENT_MOUNT,
	EVENT_UMOUNT2,
	EVENT_OPEN_TREE,
	EVENT_MOVE_MOUNT,
	EVENT_MOUNT_SETATTR,
	EVENT_CHROOT,
	EVENT_PIVOT_ROOT,
	/* calls on an open file descriptor */
	EVENT_FCHMOD,
	EVENT_FCHOWN,
	EVENT_FTRUNCATE,
	EVENT_FSETXATTR,
	EVENT_SPLICE,
	EVENT_SENDFILE,
	EVENT_DUP,
	EVENT_DUP2,
	EVENT_DUP3,
	EVENT_FINIT_MODULE,
	EVENT_SETNS,
	/* sockets */
	EVENT_SOCKET,
	EVENT_BIND,
	EVENT_CONNECT,
	EVENT_LISTEN,
	EVENT_ACCEPT,
	EVENT_ACCEPT4,
	/* calls whose arguments say it all */
	EVENT_PTRACE,
	EVENT_UNSHARE,
	EVENT_SETUID,
	EVENT_INIT_MODULE,
	EVENT_DELETE_MODULE,
	EVENT_MEMFD_CREATE,
	EVENT_SETGID,
	EVENT_SETREUID,
	EVENT_SETREGID,
	EVENT_SETRESUID,
	EVENT_SETRESGID,
	EVENT_SETFSUID,
	EVENT_SETFSGID,
	EVENT_CAPSET,
	EVENT_PRCTL,
	EVENT_PERSONALITY,
	EVENT_KEYCTL,
	EVENT_KILL,
	EVENT_TKILL,
	EVENT_TGKILL,
	EVENT_PIDFD_OPEN,
	EVENT_PIDFD_GETFD,
	EVENT_PIDFD_SEND_SIGNAL,
	EVENT_PROCESS_VM_READV,
	EVENT_PROCESS_VM_WRITEV,
	EVENT_BPF,
	EVENT_PERF_EVENT_OPEN,
	EVENT_USERFAULTFD,
	EVENT_IO_URING_SETUP,
	EVENT_IO_URING_ENTER,
	EVENT_IO_URING_REGISTER,
	EVENT_FSOPEN,
	EVENT_FSMOUNT,
	EVENT_KEXEC_LOAD,
	EVENT_KEXEC_FILE_LOAD,
	EVENT_MMAP,     /* of memory that may be written and executed */
	EVENT_MPROTECT, /* the same */
	/* data sent and received */
	EVENT_SENDTO,
	EVENT_SENDMSG,
	EVENT_SENDMMSG,
	EVENT_RECVFROM,
	EVENT_RECVMSG,
	EVENT_RECVMMSG,
	/* what the agent provokes to see that the programs still tell: no events for rules; in the order of the families, then one of io_uring */
	EVENT_CANARY_OPEN,
	EVENT_CANARY_PATH,
	EVENT_CANARY_DESCRIPTOR,
	EVENT_CANARY_SOCKET,
	EVENT_CANARY_SCALAR,
	EVENT_CANARY_SOCKETCALL,
	EVENT_CANARY_OPERATION,
	EVENT_TYPES,
};

/* Which program collects a system call, and which fixed part its record has. */
enum event_family {
	FAMILY_NONE = 0,
	FAMILY_OPEN,
	FAMILY_PATH,
	FAMILY_DESCRIPTOR,
	FAMILY_SOCKET,
	FAMILY_SCALAR,
	FAMILY_SOCKETCALL, /* asks the table again for the call behind it */
	FAMILIES,
};

/* For the accounting of loss. */
enum event_class {
	CLASS_PROCESS = 0,
	CLASS_FILE,
	CLASS_NETWORK,
	CLASS_OTHER,
	EVENT_CLASSES,
};

enum drop_reason {
	DROP_RING_FULL = 0,   /* the event is lost */
	DROP_SCRATCH_BUSY,    /* the event is lost: a probe ran inside another on this CPU */
	DROP_READ_FAILED,     /* the event arrives, with a string marked unreadable */
	DROP_EVENT_TOO_LARGE, /* the event is lost */
	DROP_CGROUP_OVER_SHARE, /* the event is refused: its cgroup has filled more than its share of a ring that is nearly full */
	DROP_REASONS,
};

/* Each CPU (or several) has one of each: what processes do to files and networks cannot push out what the process table is made from. */
enum ring_kind {
	RING_CALLS = 0,
	RING_PROCESSES, /* what is of CLASS_PROCESS, and nothing else */
	RING_KINDS,
};

/* Which convention a system call was made by. */
enum event_abi {
	ABI_NATIVE = 0,
	ABI_COMPAT = 1,   /* 32-bit: int 0x80, an i386 program */
	ABI_IO_URING = 2, /* no system call of its own: submitted through a ring */
	ABI_X32 = 3,      /* 64-bit registers, 32-bit pointers in memory */
};

/* The table of interests has one row for each way to number a call. */
enum call_table {
	TABLE_NATIVE = 0, /* and x32 */
	TABLE_COMPAT,
	TABLE_IO_URING,   /* IORING_OP_* */
	TABLE_SOCKETCALL, /* SYS_* of linux/net.h, the first argument of a 32-bit program's socketcall */
	CALL_TABLES,
};

/* By what the agent's own calls are known: numbers that no kernel gives a meaning to. Each carries a token, told in the place named here. */
enum canary_number {
	CANARY_CALLS = 1008,          /* + family, in the native table: the call fails with ENOSYS. open: flags; path, descriptor: argument; scalar: the first; sockets: fd */
	CANARY_SOCKETCALL = 1023,     /* in the table of socketcall */
	CANARY_OPERATION = 0,         /* IORING_OP_NOP in that of io_uring: those whose user_data has the mark above the token */
	CANARY_MARK = 0x53686b72,
};

/* What a file descriptor leads to. */
enum file_kind {
	KIND_NONE = 0, /* not open */
	KIND_FILE,
	KIND_DIRECTORY,
	KIND_CHARACTER_DEVICE,
	KIND_BLOCK_DEVICE,
	KIND_PIPE,
	KIND_IPV4,
	KIND_IPV6,
	KIND_UNIX,
	KIND_NETLINK,
	KIND_SOCKET, /* of another family */
	KIND_MEMFD,
	KIND_ANONYMOUS, /* eventfd, epoll, ... */
	KIND_SYMLINK,
	KIND_UNKNOWN,
	/* what KIND_ANONYMOUS is by its name; of standard streams alone, as of all else the whole name is told */
	KIND_EVENTPOLL,
	KIND_INOTIFY,
	KIND_SIGNALFD,
	KIND_TIMERFD,
	KIND_USERFAULTFD,
	KIND_IO_URING,
	KIND_PIDFD,
	KIND_BPF,
};

enum exe_flag {
	EXE_UPPER_LAYER = 1, /* lies in the upper layer of an overlay */
	EXE_MEMFD = 2,
	EXE_DELETED = 4,
};

/* What the kernel says of how a process came to be, and no longer knows itself. */
enum lineage_flag {
	LINEAGE_ADOPTED = 1,  /* its parent takes in orphans, and may not be the one that started it */
	LINEAGE_EXECUTED = 2, /* its parent executed something since it started it */
	LINEAGE_ENDED = 4,    /* it has no thread left, and is there until its parent asks for it */
};

/* Bits of event_header.unreadable and .truncated: the n-th str_ref of the family, and beside them: */
enum unreadable_bit {
	UNREADABLE_RESULT = 7, /* of unreadable: told when it was submitted, as its end might not be heard of */
};

struct str_ref {
	__u16 offset;
	__u16 length;
};

struct event_header {
	__u64 time_ns;
	__u64 start_time_ns; /* start of the thread group's leader: with pid it names the process for ever */
	__s64 result;
	__u32 pid; /* thread group, in the first pid namespace */
	__u32 tid;
	__u32 exec_id; /* how many executions the task has behind it */
	__u32 uid;     /* effective, in the first user namespace */
	__u32 gid;
	__u16 type;       /* enum event_type */
	__u8 abi;         /* enum event_abi */
	__u8 class;       /* enum event_class */
	__u8 unreadable;  /* strings that could not be read */
	__u8 truncated;   /* strings that were cut */
	__u16 size;       /* of the whole record, in bytes */
	__u8 kind;        /* enum file_kind of the file that the call is about */
	__u8 padding[3];
};

/* A process as it is: after an execution, or found running. */
struct process_event {
	struct event_header header;
	__u64 cgroup_id;
	__u64 parent_start_time_ns;
	__u64 exe_ino;
	__u64 exe_ctime_ns; /* wall clock */
	__u64 exe_mtime_ns; /* wall clock */
	__u64 cap_inheritable;
	__u64 cap_permitted;
	__u64 cap_effective;
	__u32 parent_pid;
	__u32 session_id;
	__u32 process_group_id;
	__u32 vpid; /* in its own pid namespace */
	__u32 vparent_pid;
	__u32 uid; /* real */
	__u32 gid;
	__u32 loginuid;
	__u32 tty; /* device number, 0 if none */
	__u32 exe_dev;
	__u32 pid_namespace;
	__u32 mnt_namespace;
	__u32 exe_flags; /* enum exe_flag */
	__u8 stdio_kind[3]; /* enum file_kind */
	__u8 padding;
	__u8 comm[16];
	struct str_ref exe_path;
	struct str_ref cwd;
	struct str_ref argv; /* NUL between arguments */
	struct str_ref env;
	struct str_ref cgroup;
	__u32 lineage; /* bits of enum lineage_flag */
};

/* A new process (threads have no record of their own). */
struct fork_event {
	struct event_header header; /* of the task that called */
	__u64 child_start_time_ns;
	__u64 parent_start_time_ns;
	__u32 child_pid;
	__u32 child_vpid;
	__u32 parent_pid; /* of the child: another than the caller with CLONE_PARENT */
	__u32 child_pid_namespace;
	__u64 flags; /* CLONE_*, as the kernel acted on them */
};

/* The last thread of a process is gone. result is the wait status. */
struct exit_event {
	struct event_header header;
};

/* A file opened. Without one (the call failed) the path stands as the caller wrote it. */
struct open_event {
	struct event_header header;
	__u64 ino;
	__u32 dev;
	__u32 flags; /* the open's, O_* */
	__s32 directory_fd;
	__u16 mode;      /* asked for */
	__u16 file_mode; /* of the inode: type and permissions */
	struct str_ref path;      /* from the opened file, mounts crossed */
	struct str_ref path_raw;  /* as the caller wrote it; the same bytes as path where the two are equal */
	struct str_ref directory; /* what a relative path_raw starts from (or a chroot's root); empty if path says it */
	struct str_ref path_inside; /* inside its file system, where the mount shows only a part of one */
};

/* One or two paths as the caller wrote them, and the directories (from the kernel) that they start from. */
struct path_event {
	struct event_header header;
	__u64 argument; /* mode or flags or length or owner */
	__u64 argument2; /* group, of the calls that set it; device, of those that make one */
	__s32 directory_fd;
	__s32 directory_fd2;
	struct str_ref path_raw;
	struct str_ref directory;
	struct str_ref path_raw2; /* of mount: the source; of setxattr: the name */
	struct str_ref directory2; /* of mount: the type of file system; of chroot: the new root, from the kernel */
	struct str_ref path_before;  /* what stood there when the call began, if that was something else */
	struct str_ref path_before2;
	__u32 held; /* a path's page is given by a program of the caller's (userfaultfd), which decides what is read there, and when */
	__u32 unused;
};

struct socket_info {
	__u16 family; /* AF_* ; 0 if not a socket */
	__u16 type;
	__u16 protocol;
	__u16 state; /* TCP_* */
	__u16 local_port;
	__u16 remote_port;
	__u32 netns;
	__u8 local_address[16];
	__u8 remote_address[16];
};

/* A call on a file descriptor: what it leads to. */
struct descriptor_event {
	struct event_header header;
	__u64 argument;
	__u64 ino;
	__u32 dev;
	__s32 fd;
	__s32 fd2;
	__u32 file_mode;
	struct socket_info socket;
	struct str_ref path; /* the file's, or a unix socket's */
	struct str_ref text; /* a further argument: the parameters of a kernel module, the name of an attribute, the file that data comes from */
};

struct socket_event {
	struct event_header header;
	__s32 fd;
	__u32 argument; /* backlog of listen, flags of what is sent and received */
	struct socket_info socket; /* from the kernel's socket, after the call */
	struct socket_info asked;  /* remote_*: the address that the caller gave; the only one if the call failed */
	struct str_ref unix_path;
	struct str_ref data; /* the first bytes that were sent or received */
};

/* Arguments as they are, and one string where there is one. */
struct scalar_event {
	struct event_header header;
	__u64 arguments[6];
	struct str_ref text;
	struct str_ref padding;
};

/* How the probe is told which system calls to collect: one entry for each number and ABI. */
struct interest {
	__u16 type;   /* enum event_type; 0: not wanted */
	__u8 family;  /* enum event_family */
	__u8 failed;  /* failed calls are wanted too */
};

struct ring_settings {
	__u32 bytes;
	__u32 look_bytes;    /* so much a CPU writes before it looks how full the ring is: asking costs */
	__u32 wakeup_bytes;  /* data waiting that wakes the reader at once; it looks every 10 ms anyway */
	__u32 pressed_bytes; /* data waiting from which on a cgroup over its share is refused */
};

/* Fixed before the probe is attached. */
struct settings {
	struct ring_settings rings[RING_KINDS];
	__u32 cpus_per_ring;
	__u32 env; /* 1: take the environment at an execution */
};

#endif
