/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Operations that are submitted through io_uring: no system call of their own, so they are told as the call that they stand for. Told at their
 * end, where the opened file or the connected socket is there; what was asked for is noted at the submission, out of the kernel's own copies of
 * the paths, which nobody can change any more. Worker and polling threads are threads of the process that owns the ring: the header is its.
 */

enum { OPERATIONS_MAX = 256, OPERATION_BYTES = 8104 };
/* IOSQE_* of linux/io_uring.h, which the request keeps at the same places: no descriptor but a slot; nobody is told of its success. */
enum { REQ_FIXED_FILE = 1 << 0, REQ_CQE_SKIP = 1 << 6 };

struct operation { char record[OPERATION_BYTES]; __u64 ring, user_data; };

/* Records that wait for the result, by request. Takes memory only while operations are under way. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OPERATIONS_MAX);
	__type(key, __u64);
	__type(value, struct operation);
} operations SEC(".maps");

/* An open of which the file is not known: rules about files are to see it, with the path that was asked for. */
static __always_inline void presume_file(struct record *record)
{
	struct open_event *event = (void *)record->header;

	event->header.kind = KIND_FILE;
	mark_unreadable(record, 0);
}

/* Keeps the record until the operation ends. If it cannot, or its end will not be told, the record goes out now: its result is not known. */
static __always_inline void record_keep(struct record *record, struct io_kiocb *request)
{
	struct operation *operation;
	__u64 key = (__u64)request;

	record->header->size = record->offset;
	if (!(request->flags & REQ_CQE_SKIP) && record->offset <= OPERATION_BYTES &&
	    !bpf_map_update_elem(&operations, &key, record->scratch->record, BPF_ANY)) {
		operation = bpf_map_lookup_elem(&operations, &key);
		if (operation) {
			operation->ring = (__u64)request->ctx;
			operation->user_data = request->cqe.user_data;
		}
		record->scratch->busy = 0;
		return;
	}
	record->header->unreadable |= 1 << UNREADABLE_RESULT;
	if (record->header->type == EVENT_OPENAT || record->header->type == EVENT_OPENAT2)
		presume_file(record);
	record_submit(record);
}

static __always_inline char append_name(struct record *record, struct str_ref *ref, __u32 slot, struct filename *name)
{
	char *to = string_start(record);

	*to = 0;
	append_kernel_string(record, ref, slot, name ? BPF_CORE_READ(name, name) : NULL);
	return *to;
}

static __always_inline void keep_open(struct io_kiocb *request, struct task_struct *task, __u16 type)
{
	struct io_open *open = (void *)request;
	struct open_event *event;
	struct record record;
	char first;

	if (!record_begin(&record, sizeof(*event), type, CLASS_FILE, 0))
		return;
	event = (void *)record.header;
	event->header.abi = ABI_IO_URING;
	event->flags = BPF_CORE_READ(open, how.flags) & ~O_LARGEFILE;
	event->mode = BPF_CORE_READ(open, how.mode);
	event->directory_fd = BPF_CORE_READ(open, dfd);
	no_file(event);
	first = append_name(&record, &event->path_raw, 1, BPF_CORE_READ(open, filename));
	append_directory(&record, &event->directory, 2, task, event->directory_fd, first);
	record_keep(&record, request);
}

/* text: a second string that is no path. */
struct operation_paths { struct filename *path, *path2; const char *text; __u64 argument; __s32 directory_fd, directory_fd2; };

