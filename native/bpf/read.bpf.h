/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What else the probe reads from kernel objects: kinds of files, sockets, numbers of processes. */
#ifndef SHIKRA_READ_H
#define SHIKRA_READ_H

static __always_inline struct sock *sock_of(struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);

	return BPF_CORE_READ(socket, sk);
}

static __always_inline __u32 kind_of_socket(struct sock *sk)
{
	switch (BPF_CORE_READ(sk, __sk_common.skc_family)) {
	case AF_INET:
		return KIND_IPV4;
	case AF_INET6:
		return KIND_IPV6;
	case AF_UNIX:
		return KIND_UNIX;
	case AF_NETLINK:
		return KIND_NETLINK;
	}
	return KIND_SOCKET;
}

static __always_inline __u32 kind_of_mode(__u32 mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return KIND_FILE;
	case S_IFDIR:
		return KIND_DIRECTORY;
	case S_IFCHR:
		return KIND_CHARACTER_DEVICE;
	case S_IFBLK:
		return KIND_BLOCK_DEVICE;
	case S_IFIFO:
		return KIND_PIPE;
	case S_IFLNK:
		return KIND_SYMLINK;
	case S_IFSOCK:
		return KIND_SOCKET;
	case 0:
		return KIND_ANONYMOUS;
	}
	return KIND_UNKNOWN;
}

static __always_inline __u32 kind_of(struct file *file)
{
	__u32 kind;

	if (!file)
		return KIND_NONE;
	kind = kind_of_mode(BPF_CORE_READ(file, f_inode, i_mode));
	return kind == KIND_SOCKET ? kind_of_socket(sock_of(file)) : kind;
}

static __always_inline __u16 swap16(__u16 value)
{
	return __builtin_bswap16(value);
}

/* Addresses in network order, ports in the host's. */
static __always_inline void read_socket(struct socket_info *info, struct sock *sk)
{
	info->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	info->type = BPF_CORE_READ(sk, sk_type);
	info->protocol = BPF_CORE_READ(sk, sk_protocol);
	info->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	info->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (info->family == AF_INET) {
		bpf_core_read(info->local_address, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_core_read(info->remote_address, 4, &sk->__sk_common.skc_daddr);
	} else if (info->family == AF_INET6) {
		bpf_core_read(info->local_address, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(info->remote_address, 16, &sk->__sk_common.skc_v6_daddr);
	} else {
		return;
	}
	info->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	info->remote_port = swap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* A path ends at its NUL; an abstract name begins with one and has its length, and is written with an @ in its place. */
static __always_inline void end_unix_path(struct record *record, struct str_ref *ref, __u32 length)
{
	char *path = string_start(record);

	if (!path[0])
		path[0] = '@';
	else if (length && !path[(length - 1) & 127])
		length--;
	string_end(record, ref, length);
}

/* The same of an address that the caller gave: an abstract name is told like the kernel's own. */
static __always_inline void append_user_unix_path(struct record *record, struct str_ref *ref, const void *address, __u64 length)
{
	if (length > SUN_PATH_BYTES)
		length = SUN_PATH_BYTES;
	if (bpf_probe_read_user(string_start(record), length & 127, address)) {
		mark_unreadable(record, 0);
		return;
	}
	/* a path ends at its first NUL, whatever length the caller gave */
	if (string_start(record)[0]) {
		append_user_string(record, ref, 0, address);
		return;
	}
	end_unix_path(record, ref, length & 127);
}

/* The path that a unix socket is bound to: its own, or (a client's is rarely bound) its peer's. */
static __always_inline void append_unix_path(struct record *record, struct str_ref *ref, __u32 slot, struct sock *sk)
{
	struct unix_address *address = BPF_CORE_READ((struct unix_sock *)sk, addr);
	struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	__u32 length;

	string_none(ref);
	if (!address && peer)
		address = BPF_CORE_READ((struct unix_sock *)peer, addr);
	if (!address)
		return;
	/* struct sockaddr_un follows the struct; its path begins after two bytes of family; len counts both */
	length = BPF_CORE_READ(address, len);
	if (length <= 2)
		return;
	length -= 2;
	if (length > SUN_PATH_BYTES)
		length = SUN_PATH_BYTES;
	if (bpf_probe_read_kernel(string_start(record), length & 127, (void *)address + bpf_core_type_size(struct unix_address) + 2))
		mark_unreadable(record, slot);
	else
		end_unix_path(record, ref, length & 127);
}

static __always_inline __u32 device_of(struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_dev);
}

/* Number of a pid in its own namespace. */
static __always_inline __u32 virtual_pid(struct pid *pid)
{
	struct upid upid = {};
	__u32 level;

	if (!pid)
		return 0;
	level = BPF_CORE_READ(pid, level) & 63;
	bpf_probe_read_kernel(&upid.nr, sizeof(upid.nr), (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid));
	return upid.nr;
}

static __always_inline __u32 pid_namespace_of(struct pid *pid)
{
	struct pid_namespace *namespace = NULL;
	__u32 level;

	if (!pid)
		return 0;
	level = BPF_CORE_READ(pid, level) & 63;
	bpf_probe_read_kernel(&namespace, sizeof(namespace), (void *)pid + bpf_core_field_offset(struct pid, numbers) +
		level * bpf_core_type_size(struct upid) + bpf_core_field_offset(struct upid, ns));
	return BPF_CORE_READ(namespace, ns.inum);
}

#endif
