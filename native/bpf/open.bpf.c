/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* open, openat, openat2, creat, open_by_handle_at: the evidence is the struct file that the kernel opened. */

enum { O_CREAT = 0100, O_WRONLY = 01, O_TRUNC = 01000 };
#if defined(__TARGET_ARCH_x86)
enum { O_LARGEFILE = 0100000 };
#else
enum { O_LARGEFILE = 0400000 };
#endif

/* struct open_how as the caller has it; what comes after is not asked for. */
struct asked_how { __u64 flags, mode; };

/* Which arguments mean what; flags and mode come out of registers where the call has them there. */
static __always_inline const void *open_arguments(struct open_event *event, const struct syscall *call, __u16 type)
{
	struct asked_how how = {};

	event->directory_fd = AT_FDCWD;
	switch (type) {
	case EVENT_CREAT:
		event->flags = O_CREAT | O_WRONLY | O_TRUNC;
		event->mode = call->arguments[1];
		return (void *)call->arguments[0];
	case EVENT_OPEN:
		event->flags = call->arguments[1];
		event->mode = call->arguments[2];
		return (void *)call->arguments[0];
	case EVENT_OPENAT:
		event->directory_fd = call->arguments[0];
		event->flags = call->arguments[2];
		event->mode = call->arguments[3];
		return (void *)call->arguments[1];
	case EVENT_OPENAT2:
		event->directory_fd = call->arguments[0];
		bpf_probe_read_user(&how, sizeof(how), (void *)call->arguments[2]);
		event->flags = how.flags;
		event->mode = how.mode;
		return (void *)call->arguments[1];
	}
	event->directory_fd = call->arguments[0];
	event->flags = call->arguments[2];
	event->mode = 0;
	return NULL;
}

static __always_inline void no_file(struct open_event *event)
{
	event->ino = 0;
	event->dev = 0;
	event->file_mode = 0;
	string_none(&event->path);
	string_none(&event->directory);
	string_none(&event->path_inside);
}

/* True if the opened file lies directly in the working directory: then a relative name says nothing that its path doesn't. */
static __always_inline bool opened_in(struct task_struct *task, struct dentry *dentry, struct vfsmount *mnt)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	return fs && BPF_CORE_READ(fs, pwd.mnt) == mnt && BPF_CORE_READ(fs, pwd.dentry) == BPF_CORE_READ(dentry, d_parent);
}

/* What was opened, and its path. */
static __always_inline void append_opened(struct record *record, struct open_event *event, struct file *file, struct vfsmount *mnt, struct dentry *dentry)
{
	struct inode *inode = LOAD(file, file, f_inode);
	struct super_block *super = LOAD(inode, inode, i_sb);

	event->file_mode = LOAD(inode, inode, i_mode);
	event->header.kind = kind_of_mode(event->file_mode);
	event->ino = LOAD(inode, inode, i_ino);
	event->dev = LOAD(super_block, super, s_dev);
	event->flags |= LOAD(file, file, f_flags) & ~O_LARGEFILE;
	/* Mostly a file is opened by its resolved path: then one string is both. */
	append_walked_or_same(record, &event->path, 0, mnt, dentry, true, &event->path_raw);
}

/* The path inside its file system, where the mount shows only a part of one. */
static __always_inline void append_inside(struct record *record, struct open_event *event, struct vfsmount *mnt, struct dentry *dentry)
{
	struct dentry *root = LOAD(vfsmount, mnt, mnt_root);

	if (LOAD(dentry, root, d_parent) != root)
		append_walked(record, &event->path_inside, 3, mnt, dentry, false);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(collect_open, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct open_event *event;
	struct interest *interest;
	struct syscall call;
	struct record record;
	struct file *file;
	const void *path;
	char first;

	interest = syscall_read(&call, regs, task);
	if (!interest || !record_begin(&record, sizeof(*event), interest->type, CLASS_FILE, result))
		return 0;
	event = (void *)record.header;
	event->header.abi = call.abi;
	path = open_arguments(event, &call, interest->type);
	no_file(event);

	first = *string_start(&record) = 0;
	append_user_string(&record, &event->path_raw, 1, path);
	if (event->path_raw.length)
		first = record.scratch->record[sizeof(*event)];

	file = result >= 0 ? file_of(task, result) : NULL;
	if (file) {
		struct vfsmount *mnt = LOAD(file, file, f_path.mnt);
		struct dentry *dentry = LOAD(file, file, f_path.dentry);

		append_opened(&record, event, file, mnt, dentry);
		if (first != '/' && event->path_raw.length && !(event->directory_fd == AT_FDCWD && opened_in(task, dentry, mnt)))
			append_directory(&record, &event->directory, 2, task, event->directory_fd, first);
		append_inside(&record, event, mnt, dentry);
	} else {
		append_directory(&record, &event->directory, 2, task, event->directory_fd, first);
	}
	record_submit(&record);
	return 0;
}
