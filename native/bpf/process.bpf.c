/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The life of processes: what the process table of user space is made from. An execution is told by the new image (its argv, the
 * opened executable), after the point where the caller could still change anything.
 */

enum { SLOT_EXE_PATH, SLOT_CWD, SLOT_ARGV, SLOT_ENV, SLOT_CGROUP };

static __always_inline __u32 tty_number(struct signal_struct *signal)
{
	struct tty_struct *tty = BPF_CORE_READ(signal, tty);
	__u32 minor;

	if (!tty)
		return 0;
	minor = BPF_CORE_READ(tty, driver, minor_start) + BPF_CORE_READ(tty, index);
	return (minor & 0xff) | BPF_CORE_READ(tty, driver, major) << 8 | (minor & ~0xffU) << 12;
}

/* struct ovl_inode keeps the dentry of the upper layer right behind the inode that it embeds (fs/overlayfs/ovl_entry.h). */
static __always_inline bool in_upper_layer(struct inode *inode)
{
	void *upper = NULL;

	if (BPF_CORE_READ(inode, i_sb, s_magic) != OVERLAYFS_SUPER_MAGIC)
		return false;
	bpf_probe_read_kernel(&upper, sizeof(upper), (void *)inode + bpf_core_type_size(struct inode));
	return upper;
}

static __always_inline bool is_memfd(struct file *file, struct inode *inode)
{
	char name[8] = {};

	if (BPF_CORE_READ(inode, i_sb, s_magic) != TMPFS_MAGIC)
		return false;
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' && name[5] == ':';
}

/*
 * By the name that the kernel gives it: `[eventpoll]`, `inotify`, `bpf-map`. A global function: the verifier looks at it once, and not for each stream.
 */
__noinline int kind_of_anonymous(__u64 address)
{
	struct file *file = (struct file *)address;
	char name[8] = {};
	bool in_brackets;
	char first;

	bpf_probe_read_kernel(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	in_brackets = name[0] == '[';
	first = in_brackets ? name[1] : name[0];
	switch (first) {
	case 'e': return name[6] == 'p' ? KIND_EVENTPOLL : KIND_ANONYMOUS;
	case 'i': return in_brackets ? KIND_IO_URING : KIND_INOTIFY;
	case 's': return KIND_SIGNALFD;
	case 't': return KIND_TIMERFD;
	case 'u': return KIND_USERFAULTFD;
	case 'p': return KIND_PIDFD;
	case 'b': return KIND_BPF;
	}
	return KIND_ANONYMOUS;
}

/* Newer kernels say of anonymous files that they are regular ones, so it is asked where they lie. */
__noinline int kind_of_stream(__u64 address)
{
	struct file *file = (struct file *)address;
	__u32 kind = kind_of(file);
	struct inode *inode;

	if (kind != KIND_FILE && kind != KIND_ANONYMOUS)
		return kind;
	inode = BPF_CORE_READ(file, f_inode);
	switch (BPF_CORE_READ(inode, i_sb, s_magic)) {
	case ANON_INODE_FS_MAGIC: return kind_of_anonymous(address);
	case PIDFS_MAGIC: return KIND_PIDFD;
	case TMPFS_MAGIC: return is_memfd(file, inode) ? KIND_MEMFD : kind;
	}
	return kind;
}

#define DETACHED "detached:"
#define DETACHED_BYTES (sizeof(DETACHED) - 1)

/*
 * A file that is mounted by itself (mount --bind cat su) has the name that whoever mounted it chose: what it is called inside its file
 * system is what it is. A mount that is not in the process's namespace (open_tree, move_mount not yet done) has no place at all: that is
 * said, in front of the path inside it.
 */
static __always_inline void append_executable_path(struct record *record, struct str_ref *ref, struct task_struct *task, struct vfsmount *mnt, struct dentry *dentry)
{
	struct mount *mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
	bool across = BPF_CORE_READ(mnt, mnt_root) != dentry;
	struct mnt_namespace *namespace = BPF_CORE_READ(mount, mnt_ns);
	long walked;

	/* the kernel's own mounts, such as that of memfd, have none or an error number */
	if (!namespace || (__u64)namespace >= (__u64)-4095 || namespace == BPF_CORE_READ(task, nsproxy, mnt_ns)) {
		append_walked(record, ref, SLOT_EXE_PATH, mnt, dentry, across);
		return;
	}
	record->scratch->walk_from.mnt = mnt;
	record->scratch->walk_from.dentry = dentry;
	walked = walk_path(record->scratch, across);
	if (walked < 0 || copy_walked(record->scratch, record->offset + DETACHED_BYTES, walked)) {
		mark_unreadable(record, SLOT_EXE_PATH);
		string_none(ref);
		return;
	}
	__builtin_memcpy(string_start(record), DETACHED, DETACHED_BYTES);
	string_end(record, ref, DETACHED_BYTES + WALKED_LENGTH(walked));
}

static __always_inline void fill_executable(struct record *record, struct process_event *event, struct task_struct *task, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct vfsmount *mnt = BPF_CORE_READ(file, f_path.mnt);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);

	event->exe_ino = BPF_CORE_READ(inode, i_ino);
	event->exe_dev = device_of(inode);
	inode_times(inode, &event->exe_ctime_ns, &event->exe_mtime_ns);
	event->exe_flags = (in_upper_layer(inode) ? EXE_UPPER_LAYER : 0) | (is_memfd(file, inode) ? EXE_MEMFD : 0) |
			   (BPF_CORE_READ(inode, i_nlink) ? 0 : EXE_DELETED);
	append_executable_path(record, &event->exe_path, task, mnt, dentry);
}