static __always_inline void read_operation_paths(struct operation_paths *paths, struct io_kiocb *request, __u16 type)
{
	paths->directory_fd2 = AT_FDCWD;
	if (type == EVENT_UNLINKAT) {
		struct io_unlink *unlink = (void *)request;

		paths->directory_fd = BPF_CORE_READ(unlink, dfd);
		paths->path = BPF_CORE_READ(unlink, filename);
		paths->argument = BPF_CORE_READ(unlink, flags);
	} else if (type == EVENT_MKDIRAT) {
		struct io_mkdir *mkdir = (void *)request;

		paths->directory_fd = BPF_CORE_READ(mkdir, dfd);
		paths->path = BPF_CORE_READ(mkdir, filename);
		paths->argument = BPF_CORE_READ(mkdir, mode);
	} else if (type == EVENT_RENAMEAT2) {
		struct io_rename *rename = (void *)request;

		paths->directory_fd = BPF_CORE_READ(rename, old_dfd);
		paths->path = BPF_CORE_READ(rename, oldpath);
		paths->directory_fd2 = BPF_CORE_READ(rename, new_dfd);
		paths->path2 = BPF_CORE_READ(rename, newpath);
		paths->argument = BPF_CORE_READ(rename, flags);
	} else if (type == EVENT_LINKAT) {
		struct io_link *link = (void *)request;

		paths->directory_fd = BPF_CORE_READ(link, old_dfd);
		paths->path = BPF_CORE_READ(link, oldpath);
		paths->directory_fd2 = BPF_CORE_READ(link, new_dfd);
		paths->path2 = BPF_CORE_READ(link, newpath);
		paths->argument = BPF_CORE_READ(link, flags);
	} else if (type == EVENT_SYMLINKAT) {
		struct io_link *symlink = (void *)request;

		paths->directory_fd = BPF_CORE_READ(symlink, new_dfd);
		paths->path = BPF_CORE_READ(symlink, newpath);
		paths->text = BPF_CORE_READ(symlink, oldpath, name);
	} else if (bpf_core_type_exists(struct io_xattr)) {
		struct io_xattr *attribute = (void *)request;

		paths->directory_fd = AT_FDCWD;
		paths->path = BPF_CORE_READ(attribute, filename);
		paths->text = (const char *)BPF_CORE_READ(attribute, ctx.kname);
		paths->argument = BPF_CORE_READ(attribute, ctx.flags);
	}
}

static __always_inline void keep_paths(struct io_kiocb *request, struct task_struct *task, __u16 type)
{
	struct operation_paths paths = {};
	struct path_event *event;
	struct record record;
	char first;

	if (!record_begin(&record, sizeof(*event), type, CLASS_FILE, 0))
		return;
	event = (void *)record.header;
	event->header.abi = ABI_IO_URING;
	read_operation_paths(&paths, request, type);
	event->argument = paths.argument;
	event->argument2 = 0;
	event->directory_fd = paths.directory_fd;
	event->directory_fd2 = paths.directory_fd2;
	string_none(&event->path_raw2);
	string_none(&event->directory2);
	string_none(&event->path_before);
	string_none(&event->path_before2);
	event->held = false;
	event->unused = 0;
	first = append_name(&record, &event->path_raw, 0, paths.path);
	append_directory(&record, &event->directory, 1, task, paths.directory_fd, first);
	if (paths.path2) {
		first = append_name(&record, &event->path_raw2, 2, paths.path2);
		append_directory(&record, &event->directory2, 3, task, paths.directory_fd2, first);
	} else if (paths.text) {
		append_kernel_string(&record, &event->path_raw2, 2, paths.text);
	}
	record_keep(&record, request);
}

/* As the caller has it: of one in a slot of the ring there is none. */
static __always_inline __s32 descriptor_of(struct io_kiocb *request)
{
	return request->flags & REQ_FIXED_FILE ? -1 : request->cqe.fd;
}

enum { SPLICE_FD_IN_FIXED = 1U << 31 /* SPLICE_F_FD_IN_FIXED: a slot */ };

