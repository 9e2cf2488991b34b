/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Calls on an open descriptor, told by the file or socket that it leads to: dup, fchmod, fchown (owner below, group above), ftruncate, finit_module, setns. Of
 * splice and sendfile that is where the data goes.
 */

static __always_inline void no_target(struct descriptor_event *event)
{
	event->fd2 = -1;
	event->ino = 0;
	event->dev = 0;
	event->file_mode = 0;
	__builtin_memset(&event->socket, 0, sizeof(event->socket));
	string_none(&event->path);
	string_none(&event->text);
}

static const char namespace_format[] = "%s:[%lu]";
enum { NAMESPACE_BYTES = 64 };

#define PIDFD "[pidfd]"

/* Namespaces and, since Linux 6.9, processes have files without a name: they are told as /proc does, a namespace by its kind and number. */
static __always_inline bool append_nameless(struct record *record, struct str_ref *ref, struct inode *inode)
{
	unsigned long magic = BPF_CORE_READ(inode, i_sb, s_magic);
	struct ns_common *namespace;
	__u64 words[2];
	long length;

	if (magic == PIDFS_MAGIC) {
		__builtin_memcpy(string_start(record), PIDFD, sizeof(PIDFD));
		string_end(record, ref, sizeof(PIDFD) - 1);
		return true;
	}
	if (magic != NSFS_MAGIC)
		return false;
	namespace = BPF_CORE_READ(inode, i_private);
	words[0] = (__u64)BPF_CORE_READ(namespace, ops, name);
	words[1] = BPF_CORE_READ(inode, i_ino);
	length = bpf_snprintf(string_start(record), NAMESPACE_BYTES, namespace_format, words, sizeof(words));
	if (length <= 1 || length > NAMESPACE_BYTES)
		return false;
	string_end(record, ref, length - 1);
	return true;
}

static __always_inline void append_target(struct record *record, struct descriptor_event *event, struct file *file)
{
	struct inode *inode;
	struct sock *sk;

	if (!file)
		return;
	inode = BPF_CORE_READ(file, f_inode);
	event->file_mode = BPF_CORE_READ(inode, i_mode);
	event->ino = BPF_CORE_READ(inode, i_ino);
	event->dev = device_of(inode);
	event->header.kind = kind_of_mode(event->file_mode);
	if (event->header.kind == KIND_SOCKET) {
		sk = sock_of(file);
		event->header.kind = kind_of_socket(sk);
		read_socket(&event->socket, sk);
		if (event->header.kind == KIND_UNIX)
			append_unix_path(record, &event->path, 0, sk);
	} else if (!append_nameless(record, &event->path, inode)) {
		append_file_path(record, &event->path, 0, file);
	}
}

/* The file that data comes from. */
static __always_inline void append_origin(struct record *record, struct descriptor_event *event, struct file *file)
{
	if (file && kind_of_mode(BPF_CORE_READ(file, f_inode, i_mode)) != KIND_SOCKET)
		append_file_path(record, &event->text, 1, file);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(collect_descriptor, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct descriptor_event *event;
	struct interest *interest;
	struct syscall call;
	struct record record;
	__u16 type;

	interest = syscall_read(&call, regs, task);
	if (!interest)
		return 0;
	type = interest->type;
	if (!record_begin(&record, sizeof(*event), type, type == EVENT_FINIT_MODULE || type == EVENT_SETNS ? CLASS_OTHER : CLASS_FILE, result))
		return 0;
	event = (void *)record.header;
	event->header.abi = call.abi;
	no_target(event);
	event->fd = call.arguments[0];
	event->argument = call.arguments[1];
	switch (type) {
	case EVENT_FCHOWN:
		event->argument = (__u32)call.arguments[1] | call.arguments[2] << 32;
		break;
	case EVENT_DUP:
	case EVENT_DUP2:
	case EVENT_DUP3:
		event->fd2 = result;
		event->argument = call.arguments[2];
		break;
	case EVENT_FINIT_MODULE:
		event->argument = call.arguments[2];
		append_user_string(&record, &event->text, 1, (void *)call.arguments[1]);
		break;
	case EVENT_FSETXATTR:
		event->argument = call.arguments[4];
		append_user_string(&record, &event->text, 1, (void *)call.arguments[1]);
		break;
	case EVENT_SPLICE:
		event->fd2 = call.arguments[0];
		event->fd = call.arguments[2];
		event->argument = call.arguments[5];
		break;
	case EVENT_SENDFILE:
		event->fd2 = call.arguments[1];
		event->argument = call.arguments[3];
		break;
	}
	if (type == EVENT_SPLICE || type == EVENT_SENDFILE)
		append_origin(&record, event, file_of(task, event->fd2));
	append_target(&record, event, file_of(task, event->fd));
	record_submit(&record);
	return 0;
}
