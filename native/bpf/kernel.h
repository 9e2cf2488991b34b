/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The few fields of the kernel's types that the probe reads. Only names matter: libbpf puts in the running kernel's offsets
 * when it loads the object (CO-RE). What differs between kernels is in compat.bpf.h.
 */
#ifndef SHIKRA_KERNEL_H
#define SHIKRA_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed int __s32;
typedef signed long long __s64;
typedef signed short __s16;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
typedef __u32 u32;
typedef __u64 u64;
#define NULL ((void *)0)
#define true 1
#define false 0

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_F_NO_PREALLOC = 1, BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0, BPF_RB_PROD_POS = 3 };

enum { S_IFMT = 0170000, S_IFSOCK = 0140000, S_IFLNK = 0120000, S_IFREG = 0100000, S_IFBLK = 0060000, S_IFDIR = 0040000, S_IFCHR = 0020000, S_IFIFO = 0010000 };
enum { AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16 };
enum { PF_KTHREAD = 0x00200000 };
enum { AT_FDCWD = -100, AT_EMPTY_PATH = 0x1000 };
enum { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID };
enum { OVERLAYFS_SUPER_MAGIC = 0x794c7630, TMPFS_MAGIC = 0x01021994, NSFS_MAGIC = 0x6e736673, PIDFS_MAGIC = 0x50494446, ANON_INODE_FS_MAGIC = 0x09041934 };
enum { TS_COMPAT = 2 };
enum { EBUSY = 16, EINPROGRESS = 115 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head { struct list_head *next, *prev; };
typedef struct { int counter; } atomic_t;
typedef struct { __u32 val; } kuid_t;
typedef struct { __u32 val; } kgid_t;

#if defined(__TARGET_ARCH_x86)
struct thread_info { u32 status; };
#else
struct thread_info { unsigned long flags; };
#endif

struct qstr {
	union {
		struct { u32 hash; u32 len; };
		u64 hash_len;
	};
	const unsigned char *name;
};

struct super_block { __u32 s_dev; unsigned long s_magic; struct dentry *s_root; };

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	void *i_private;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount { struct dentry *mnt_root; };
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};
struct path { struct vfsmount *mnt; struct dentry *dentry; };

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
	void *private_data;
};
struct fdtable { unsigned int max_fds; struct file **fd; };
struct files_struct { struct fdtable *fdt; };
struct fs_struct { struct path root, pwd; };

struct userfaultfd_ctx;
struct vm_userfaultfd_ctx { struct userfaultfd_ctx *ctx; };
struct vm_area_struct { struct vm_userfaultfd_ctx vm_userfaultfd_ctx; };

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start, arg_end, env_start, env_end;
};

struct tty_driver { int major; int minor_start; };
struct tty_struct { struct tty_driver *driver; int index; };

struct proc_ns_operations { const char *name; };
struct ns_common { const struct proc_ns_operations *ops; unsigned int inum; };
struct pid_namespace { struct ns_common ns; };
struct mnt_namespace { struct ns_common ns; };
struct net { struct ns_common ns; };
struct upid { int nr; struct pid_namespace *ns; };
struct pid { unsigned int level; struct upid numbers[1]; };

struct signal_struct { atomic_t live; int nr_threads; unsigned int is_child_subreaper : 1; struct tty_struct *tty; struct pid *pids[4]; };
struct nsproxy { struct mnt_namespace *mnt_ns; };

typedef struct { u64 val; } kernel_cap_t;
struct cred {
	kuid_t uid, euid;
	kgid_t gid, egid;
	kernel_cap_t cap_inheritable, cap_permitted, cap_effective;
};

struct kernfs_node { const char *name; u64 id; };
struct cgroup { struct kernfs_node *kn; };
struct cgroup_subsys_state { struct cgroup *cgroup; };
struct css_set { struct cgroup_subsys_state *subsys[1]; struct cgroup *dfl_cgrp; };
enum cgroup_subsys_id { pids_cgrp_id, memory_cgrp_id };

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int pid, tgid;
	struct task_struct *real_parent, *group_leader;
	u64 start_boottime;
	u64 parent_exec_id, self_exec_id;
	int exit_code;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	const struct cred *cred;
	struct pid *thread_pid;
	struct css_set *cgroups;
	kuid_t loginuid;
	char comm[16];
};

struct linux_binprm { const char *fdpath; };

struct in6_addr { __u8 bytes[16]; };
typedef struct { struct net *net; } possible_net_t;
struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};
struct sock { struct sock_common __sk_common; __u16 sk_type; __u16 sk_protocol; };
struct socket { short type; struct sock *sk; };
struct unix_address { int len; };
struct unix_sock { struct unix_address *addr; struct sock *peer; };

/* Operations of io_uring: each kind lies at the start of its request (the sources below io_uring/). */
struct filename { const char *name; };
struct io_cqe { u64 user_data; __s32 res; int fd; };
struct io_uring_cqe { u64 user_data; __s32 res; u32 flags; };
struct io_rsrc_node { unsigned long file_ptr; };
struct io_rsrc_data { unsigned int nr; struct io_rsrc_node **nodes; };
struct io_file_table { struct io_rsrc_data data; };
struct io_ring_ctx { struct io_file_table file_table; };
struct io_kiocb { __u8 opcode; u64 flags; struct io_cqe cqe; struct io_ring_ctx *ctx; void *async_data; };
struct open_how { u64 flags, mode; };
struct io_open { int dfd; u32 file_slot; struct filename *filename; struct open_how how; };
struct io_connect { struct file *file; void *addr; int addr_len; };
struct io_unlink { int dfd, flags; struct filename *filename; };
struct io_rename { int old_dfd, new_dfd; struct filename *oldpath, *newpath; int flags; };
struct io_link { int old_dfd, new_dfd; struct filename *oldpath, *newpath; int flags; };
struct io_mkdir { int dfd; unsigned short mode; struct filename *filename; };
struct io_sr_msg { struct file *file; unsigned int msg_flags, mshot_len; };
struct iou_vec { unsigned int nr; };
struct msghdr { void *msg_name; int msg_namelen; };
struct io_async_msghdr { struct iou_vec vec; struct msghdr msg; };
struct io_socket { int domain, type, protocol; u32 file_slot; };
struct io_accept { int flags; u32 file_slot; };
struct io_listen { int backlog; };
struct io_ftrunc { long long len; };
struct xattr_name { char name[1]; };
struct kernel_xattr_ctx { struct xattr_name *kname; unsigned int flags; };
struct io_xattr { struct kernel_xattr_ctx ctx; struct filename *filename; };
struct io_splice { int splice_fd_in; unsigned int flags; };

struct seq_file { int dummy__unused; };
struct bpf_iter_meta { struct seq_file *seq; };
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; };

#if defined(__TARGET_ARCH_x86)
struct pt_regs { unsigned long r10, r9, r8, ax, cx, dx, si, di, bx, bp, orig_ax; };
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs { u64 regs[31]; };
struct pt_regs { u64 regs[31]; u64 orig_x0; __s32 syscallno; };
#endif

#pragma clang attribute pop

#endif
