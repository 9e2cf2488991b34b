/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* socket, bind, connect, listen, accept: the addresses are those of the kernel's socket after the call. */

struct sockaddr_any {
	__u16 family;
	__be16 port;
	union {
		__u8 v4[4];
		struct { __u32 flow; __u8 v6[16]; };
	};
};

/* What the caller asked for, from its own memory: all there is of a call that failed. */
static __always_inline void read_asked(struct socket_info *asked, const void *address, __u32 length)
{
	struct sockaddr_any any = {};

	/* constant sizes for the verifier: all of an IPv6 address, or what IPv4 and the family need */
	if (length >= 24 ? bpf_probe_read_user(&any, 24, address) : length >= 8 ? bpf_probe_read_user(&any, 8, address) : bpf_probe_read_user(&any, 2, address))
		return;
	asked->family = any.family;
	if (any.family == AF_INET) {
		asked->remote_port = swap16(any.port);
		__builtin_memcpy(asked->remote_address, any.v4, 4);
	} else if (any.family == AF_INET6) {
		asked->remote_port = swap16(any.port);
		__builtin_memcpy(asked->remote_address, any.v6, 16);
	}
}

SEC("tp_btf/sys_exit")
int BPF_PROG(collect_socket, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct socket_event *event;
	struct interest *interest;
	struct syscall call;
	struct record record;
	struct file *file;
	__u16 type;
	bool returns_fd;

	interest = syscall_read(&call, regs, task);
	if (!interest)
		return 0;
	type = interest->type;
	if (!record_begin(&record, sizeof(*event), type, CLASS_NETWORK, result))
		return 0;
	event = (void *)record.header;
	event->header.abi = call.abi;
	returns_fd = result >= 0 && (type == EVENT_SOCKET || type == EVENT_ACCEPT || type == EVENT_ACCEPT4);
	event->fd = returns_fd ? result : (__s32)call.arguments[0];
	event->argument = type == EVENT_LISTEN ? call.arguments[1] : 0;
	__builtin_memset(&event->socket, 0, sizeof(event->socket));
	__builtin_memset(&event->asked, 0, sizeof(event->asked));
	string_none(&event->unix_path);

	if (type == EVENT_SOCKET) {
		event->asked.family = call.arguments[0];
		event->asked.type = call.arguments[1];
		event->asked.protocol = call.arguments[2];
		if (!returns_fd)
			event->fd = -1;
	} else if (type == EVENT_CONNECT || type == EVENT_BIND) {
		read_asked(&event->asked, (void *)call.arguments[1], call.arguments[2]);
	}
	file = event->fd >= 0 ? file_of(task, event->fd) : NULL;
	if (file && kind_of_mode(BPF_CORE_READ(file, f_inode, i_mode)) == KIND_SOCKET) {
		struct sock *sk = sock_of(file);

		read_socket(&event->socket, sk);
		if (event->socket.family == AF_UNIX)
			append_unix_path(&record, &event->unix_path, 0, sk);
	}
	if (!event->unix_path.length && event->asked.family == AF_UNIX && type != EVENT_SOCKET && call.arguments[2] > 2)
		append_user_string(&record, &event->unix_path, 0, (void *)call.arguments[1] + 2);
	record_submit(&record);
	return 0;
}