static __always_inline void keep_descriptor(struct io_kiocb *request, __u16 type)
{
	struct descriptor_event *event;
	struct record record;

	if (!record_begin(&record, sizeof(*event), type, CLASS_FILE, 0))
		return;
	event = (void *)record.header;
	event->header.abi = ABI_IO_URING;
	no_target(event);
	event->fd = descriptor_of(request);
	event->argument = 0;
	if (type == EVENT_FTRUNCATE && bpf_core_type_exists(struct io_ftrunc)) {
		event->argument = BPF_CORE_READ((struct io_ftrunc *)request, len);
	} else if (type == EVENT_FSETXATTR && bpf_core_type_exists(struct io_xattr)) {
		event->argument = BPF_CORE_READ((struct io_xattr *)request, ctx.flags);
		append_kernel_string(&record, &event->text, 1, (const char *)BPF_CORE_READ((struct io_xattr *)request, ctx.kname));
	} else if (type == EVENT_SPLICE) {
		event->argument = BPF_CORE_READ((struct io_splice *)request, flags);
		event->fd2 = event->argument & SPLICE_FD_IN_FIXED ? -1 : BPF_CORE_READ((struct io_splice *)request, splice_fd_in);
	}
	record_keep(&record, request);
}

/*
 * Where a datagram goes: the kernel has its own copy of the address since Linux 6.10, and a member of 6.15 tells of a layout in which it is
 * certain to be there. Before that there is none to be had.
 */
static __always_inline void read_receiver(struct socket_event *event, struct io_kiocb *request)
{
	struct io_async_msghdr *message = BPF_CORE_READ(request, async_data);
	struct sockaddr_any any = {};
	const void *name;

	if (!bpf_core_field_exists(((struct io_async_msghdr *)0)->vec) || !message)
		return;
	name = BPF_CORE_READ(message, msg.msg_name);
	if (name && BPF_CORE_READ(message, msg.msg_namelen) >= 2 && !bpf_probe_read_kernel(&any, 24, name))
		fill_asked(&event->asked, &any);
}

/* Operations that act on a socket that is there already: the request has it, be it in a slot or behind a descriptor. */
static __always_inline bool acts_on_socket(__u16 type)
{
	return type == EVENT_CONNECT || type == EVENT_BIND || type == EVENT_LISTEN || is_transfer(type);
}

static __always_inline void keep_socket(struct io_kiocb *request, __u16 type)
{
	struct socket_event *event;
	struct record record;

	if (!record_begin(&record, sizeof(*event), type, CLASS_NETWORK, 0))
		return;
	event = (void *)record.header;
	event->header.abi = ABI_IO_URING;
	event->fd = acts_on_socket(type) ? descriptor_of(request) : -1;
	event->argument = 0;
	no_addresses(event);
	if (type == EVENT_SOCKET) {
		struct io_socket *socket = (void *)request;

		event->asked.family = BPF_CORE_READ(socket, domain);
		event->asked.type = BPF_CORE_READ(socket, type);
		event->asked.protocol = BPF_CORE_READ(socket, protocol);
	} else if (type == EVENT_CONNECT) {
		struct io_connect *connect = (void *)request;

		read_asked(&event->asked, BPF_CORE_READ(connect, addr), BPF_CORE_READ(connect, addr_len));
	} else if (type == EVENT_LISTEN && bpf_core_type_exists(struct io_listen)) {
		event->argument = BPF_CORE_READ((struct io_listen *)request, backlog);
	} else if (is_transfer(type)) {
		event->argument = BPF_CORE_READ((struct io_sr_msg *)request, msg_flags);
		if (type <= EVENT_SENDMMSG)
			read_receiver(event, request);
	}
	record_keep(&record, request);
}

/* An operation of the agent itself, to see that both programs tell. */
static __always_inline void keep_canary(struct io_kiocb *request, __u16 type)
{
	struct scalar_event *event;
	struct record record;

	if (!record_begin(&record, sizeof(*event), type, CLASS_OTHER, 0))
		return;
	event = (void *)record.header;
	event->header.abi = ABI_IO_URING;
	__builtin_memset(event->arguments, 0, sizeof(event->arguments));
	event->arguments[0] = request->cqe.user_data;
	string_none(&event->text);
	record_keep(&record, request);
}

