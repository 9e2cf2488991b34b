/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Calls on paths: unlink, rename, chmod, mount and their kin. No tracepoint that may be used everywhere has the dentry, so the path is the
 * caller's word, joined in user space to the directory that the kernel says it starts from.
 */

#define NO_ARGUMENT 7

/* text2: the second string is no path. */
struct path_shape { __u8 path, directory_fd, path2, directory_fd2, argument, argument2; bool text2; };

#define SHAPE(p, d, p2, d2, a) { .path = p, .directory_fd = d, .path2 = p2, .directory_fd2 = d2, .argument = a, .argument2 = X }
#define TWO(p, d, a, a2) { .path = p, .directory_fd = d, .path2 = X, .directory_fd2 = X, .argument = a, .argument2 = a2 }
#define TEXT(p, t, a) { .path = p, .directory_fd = X, .path2 = t, .directory_fd2 = X, .argument = a, .argument2 = X, .text2 = true }
#define X NO_ARGUMENT

/* Positions of the arguments. A symlink's target is text, not a path to start from a directory. */
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
	[EVENT_SYMLINK] = TEXT(1, 0, X),
	[EVENT_SYMLINKAT] = { .path = 2, .directory_fd = 1, .path2 = 0, .directory_fd2 = X, .argument = X, .argument2 = X, .text2 = true },
	[EVENT_MKDIR] = SHAPE(0, X, X, X, 1),
	[EVENT_MKDIRAT] = SHAPE(1, 0, X, X, 2),
	[EVENT_MKNOD] = TWO(0, X, 1, 2),
	[EVENT_MKNODAT] = TWO(1, 0, 2, 3),
	[EVENT_CHOWN] = TWO(0, X, 1, 2),
	[EVENT_LCHOWN] = TWO(0, X, 1, 2),
	[EVENT_FCHOWNAT] = TWO(1, 0, 2, 3),
	[EVENT_SETXATTR] = TEXT(0, 1, 4),
	[EVENT_LSETXATTR] = TEXT(0, 1, 4),
	[EVENT_SETXATTRAT] = { .path = 1, .directory_fd = 0, .path2 = 3, .directory_fd2 = X, .argument = 2, .argument2 = X, .text2 = true },
	[EVENT_NAME_TO_HANDLE_AT] = SHAPE(1, 0, X, X, 4),
	[EVENT_MOUNT] = TEXT(1, 0, 3),
	[EVENT_UMOUNT2] = SHAPE(0, X, X, X, 1),
	[EVENT_OPEN_TREE] = SHAPE(1, 0, X, X, 2),
	[EVENT_MOVE_MOUNT] = SHAPE(1, 0, 3, 2, 4),
	[EVENT_MOUNT_SETATTR] = SHAPE(1, 0, X, X, 2),
	[EVENT_CHROOT] = SHAPE(0, X, X, X, X),
	[EVENT_PIVOT_ROOT] = SHAPE(0, X, 1, X, X),
	[EVENT_CANARY_PATH] = SHAPE(1, 0, X, X, 2),
};

/*
 * What stood in the caller's memory when the call began. The kernel read it after that, and the collector below reads it at the end: a thread
 * that writes there meanwhile shows if the two differ. What could not be read without a page fault is not compared; where the caller itself gives the
 * page (userfaultfd) that is told, as it can hold up the kernel between two paths and change the first.
 */
struct noted {
	__u32 length, length2;
	bool held;
	char path[NOTED_PATH_MAX_BYTES + 16], path2[NOTED_PATH_MAX_BYTES + 16];
};
enum { NOT_NOTED = 0xffffffff };

/* Of each task that ever makes such a call, until it ends: of a failed call that nobody wants the end is not looked at. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct noted);
} noted_paths SEC(".maps");

/* The length without its NUL; zeros follow up to the next multiple of 8, as in a record. */
static __always_inline __u32 note_path(char *to, const void *address)
{
	long length = bpf_probe_read_user_str(to, NOTED_PATH_MAX_BYTES, address);

	if (length <= 0)
		return NOT_NOTED;
	length = (length - 1) & 2047;
	if (length > NOTED_PATH_MAX_BYTES)
		return NOT_NOTED;
	*(__u64 *)(to + length) = 0;
	return length;
}

static long find_holder(struct task_struct *task, struct vm_area_struct *vma, bool *held)
{
	*held = bpf_core_field_exists(vma->vm_userfaultfd_ctx.ctx) && BPF_CORE_READ(vma, vm_userfaultfd_ctx.ctx);
	return 0;
}

/*
 * Asked before the call: the caller may give the area back while it runs. The lock of the areas is not waited for: a path that cannot be read while another
 * thread of the caller changes them counts as held, or such a thread would be the way around this.
 */