enum { INIT_PID = 1 };

/* Orphans go to the first process of their pid namespace, or to an ancestor that asked for them (PR_SET_CHILD_SUBREAPER). */
static __always_inline __u32 lineage_of(struct task_struct *task, struct task_struct *parent, __u32 vparent_pid)
{
	struct signal_struct *of_parent = BPF_CORE_READ(parent, signal);
	__u32 lineage = 0;

	if (vparent_pid == INIT_PID || BPF_CORE_READ_BITFIELD_PROBED(of_parent, is_child_subreaper))
		lineage |= LINEAGE_ADOPTED;
	if (BPF_CORE_READ(task, parent_exec_id) != BPF_CORE_READ(parent, self_exec_id))
		lineage |= LINEAGE_EXECUTED;
	return BPF_CORE_READ(task, signal, live.counter) ? lineage : lineage | LINEAGE_ENDED;
}

static __always_inline void fill_process(struct record *record, struct process_event *event, struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct task_struct *real_parent = BPF_CORE_READ(task, real_parent);
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *exe = mm ? BPF_CORE_READ(mm, exe_file) : NULL;
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	event->parent_pid = BPF_CORE_READ(real_parent, tgid);
	event->parent_start_time_ns = BPF_CORE_READ(real_parent, group_leader, start_boottime);
	event->session_id = virtual_pid(BPF_CORE_READ(signal, pids[PIDTYPE_SID]));
	event->process_group_id = virtual_pid(BPF_CORE_READ(signal, pids[PIDTYPE_PGID]));
	event->vpid = virtual_pid(BPF_CORE_READ(signal, pids[PIDTYPE_TGID]));
	event->vparent_pid = virtual_pid(BPF_CORE_READ(real_parent, signal, pids[PIDTYPE_TGID]));
	event->lineage = lineage_of(task, real_parent, event->vparent_pid);
	event->pid_namespace = pid_namespace_of(BPF_CORE_READ(signal, pids[PIDTYPE_TGID]));
	event->mnt_namespace = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	event->uid = BPF_CORE_READ(cred, uid.val);
	event->gid = BPF_CORE_READ(cred, gid.val);
	event->cap_inheritable = BPF_CORE_READ(cred, cap_inheritable.val);
	event->cap_permitted = BPF_CORE_READ(cred, cap_permitted.val);
	event->cap_effective = BPF_CORE_READ(cred, cap_effective.val);
	event->loginuid = bpf_core_field_exists(task->loginuid) ? task->loginuid.val : (__u32)-1;
	event->tty = tty_number(signal);
	event->stdio_kind[0] = kind_of_stream((__u64)file_of(task, 0));
	event->stdio_kind[1] = kind_of_stream((__u64)file_of(task, 1));
	event->stdio_kind[2] = kind_of_stream((__u64)file_of(task, 2));
	bpf_probe_read_kernel(event->comm, sizeof(event->comm), task->comm);

	event->exe_ino = 0;
	event->exe_dev = 0;
	event->exe_ctime_ns = 0;
	event->exe_mtime_ns = 0;
	event->exe_flags = 0;
	string_none(&event->exe_path);
	string_none(&event->cwd);
	string_none(&event->argv);
	string_none(&event->env);
	if (exe)
		fill_executable(record, event, task, exe);
	if (fs)
		append_walked(record, &event->cwd, SLOT_CWD, BPF_CORE_READ(fs, pwd.mnt), BPF_CORE_READ(fs, pwd.dentry), true);
	event->cgroup_id = cgroup_id_of(task);
	append_cgroup(record, &event->cgroup, SLOT_CGROUP, task);
}