SEC("?tp_btf/io_uring_submit_req")
int BPF_PROG(submit_operation, struct io_kiocb *request)
{
	struct interest *interest = &interests[TABLE_IO_URING][request->opcode];
	struct task_struct *task = bpf_get_current_task_btf();

	switch (interest->family) {
	case FAMILY_OPEN:
		keep_open(request, task, interest->type);
		break;
	case FAMILY_PATH:
		keep_paths(request, task, interest->type);
		break;
	case FAMILY_DESCRIPTOR:
		keep_descriptor(request, interest->type);
		break;
	case FAMILY_SOCKET:
		keep_socket(request, interest->type);
		break;
	case FAMILY_SCALAR:
		if (request->cqe.user_data >> 32 == CANARY_MARK)
			keep_canary(request, interest->type);
		break;
	}
	return 0;
}

/* The file in a slot of the ring, which has no descriptor. NULL on kernels before 6.13, which keep them in another way. */
static __always_inline struct file *file_in_slot(struct io_kiocb *request, __u32 slot)
{
	struct io_ring_ctx *ring = BPF_CORE_READ(request, ctx);
	struct io_rsrc_node **nodes, *node = NULL;

	if (!bpf_core_field_exists(((struct io_rsrc_data *)0)->nodes) || !bpf_core_field_exists(((struct io_rsrc_node *)0)->file_ptr))
		return NULL;
	if (slot >= BPF_CORE_READ(ring, file_table.data.nr))
		return NULL;
	nodes = BPF_CORE_READ(ring, file_table.data.nodes);
	bpf_probe_read_kernel(&node, sizeof(node), nodes + slot);
	/* flags stand in the lowest bits (io_uring/filetable.h) */
	return node ? (void *)(BPF_CORE_READ(node, file_ptr) & ~7UL) : NULL;
}

enum { SLOT_OF_CHOICE = 0xffffffff /* IORING_FILE_INDEX_ALLOC: the result says which */ };

static __always_inline void end_open(struct record *record, struct io_kiocb *request, struct task_struct *task)
{
	struct open_event *event = (void *)record->header;
	__u32 slot = BPF_CORE_READ((struct io_open *)request, file_slot);
	struct file *file;

	if (event->header.result < 0)
		return;
	if (!slot)
		file = file_of(task, event->header.result);
	else
		file = file_in_slot(request, slot == SLOT_OF_CHOICE ? event->header.result : slot - 1);
	if (file) {
		struct vfsmount *mnt = LOAD(file, file, f_path.mnt);
		struct dentry *dentry = LOAD(file, file, f_path.dentry);

		append_opened(record, event, file, mnt, dentry);
		append_inside(record, event, mnt, dentry);
	} else {
		presume_file(record);
	}
}

/* What a request acts on, be it in a slot or behind a descriptor: it stands at the start of every request. */
static __always_inline struct file *file_of_request(struct io_kiocb *request)
{
	return BPF_CORE_READ((struct io_connect *)request, file);
}

static __always_inline void end_descriptor(struct record *record, struct io_kiocb *request, struct task_struct *task)
{
	struct descriptor_event *event = (void *)record->header;

	if (event->header.type == EVENT_DUP) {
		event->fd2 = event->header.result;
	} else if (event->header.type == EVENT_SPLICE) {
		bool in_slot = event->argument & SPLICE_FD_IN_FIXED;

		append_origin(record, event, in_slot ? file_in_slot(request, BPF_CORE_READ((struct io_splice *)request, splice_fd_in)) : file_of(task, event->fd2));
	}
	append_target(record, event, file_of_request(request));
}

static __always_inline void end_socket(struct record *record, struct io_kiocb *request, struct task_struct *task)
{
	struct socket_event *event = (void *)record->header;
	__s32 result = event->header.result;
	struct file *file = NULL;
	__u32 slot;

	if (acts_on_socket(event->header.type)) {
		file = file_of_request(request);
	} else if (result >= 0) {
		slot = event->header.type == EVENT_SOCKET ? BPF_CORE_READ((struct io_socket *)request, file_slot) : BPF_CORE_READ((struct io_accept *)request, file_slot);
		if (!slot)
			file = file_of(task, result);
		else
			file = file_in_slot(request, slot == SLOT_OF_CHOICE ? result : slot - 1);
		event->fd = slot ? -1 : result;
	}
	append_socket(record, event, file);
}

