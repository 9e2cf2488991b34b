/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Calls on paths: unlink, rename, chmod and their kin. No tracepoint that may be used everywhere has the dentry, so the path is the
 * caller's word, joined in user space to the directory that the kernel says it starts from.
 */

#define NO_ARGUMENT 7

struct path_shape { __u8 path, directory_fd, path2, directory_fd2, argument; };

#define SHAPE(p, d, p2, d2, a) { .path = p, .directory_fd = d, .path2 = p2, .directory_fd2 = d2, .argument = a }
#define X NO_ARGUMENT

/* Positions of the arguments. A symlink's target is text, not a path to start from a directory: it stands second. */
static const struct path_shape shapes[EVENT_TYPES] = {
	[EVENT_CHMOD] = SHAPE(0, X, X, X, 1),
	[EVENT_FCHMODAT] = SHAPE(1, 0, X, X, 2),
	[EVENT_FCHMODAT2] = SHAPE(1, 0, X, X, 2),
	[EVENT_TRUNCATE] = SHAPE(0, X, X, X, 1),
	[EVENT_UNLINK] = SHAPE(0, X, X, X, X),
	[EVENT_UNLINKAT] = SHAPE(1, 0, X, X, 2),
	[EVENT_RMDIR] = SHAPE(0, X, X, X, X),
	[EVENT_RENAME] = SHAPE(0, X, 1, X, X),
	[EVENT_RENAMEAT] = SHAPE(1, 0, 3, 2, X),
	[EVENT_RENAMEAT2] = SHAPE(1, 0, 3, 2, 4),
	[EVENT_LINK] = SHAPE(0, X, 1, X, X),
	[EVENT_LINKAT] = SHAPE(1, 0, 3, 2, 4),
	[EVENT_SYMLINK] = SHAPE(1, X, 0, X, X),
	[EVENT_SYMLINKAT] = SHAPE(2, 1, 0, X, X),
	[EVENT_MKDIR] = SHAPE(0, X, X, X, 1),
	[EVENT_MKDIRAT] = SHAPE(1, 0, X, X, 2),
};

static __always_inline __s32 directory_argument(const struct syscall *call, __u8 position)
{
	return position == NO_ARGUMENT ? AT_FDCWD : (__s32)argument_at(call, position);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(collect_path, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct path_shape *shape;
	struct path_event *event;
	struct interest *interest;
	struct syscall call;
	struct record record;
	__u16 type;
	__u32 at;

	interest = syscall_read(&call, regs, task);
	if (!interest || interest->type >= EVENT_TYPES)
		return 0;
	type = interest->type;
	shape = &shapes[type];
	if (!record_begin(&record, sizeof(*event), type, CLASS_FILE, result))
		return 0;
	event = (void *)record.header;
	event->header.abi = call.abi;
	event->argument = shape->argument == NO_ARGUMENT ? 0 : argument_at(&call, shape->argument);
	event->directory_fd = directory_argument(&call, shape->directory_fd);
	event->directory_fd2 = directory_argument(&call, shape->directory_fd2);
	string_none(&event->path_raw2);
	string_none(&event->directory2);

	append_user_string(&record, &event->path_raw, 0, (void *)argument_at(&call, shape->path));
	append_directory(&record, &event->directory, 1, task, event->directory_fd,
			 event->path_raw.length ? record.scratch->record[sizeof(*event)] : 0);
	if (shape->path2 != NO_ARGUMENT) {
		at = record.offset & (RECORD_STRINGS_BYTES - 1);
		append_user_string(&record, &event->path_raw2, 2, (void *)argument_at(&call, shape->path2));
		if (type != EVENT_SYMLINK && type != EVENT_SYMLINKAT)
			append_directory(&record, &event->directory2, 3, task, event->directory_fd2,
					 event->path_raw2.length ? record.scratch->record[at] : 0);
	}
	record_submit(&record);
	return 0;
}