#if defined(__TARGET_ARCH_x86)
enum { NR_FORK = 57, NR_FORK_COMPAT = 2, NR_VFORK = 58, NR_VFORK_COMPAT = 190 };
#else
/* there is neither; -1 is what a thread of the kernel has for a number */
enum { NR_FORK = -2, NR_FORK_COMPAT = 2, NR_VFORK = -2, NR_VFORK_COMPAT = 190 };
#endif
enum { NR_CLONE3 = 435 };

/*
 * By now the registers are the new image's. What is left of an execveat by descriptor is the name that the kernel made up for it; one by
 * path looks like an execve, and is told as one.
 */
static __always_inline __u16 exec_type(struct linux_binprm *bprm)
{
	return bpf_core_field_exists(bprm->fdpath) && LOAD(linux_binprm, bprm, fdpath) ? EVENT_EXECVEAT : EVENT_EXECVE;
}

static __always_inline __u16 fork_type(struct task_struct *task)
{
	__u32 number = syscall_number((struct pt_regs *)bpf_task_pt_regs(task));
	bool compat = syscall_abi(task) == ABI_COMPAT;

	if (number == NR_CLONE3)
		return EVENT_CLONE3;
	if (number == (compat ? NR_VFORK_COMPAT : NR_VFORK))
		return EVENT_VFORK;
	if (number == (compat ? NR_FORK_COMPAT : NR_FORK))
		return EVENT_FORK;
	return EVENT_CLONE;
}

enum { ARGV_HEAD_BYTES = 12288, ARGV_TAIL_BYTES = 4088 };
#define ARGV_GAP "\0..." /* and its own NUL: an argument between the two parts */

/* Arguments longer than a record holds lose their middle: what a padded command is about stands at its end. */
static __always_inline void append_arguments(struct record *record, struct str_ref *ref, __u64 start, __u64 end)
{
	char *to = string_start(record);

	if (end - start <= ARGV_MAX_BYTES) {
		append_user_bytes(record, ref, SLOT_ARGV, (void *)start, end - start, ARGV_MAX_BYTES);
		return;
	}
	record->header->truncated |= 1 << SLOT_ARGV;
	string_none(ref);
	if (bpf_probe_read_user(to, ARGV_HEAD_BYTES, (void *)start)) {
		mark_unreadable(record, SLOT_ARGV);
		return;
	}
	__builtin_memcpy(to + ARGV_HEAD_BYTES, ARGV_GAP, sizeof(ARGV_GAP));
	if (bpf_probe_read_user(to + ARGV_HEAD_BYTES + sizeof(ARGV_GAP), ARGV_TAIL_BYTES, (void *)(end - ARGV_TAIL_BYTES))) {
		mark_unreadable(record, SLOT_ARGV);
		string_end(record, ref, ARGV_HEAD_BYTES);
		return;
	}
	string_end(record, ref, ARGV_HEAD_BYTES + sizeof(ARGV_GAP) + ARGV_TAIL_BYTES);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(collect_exec, struct task_struct *unused, int old_tid, struct linux_binprm *bprm)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct process_event *event;
	struct record record;

	if (!record_begin(&record, sizeof(*event), exec_type(bprm), CLASS_PROCESS, 0))
		return 0;
	event = (void *)record.header;
	fill_process(&record, event, task);
	if (mm) {
		append_arguments(&record, &event->argv, BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end));
		if (settings.env)
			append_user_bytes(&record, &event->env, SLOT_ENV, (void *)BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end) - BPF_CORE_READ(mm, env_start), ENV_MAX_BYTES);
	}
	submit_to(&record, RING_PROCESSES);
	return 0;
}

