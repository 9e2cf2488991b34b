/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * socket, bind, connect, listen, accept, and what is sent and received: the addresses are those of the kernel's socket after the call. Where a
 * datagram goes that names its receiver by itself, only the caller's memory says.
 */

enum { DATA_BYTES = 80, MESSAGES_MAX = 64 };

struct sockaddr_any {
	__u16 family;
	__be16 port;
	union {
		__u8 v4[4];
		struct { __u32 flow; __u8 v6[16]; };
	};
};

static __always_inline void fill_asked(struct socket_info *asked, const struct sockaddr_any *any)
{
	asked->family = any->family;
	if (any->family == AF_INET) {
		asked->remote_port = swap16(any->port);
		__builtin_memcpy(asked->remote_address, any->v4, 4);
	} else if (any->family == AF_INET6) {
		asked->remote_port = swap16(any->port);
		__builtin_memcpy(asked->remote_address, any->v6, 16);
	}
}

/* What the caller asked for, from its own memory: all there is of a call that failed. */
static __always_inline void read_asked(struct socket_info *asked, const void *address, __u32 length)
{
	struct sockaddr_any any = {};

	/* constant sizes for the verifier: all of an IPv6 address, or what IPv4 and the family need */
	if (length >= 24 ? bpf_probe_read_user(&any, 24, address) : length >= 8 ? bpf_probe_read_user(&any, 8, address) : bpf_probe_read_user(&any, 2, address))
		return;
	fill_asked(asked, &any);
}

static __always_inline bool is_transfer(__u16 type)
{
	return type >= EVENT_SENDTO && type <= EVENT_RECVMMSG;
}

static __always_inline void no_addresses(struct socket_event *event)
{
	__builtin_memset(&event->socket, 0, sizeof(event->socket));
	__builtin_memset(&event->asked, 0, sizeof(event->asked));
	string_none(&event->unix_path);
	string_none(&event->data);
}

/* The socket behind the event's descriptor as the kernel has it now. */
static __always_inline void append_socket(struct record *record, struct socket_event *event, struct file *file)
{
	struct sock *sk;

	if (!file || kind_of_mode(BPF_CORE_READ(file, f_inode, i_mode)) != KIND_SOCKET)
		return;
	sk = sock_of(file);
	read_socket(&event->socket, sk);
	if (event->socket.family == AF_UNIX)
		append_unix_path(record, &event->unix_path, 0, sk);
}

static __always_inline void append_data(struct record *record, struct socket_event *event, const void *address, __u64 length)
{
	if (length > DATA_BYTES)
		length = DATA_BYTES;
	if (length && !bpf_probe_read_user(string_start(record), length & 127, address))
		string_end(record, &event->data, length & 127);
}

/* One message of sendmsg and its kin: struct msghdr by either width of pointers. */
struct message { __u64 name, iov, base, length; __u32 name_bytes; };

static __always_inline bool read_message(struct message *message, const void *address, bool narrow)
{
	__u64 wide[3] = {};
	__u32 words[4] = {};

	if (narrow) {
		if (bpf_probe_read_user(words, sizeof(words), address))
			return false;
		message->name = words[0];
		message->name_bytes = words[1];
		if (words[3] && !bpf_probe_read_user(words, 8, (void *)(__u64)words[2])) {
			message->base = words[0];
			message->length = words[1];
		}
		return true;
	}
	if (bpf_probe_read_user(wide, sizeof(wide), address))
		return false;
	message->name = wide[0];
	message->name_bytes = wide[1];
	if (wide[2] && !bpf_probe_read_user(wide, 16, (void *)wide[2])) {
		message->base = wide[0];
		message->length = wide[1];
	}
	return true;
}

/* A call as the functions below get it. They are global: the verifier looks at each once, not at every way through it from every caller. */
struct socket_call {
	struct syscall call;
	__s64 result;
	__u64 messages; /* where the next struct msghdr stands; 0: the arguments are the message */
	__u32 type;
};

/* struct mmsghdr: a struct msghdr, and how many bytes of it went over; padded. */
static __always_inline __u32 mmsghdr_bytes(const struct syscall *call)
{
	return call->abi == ABI_COMPAT || call->abi == ABI_X32 ? 32 : 64;
}

static __always_inline __u32 transferred(const struct socket_call *transfer)
{
	__u32 bytes = 0, after_header = mmsghdr_bytes(&transfer->call) == 32 ? 28 : 56;

	bpf_probe_read_user(&bytes, sizeof(bytes), (void *)transfer->messages + after_header);
	return bytes;
}

