/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Calls on an open descriptor, told by the file or socket that it leads to: dup, fchmod, fchown (owner below, group above), ftruncate, finit_module, setns. */

SEC("tp_btf/sys_exit")
int BPF_PROG(collect_descriptor, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct descriptor_event *event;
	struct interest *interest;
	struct syscall call;
	struct record record;
	struct inode *inode;
	struct file *file;
	__u16 type;

	interest = syscall_read(&call, regs, task);
	if (!interest)
		return 0;
	type = interest->type;
	if (!record_begin(&record, sizeof(*event), type, type == EVENT_FINIT_MODULE || type == EVENT_SETNS ? CLASS_OTHER : CLASS_FILE, result))
		return 0;
	event = (void *)record.header;
	event->header.abi = call.abi;
	event->fd = call.arguments[0];
	event->fd2 = -1;
	event->argument = type == EVENT_FCHOWN ? (__u32)call.arguments[1] | call.arguments[2] << 32 : call.arguments[1];
	event->ino = 0;
	event->dev = 0;
	event->file_mode = 0;
	__builtin_memset(&event->socket, 0, sizeof(event->socket));
	string_none(&event->path);
	string_none(&event->text);
	if (type == EVENT_DUP || type == EVENT_DUP2 || type == EVENT_DUP3) {
		event->fd2 = result;
		event->argument = call.arguments[2];
	} else if (type == EVENT_FINIT_MODULE) {
		event->argument = call.arguments[2];
		append_user_string(&record, &event->text, 1, (void *)call.arguments[1]);
	}

	file = file_of(task, event->fd);
	if (file) {
		inode = BPF_CORE_READ(file, f_inode);
		event->file_mode = BPF_CORE_READ(inode, i_mode);
		event->ino = BPF_CORE_READ(inode, i_ino);
		event->dev = device_of(inode);
		event->header.kind = kind_of_mode(event->file_mode);
		if (event->header.kind == KIND_SOCKET) {
			struct sock *sk = sock_of(file);

			event->header.kind = kind_of_socket(sk);
			read_socket(&event->socket, sk);
			if (event->header.kind == KIND_UNIX)
				append_unix_path(&record, &event->path, 0, sk);
		} else {
			append_file_path(&record, &event->path, 0, file);
		}
	}
	record_submit(&record);
	return 0;
}