static __always_inline bool is_on_descriptor(__u16 type)
{
	return type == EVENT_FTRUNCATE || type == EVENT_FSETXATTR || type == EVENT_SPLICE || type == EVENT_DUP;
}

/*
 * Tells what came of an operation. One that goes on (IORING_ACCEPT_MULTISHOT, IORING_RECV_MULTISHOT) is told each time. A global function, so that the verifier
 * looks at it once, whatever it is called from.
 */
__noinline int end_operation(__u64 key, __s32 result, bool goes_on)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct operation *operation = bpf_map_lookup_elem(&operations, &key);
	struct io_kiocb *request = (void *)key;
	struct record record;
	__u32 size;
	__u16 type;

	if (!operation)
		return 0;
	if (record_begin(&record, sizeof(struct open_event), EVENT_NONE, CLASS_FILE, 0)) {
		size = ((struct event_header *)operation->record)->size;
		if (size > OPERATION_BYTES)
			size = OPERATION_BYTES;
		bpf_probe_read_kernel(record.scratch->record, size, operation->record);
		record.offset = size;
		record.header->time_ns = bpf_ktime_get_boot_ns();
		record.header->result = result;
		type = record.header->type;
		if (type == EVENT_OPENAT || type == EVENT_OPENAT2)
			end_open(&record, request, task);
		else if (is_on_descriptor(type))
			end_descriptor(&record, request, task);
		else if (record.header->class == CLASS_NETWORK)
			end_socket(&record, request, task);
		record_submit(&record);
	}
	if (!goes_on)
		bpf_map_delete_elem(&operations, &key);
	return 0;
}

struct wanted_operation { __u64 ring, user_data, key; };

static long match_operation(void *map, __u64 *key, struct operation *operation, struct wanted_operation *wanted)
{
	if (operation->ring != wanted->ring || operation->user_data != wanted->user_data)
		return 0;
	wanted->key = *key;
	return 1;
}

/* For ends that name no request: the operation that the caller called so. Of several by one name, one is as good as the other. */
static __always_inline __u64 operation_by_name(void *ring, __u64 user_data)
{
	struct wanted_operation wanted = { .ring = (__u64)ring, .user_data = user_data };

	bpf_for_each_map_elem(&operations, match_operation, &wanted, 0);
	return wanted.key;
}

enum { CQE_MORE = 1 << 1 /* IORING_CQE_F_MORE: of a request that goes on */ };

/* Each but the last end of a request that goes on names no request, only what the caller gets: readable since this tracepoint shows it (seen by a member of 6.17). */
SEC("?tp_btf/io_uring_complete")
int BPF_PROG(complete_operation, void *ring, void *ended, struct io_uring_cqe *entry)
{
	struct io_kiocb *request = ended;

	if (request)
		end_operation((__u64)request, BPF_CORE_READ(request, cqe.res), false);
	else if (bpf_core_field_exists(((struct io_sr_msg *)0)->mshot_len))
		end_operation(operation_by_name(ring, BPF_CORE_READ(entry, user_data)), BPF_CORE_READ(entry, res), BPF_CORE_READ(entry, flags) & CQE_MORE);
	return 0;
}

/* What ends while the caller's ring of answers is full is put aside and not told by the tracepoint above: filling the ring first would hide it. */
SEC("?tp_btf/io_uring_cqe_overflow")
int BPF_PROG(overflow_operation, void *ring, unsigned long long user_data, __s32 result, __u32 flags)
{
	end_operation(operation_by_name(ring, user_data), result, flags & CQE_MORE);
	return 0;
}
