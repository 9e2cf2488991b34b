/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Where kernels differ: each case names the change. The loader's relocations make the branches constant, the verifier drops the dead ones. */
#ifndef SHIKRA_COMPAT_H
#define SHIKRA_COMPAT_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
/* Linux 6.15 (633488947ef6) renamed kernfs_node.parent to __parent. */
struct kernfs_node___new { struct kernfs_node *__parent; };
struct kernfs_node___old { struct kernfs_node *parent; };

/* Linux 6.11 (3aa63a569c64) split the inode's times; 6.6 (13bc24457850) had renamed i_ctime to __i_ctime. */
struct timespec64 { __s64 tv_sec; long tv_nsec; };
struct inode___split { __s64 i_mtime_sec, i_ctime_sec; __u32 i_mtime_nsec, i_ctime_nsec; };
struct inode___mid { struct timespec64 __i_mtime, __i_ctime; };
struct inode___old { struct timespec64 i_mtime, i_ctime; };
#pragma clang attribute pop

/*
 * Linux 6.2 (a35b9af4ec2c) lets a program follow a pointer that it has read by plain loads, which the JIT guards: a tenth of the price of a
 * helper call. What system calls wait for is read by them. A kind of map that came with the same version (c4bcfb38a95e) tells of it.
 *
 * Pointers out of objects that the kernel vouches for (the current task, a hook's arguments) are read by it too: of each that is read by its name the
 * verifier wants to know whether it can be vouched for as well, and goes through all types of the kernel for an answer (btf_nested_type_is_trusted of kernel/bpf/btf.c): milliseconds each time.
 */
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;
enum bpf_map_type___new { BPF_MAP_TYPE_CGRP_STORAGE = 32 };
#define LOAD(type, object, field) (bpf_core_enum_value_exists(enum bpf_map_type___new, BPF_MAP_TYPE_CGRP_STORAGE) ? \
	((struct type *)bpf_rdonly_cast(object, bpf_core_type_id_kernel(struct type)))->field : BPF_CORE_READ((struct type *)(object), field))

/* 8 bytes at any place of the kernel's memory, by a type that begins with as many; 0 where nothing can be read. */
#define WORD(address) LOAD(qstr, address, hash_len)

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	if (bpf_core_field_exists(struct kernfs_node___new, __parent))
		return BPF_CORE_READ((struct kernfs_node___new *)node, __parent);
	return BPF_CORE_READ((struct kernfs_node___old *)node, parent);
}

#define NANOS 1000000000ULL

static __always_inline void inode_times(struct inode *inode, __u64 *ctime_ns, __u64 *mtime_ns)
{
	if (bpf_core_field_exists(struct inode___split, i_ctime_sec)) {
		struct inode___split *split = (void *)inode;
		*ctime_ns = BPF_CORE_READ(split, i_ctime_sec) * NANOS + (BPF_CORE_READ(split, i_ctime_nsec) & 0x3fffffff);
		*mtime_ns = BPF_CORE_READ(split, i_mtime_sec) * NANOS + (BPF_CORE_READ(split, i_mtime_nsec) & 0x3fffffff);
	} else if (bpf_core_field_exists(struct inode___mid, __i_ctime)) {
		struct inode___mid *mid = (void *)inode;
		*ctime_ns = BPF_CORE_READ(mid, __i_ctime.tv_sec) * NANOS + BPF_CORE_READ(mid, __i_ctime.tv_nsec);
		*mtime_ns = BPF_CORE_READ(mid, __i_mtime.tv_sec) * NANOS + BPF_CORE_READ(mid, __i_mtime.tv_nsec);
	} else {
		struct inode___old *old = (void *)inode;
		*ctime_ns = BPF_CORE_READ(old, i_ctime.tv_sec) * NANOS + BPF_CORE_READ(old, i_ctime.tv_nsec);
		*mtime_ns = BPF_CORE_READ(old, i_mtime.tv_sec) * NANOS + BPF_CORE_READ(old, i_mtime.tv_nsec);
	}
}

#endif