static __always_inline bool is_held(struct task_struct *task, __u64 address)
{
	bool held = false;

	return bpf_find_vma(task, address, find_holder, &held, 0) == -EBUSY || held;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(note_paths, struct pt_regs *regs, long id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct path_shape *shape;
	struct interest *interest;
	struct noted *noted;
	struct syscall call;

	interest = interest_of(regs, task, &call.abi);
	if (!interest || interest->family != FAMILY_PATH || interest->type >= EVENT_TYPES)
		return 0;
	shape = &shapes[interest->type];
	noted = bpf_task_storage_get(&noted_paths, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!noted)
		return 0;
	syscall_arguments(&call, regs);
	noted->length = note_path(noted->path, (void *)argument_at(&call, shape->path));
	noted->length2 = shape->path2 == NO_ARGUMENT ? NOT_NOTED : note_path(noted->path2, (void *)argument_at(&call, shape->path2));
	noted->held = noted->length == NOT_NOTED && is_held(task, argument_at(&call, shape->path));
	if (shape->path2 != NO_ARGUMENT && noted->length2 == NOT_NOTED && !noted->held)
		noted->held = is_held(task, argument_at(&call, shape->path2));
	return 0;
}

struct comparison { const char *before; const char *now; bool differs; };

static long compare_word(__u32 index, struct comparison *comparison)
{
	__u32 at = index * 8 & 2047;

	if (at > NOTED_PATH_MAX_BYTES - 8)
		return 1;
	comparison->differs = *(const __u64 *)(comparison->before + at) != *(const __u64 *)(comparison->now + at);
	return comparison->differs;
}

/*
 * Whether the first or second noted path is another than the string of the record. A global function: the verifier looks at it once, and
 * not at each way through it for each way that leads to it.
 */
__noinline int noted_differs(const struct noted *noted, const struct scratch *scratch, __u32 second, struct str_ref *now)
{
	struct comparison comparison = {};
	__u32 length, compared;

	if (!noted || !scratch || !now)
		return 0;
	length = second ? noted->length2 : noted->length;
	compared = now->length < NOTED_PATH_MAX_BYTES ? now->length : NOTED_PATH_MAX_BYTES - 1;
	if (length > NOTED_PATH_MAX_BYTES)
		return 0;
	if (length != compared)
		return 1;
	comparison.before = second ? noted->path2 : noted->path;
	comparison.now = scratch->record + (now->offset & (RECORD_STRINGS_BYTES - 1));
	bpf_loop(length / 8, compare_word, &comparison, 0);
	if (!comparison.differs && length % 8) {
		__u32 at = length & 2040;
		__u64 mask = (1ULL << length % 8 * 8) - 1;

		if (at > NOTED_PATH_MAX_BYTES - 8)
			return 1;
		comparison.differs = (*(const __u64 *)(comparison.before + at) & mask) != (*(const __u64 *)(comparison.now + at) & mask);
	}
	return comparison.differs;
}

static __always_inline void append_noted(struct record *record, struct path_event *event, struct task_struct *task)
{
	struct noted *noted = bpf_task_storage_get(&noted_paths, task, NULL, 0);

	if (!noted)
		return;
	/* the agent's own tells what was noted in any case: so it is seen that something was */
	if (event->header.type == EVENT_CANARY_PATH || noted_differs(noted, record->scratch, 0, &event->path_raw))
		append_kernel_string(record, &event->path_before, 4, noted->path);
	if (noted_differs(noted, record->scratch, 1, &event->path_raw2))
		append_kernel_string(record, &event->path_before2, 4, noted->path2);
	event->held = noted->held;
	noted->length = NOT_NOTED;
	noted->length2 = NOT_NOTED;
	noted->held = false;
}

/* umount2 without flags: where those would be may stand anything. */
enum { I386_UMOUNT = 22 };

static __always_inline __s32 directory_argument(const struct syscall *call, __u8 position)
{
	return position == NO_ARGUMENT ? AT_FDCWD : (__s32)argument_at(call, position);
}

static __always_inline void append_new_root(struct record *record, struct str_ref *ref, __u32 slot, struct task_struct *task)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	if (fs)
		append_walked(record, ref, slot, BPF_CORE_READ(fs, root.mnt), BPF_CORE_READ(fs, root.dentry), true);
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
	bool moves_root;
	__u16 type;
	__u32 at;
	char first;

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
	string_none(&event->directory);
	string_none(&event->path_raw2);
	string_none(&event->directory2);
	string_none(&event->path_before);
	string_none(&event->path_before2);
	event->held = false;
	event->unused = 0;
	/* by now the caller's / is the new one: it says nothing of what an absolute path meant */
	moves_root = type == EVENT_CHROOT || type == EVENT_PIVOT_ROOT;

	event->argument2 = shape->argument2 == NO_ARGUMENT ? 0 : argument_at(&call, shape->argument2);
	if (type == EVENT_UMOUNT2 && call.abi == ABI_COMPAT && syscall_number(regs) == I386_UMOUNT)
		event->argument = 0;

	append_user_string(&record, &event->path_raw, 0, (void *)argument_at(&call, shape->path));
	first = event->path_raw.length ? record.scratch->record[sizeof(*event)] : 0;
	if (!(moves_root && first == '/'))
		append_directory(&record, &event->directory, 1, task, event->directory_fd, first);
	if (shape->path2 != NO_ARGUMENT) {
		at = record.offset & (RECORD_STRINGS_BYTES - 1);
		append_user_string(&record, &event->path_raw2, 2, (void *)argument_at(&call, shape->path2));
		first = event->path_raw2.length ? record.scratch->record[at] : 0;
		if (!shape->text2 && !(moves_root && first == '/'))
			append_directory(&record, &event->directory2, 3, task, event->directory_fd2, first);
	}
	if (type == EVENT_MOUNT)
		append_user_string(&record, &event->directory2, 3, (void *)call.arguments[2]);
	else if (type == EVENT_CHROOT && !result)
		append_new_root(&record, &event->directory2, 3, task);
	append_noted(&record, event, task);
	record_submit(&record);
	return 0;
}