/* Not sched_process_fork: only here are the flags those that the kernel acted on, whatever the caller's memory says of clone3 by now. */
SEC("tp_btf/task_newtask")
int BPF_PROG(collect_fork, struct task_struct *child, __u64 flags)
{
	struct fork_event *event;
	struct record record;

	if (child->pid != child->tgid)
		return 0;
	if (!record_begin(&record, sizeof(*event), fork_type(bpf_get_current_task_btf()), CLASS_PROCESS, child->tgid))
		return 0;
	event = (void *)record.header;
	event->child_pid = child->tgid;
	event->child_start_time_ns = child->start_boottime;
	event->parent_pid = BPF_CORE_READ(child, real_parent, tgid);
	event->parent_start_time_ns = BPF_CORE_READ(child, real_parent, group_leader, start_boottime);
	event->child_vpid = virtual_pid(BPF_CORE_READ(child, thread_pid));
	event->child_pid_namespace = pid_namespace_of(BPF_CORE_READ(child, thread_pid));
	event->flags = flags;
	submit_to(&record, RING_PROCESSES);
	return 0;
}

/* Of processes whose threads ended side by side: whether one has told. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} ended SEC(".maps");

/* Threads that end at the same time on several processors all find that none is left: the first tells. One alone has nobody to ask, but may be the second. */
static __always_inline bool end_is_told(struct task_struct *task)
{
	bool alone = BPF_CORE_READ(task, signal, nr_threads) <= 1;
	__u32 *told = bpf_task_storage_get(&ended, task->group_leader, NULL, alone ? 0 : BPF_LOCAL_STORAGE_GET_F_CREATE);

	return told && __sync_lock_test_and_set(told, 1);
}

/* The last thread's exit is the process's: the leader may be gone long before. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(collect_exit, struct task_struct *task)
{
	struct record record;

	if (BPF_CORE_READ(task, signal, live.counter) || end_is_told(task))
		return 0;
	if (!record_begin(&record, sizeof(struct exit_event), EVENT_PROCEXIT, CLASS_PROCESS, task->exit_code))
		return 0;
	submit_to(&record, RING_PROCESSES);
	return 0;
}

/* Tells of processes that run already: all at start, one when the table finds an entry stale. May sleep to fetch a process's arguments. */
SEC("iter.s/task")
int iterate_processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct process_event *event;
	struct scratch *scratch;
	struct record record;
	struct mm_struct *mm;
	__u32 zero = 0;
	__u64 size;

	if (!task || task->pid != task->tgid)
		return 0;
	scratch = bpf_map_lookup_elem(&iterator_scratch, &zero);
	if (!scratch)
		return 0;
	record.scratch = scratch;
	record.header = (void *)scratch->record;
	record.offset = sizeof(*event);
	fill_header(record.header, task, EVENT_PROCESS, CLASS_PROCESS, 0);
	event = (void *)record.header;
	fill_process(&record, event, task);
	mm = BPF_CORE_READ(task, mm);
	if (mm) {
		__u64 start = BPF_CORE_READ(mm, arg_start);
		__u64 length = BPF_CORE_READ(mm, arg_end) - start;

		if (length > ARGV_MAX_BYTES) {
			length = ARGV_MAX_BYTES;
			event->header.truncated |= 1 << SLOT_ARGV;
		}
		length &= ARGV_MAX_BYTES;
		if (length && !bpf_copy_from_user_task(string_start(&record), length, (void *)start, task, 0))
			string_end(&record, &event->argv, length);
		else if (length)
			event->header.unreadable |= 1 << SLOT_ARGV;
	}
	size = record.offset & (RECORD_STRINGS_BYTES - 1);
	event->header.size = size;
	bpf_seq_write(ctx->meta->seq, scratch->record, size);
	return 0;
}