/* Tells of one message. Of recvfrom's and sendto's kin the arguments are the only one. */
__noinline int submit_transfer(struct socket_call *transfer)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct message message = {};
	struct socket_event *event;
	struct record record;
	struct syscall *call;
	__u64 bytes;
	bool sends;

	if (!transfer)
		return 0;
	call = &transfer->call;
	bytes = transfer->result > 0 ? transfer->result : 0;
	sends = transfer->type <= EVENT_SENDMMSG;
	if (!record_begin(&record, sizeof(*event), transfer->type, CLASS_NETWORK, transfer->result))
		return 0;
	event = (void *)record.header;
	event->header.abi = call->abi;
	event->fd = call->arguments[0];
	no_addresses(event);
	if (transfer->messages) {
		event->argument = transfer->type == EVENT_SENDMSG || transfer->type == EVENT_RECVMSG ? call->arguments[2] : call->arguments[3];
		if (!read_message(&message, (void *)transfer->messages, call->abi == ABI_COMPAT || call->abi == ABI_X32))
			mark_unreadable(&record, 0);
		if (transfer->result > 0 && (transfer->type == EVENT_SENDMMSG || transfer->type == EVENT_RECVMMSG))
			bytes = transferred(transfer);
		if (bytes > message.length)
			bytes = message.length;
	} else {
		message.base = call->arguments[1];
		event->argument = call->arguments[3];
		message.name = call->arguments[4];
		message.name_bytes = sends ? call->arguments[5] : 24;
	}
	if (sends && transfer->result < 0)
		bytes = message.length;
	if (message.name)
		read_asked(&event->asked, (void *)message.name, message.name_bytes);
	append_socket(&record, event, file_of(task, event->fd));
	if (event->asked.family == AF_UNIX && message.name_bytes > 2) {
		string_none(&event->unix_path);
		append_user_unix_path(&record, &event->unix_path, (void *)message.name + 2, message.name_bytes - 2);
	}
	append_data(&record, event, (void *)message.base, bytes);
	record_submit(&record);
	return 0;
}

static long submit_message(__u32 index, struct socket_call *transfer)
{
	submit_transfer(transfer);
	transfer->messages += mmsghdr_bytes(&transfer->call);
	return 0;
}

static __always_inline void collect_transfer(struct socket_call *transfer)
{
	__u32 type = transfer->type;

	if (type != EVENT_SENDTO && type != EVENT_RECVFROM)
		transfer->messages = transfer->call.arguments[1];
	if ((type == EVENT_SENDMMSG || type == EVENT_RECVMMSG) && transfer->result > 0)
		bpf_loop(transfer->result > MESSAGES_MAX ? MESSAGES_MAX : transfer->result, submit_message, transfer, 0);
	else
		submit_transfer(transfer);
}

__noinline int submit_socket_call(struct socket_call *socket_call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct socket_event *event;
	struct record record;
	struct syscall *call;
	bool returns_fd;
	__s64 result;
	__u32 type;

	if (!socket_call)
		return 0;
	call = &socket_call->call;
	result = socket_call->result;
	type = socket_call->type;
	if (!record_begin(&record, sizeof(*event), type, CLASS_NETWORK, result))
		return 0;
	event = (void *)record.header;
	event->header.abi = call->abi;
	returns_fd = result >= 0 && (type == EVENT_SOCKET || type == EVENT_ACCEPT || type == EVENT_ACCEPT4);
	event->fd = returns_fd ? result : (__s32)call->arguments[0];
	event->argument = type == EVENT_LISTEN ? call->arguments[1] : 0;
	no_addresses(event);

	if (type == EVENT_SOCKET) {
		event->asked.family = call->arguments[0];
		event->asked.type = call->arguments[1];
		event->asked.protocol = call->arguments[2];
		if (!returns_fd)
			event->fd = -1;
	} else if (type == EVENT_CONNECT || type == EVENT_BIND) {
		read_asked(&event->asked, (void *)call->arguments[1], call->arguments[2]);
	}
	append_socket(&record, event, event->fd >= 0 ? file_of(task, event->fd) : NULL);
	if (!event->unix_path.length && event->asked.family == AF_UNIX && type != EVENT_SOCKET && call->arguments[2] > 2)
		append_user_unix_path(&record, &event->unix_path, (void *)call->arguments[1] + 2, call->arguments[2] - 2);
	record_submit(&record);
	return 0;
}

static __always_inline void collect_socket_call(struct socket_call *call)
{
	if (is_transfer(call->type))
		collect_transfer(call);
	else
		submit_socket_call(call);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(collect_socket, struct pt_regs *regs, long result)
{
	struct socket_call call = { .result = result };
	struct interest *interest = syscall_read(&call.call, regs, bpf_get_current_task_btf());

	if (!interest)
		return 0;
	call.type = interest->type;
	collect_socket_call(&call);
	return 0;
}

/* All socket calls of a 32-bit program may go through one, with the real arguments in memory, four bytes each. */
SEC("tp_btf/sys_exit")
int BPF_PROG(collect_socketcall, struct pt_regs *regs, long result)
{
	struct socket_call call = { .result = result };
	struct interest *interest;
	__u32 arguments[6] = {};

	if (!syscall_read(&call.call, regs, bpf_get_current_task_btf()))
		return 0;
	interest = &interests[TABLE_SOCKETCALL][call.call.arguments[0] & (SYSCALL_TABLE_ENTRIES - 1)];
	if (!interest->type)
		return 0;
	/* as many as there may be: with fewer the last page may end before six */
	if (bpf_probe_read_user(arguments, sizeof(arguments), (void *)call.call.arguments[1]))
		bpf_probe_read_user(arguments, 12, (void *)call.call.arguments[1]);
	for (int i = 0; i < 6; i++)
		call.call.arguments[i] = arguments[i];
	call.type = interest->type;
	collect_socket_call(&call);
	return 0;
}
