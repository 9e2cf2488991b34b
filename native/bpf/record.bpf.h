/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Maps, and how a record is made: begin (take this CPU's scratch, fill the header), append strings; submit.bpf.h copies it into the ring.
 * A record is put together beside the ring because its size is known last, and the ring wants it first.
 */
#ifndef SHIKRA_RECORD_H
#define SHIKRA_RECORD_H

#define RECORD_STRINGS_BYTES 32768
#define RECORD_SLACK_BYTES 16384 /* a string begun below RECORD_STRINGS_BYTES ends below the sum */

struct scratch {
	__u32 busy;
	struct {
		__u32 unseen_bytes; /* written since the last look at how full the ring is */
		__u32 pressed;      /* it was nearly full: each record looks */
	} rings[RING_KINDS];
	struct { struct vfsmount *mnt; struct dentry *dentry; } walk_from;
	char path[PATH_MAX_BYTES * 2]; /* a path is built from its end towards the middle */
	char record[RECORD_STRINGS_BYTES + RECORD_SLACK_BYTES];
};

/* One for each CPU; not a per-CPU map because the value of one ends at 32 KiB. The loader sets the number. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* For the task iterator, which may sleep and so cannot hold a CPU's scratch. One reader at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} iterator_scratch SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
};

/* Two rings for each CPU (or several CPUs), enum ring_kind, those of one kind after those of the other: a map of maps, as they are made when their size is known. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CPUS_MAX * RING_KINDS);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

struct drop_counts {
	__u64 count[DROP_REASONS][EVENT_CLASSES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct drop_counts);
} drops SEC(".maps");

/* Each in a section of its own, so that user space can set it whole. The settings are frozen once they are set. */
struct settings settings SEC(".data.settings") = {};
struct interest interests[CALL_TABLES][SYSCALL_TABLE_ENTRIES] SEC(".data.interests") = {};

static __always_inline void count_drop(__u32 reason, __u32 class)
{
	__u32 zero = 0;
	struct drop_counts *counts = bpf_map_lookup_elem(&drops, &zero);

	if (counts && reason < DROP_REASONS && class < EVENT_CLASSES)
		counts->count[reason][class]++;
}

/* A record under construction. offset: where the next string goes. */
struct record {
	struct scratch *scratch;
	struct event_header *header;
	__u32 offset;
};

static __always_inline void fill_header(struct event_header *header, struct task_struct *task, __u16 type, __u8 class, __s64 result)
{
	const struct cred *cred = LOAD(task_struct, task, cred);
	struct task_struct *leader = LOAD(task_struct, task, group_leader);

	header->time_ns = bpf_ktime_get_boot_ns();
	header->start_time_ns = LOAD(task_struct, leader, start_boottime);
	header->result = result;
	header->pid = task->tgid;
	header->tid = task->pid;
	header->exec_id = task->self_exec_id;
	header->uid = LOAD(cred, cred, euid.val);
	header->gid = LOAD(cred, cred, egid.val);
	header->type = type;
	header->abi = ABI_NATIVE;
	header->class = class;
	header->unreadable = 0;
	header->truncated = 0;
	header->kind = KIND_NONE;
}

/* Takes the CPU's scratch. False (and counted) if a probe that this one interrupted holds it. */
static __always_inline bool record_begin(struct record *record, __u32 fixed_bytes, __u16 type, __u8 class, __s64 result)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &cpu);

	if (!scratch)
		return false;
	if (__sync_lock_test_and_set(&scratch->busy, 1)) {
		count_drop(DROP_SCRATCH_BUSY, class);
		return false;
	}
	record->scratch = scratch;
	record->header = (void *)scratch->record;
	record->offset = fixed_bytes;
	fill_header(record->header, bpf_get_current_task_btf(), type, class, result);
	return true;
}

static __always_inline void mark_unreadable(struct record *record, __u32 slot)
{
	record->header->unreadable |= 1 << slot;
	count_drop(DROP_READ_FAILED, record->header->class);
}

/* Notes a string of length bytes that now stands at record->offset; zeros up to the next multiple of 8. */
static __always_inline void string_end(struct record *record, struct str_ref *ref, __u32 length)
{
	__u32 offset = record->offset & (RECORD_STRINGS_BYTES - 1);

	length &= RECORD_SLACK_BYTES - 1;
	ref->offset = offset;
	ref->length = length;
	*(__u64 *)(record->scratch->record + offset + length) = 0;
	record->offset = (offset + length + 8) & ~7U;
}

/* A string that is not there: unreadable, or not asked for. */
static __always_inline void string_none(struct str_ref *ref)
{
	ref->offset = 0;
	ref->length = 0;
}

/* Where the next string goes; the verifier sees that it and RECORD_SLACK_BYTES more lie within the record. */
static __always_inline char *string_start(struct record *record)
{
	return record->scratch->record + (record->offset & (RECORD_STRINGS_BYTES - 1));
}

/* A NUL-terminated string of the caller's memory, at most USER_STRING_MAX_BYTES with its NUL. */
static __always_inline void append_user_string(struct record *record, struct str_ref *ref, __u32 slot, const void *address)
{
	long length = 0;

	if (address) {
		length = bpf_probe_read_user_str(string_start(record), USER_STRING_MAX_BYTES, address);
		if (length < 0) {
			mark_unreadable(record, slot);
			length = 0;
		} else if (length == USER_STRING_MAX_BYTES) {
			record->header->truncated |= 1 << slot;
		}
		if (length > 0)
			length--;
	}
	if (length)
		string_end(record, ref, length);
	else
		string_none(ref);
}

/* The same of a string that the kernel has. */
static __always_inline void append_kernel_string(struct record *record, struct str_ref *ref, __u32 slot, const char *string)
{
	long length = string ? bpf_probe_read_kernel_str(string_start(record), USER_STRING_MAX_BYTES, string) : 0;

	if (length < 0)
		mark_unreadable(record, slot);
	if (length > 1)
		string_end(record, ref, length - 1);
	else
		string_none(ref);
}

/* size bytes of the caller's memory, cut at limit (a power of two less one). */
static __always_inline void append_user_bytes(struct record *record, struct str_ref *ref, __u32 slot, const void *address, __u64 size, __u32 limit)
{
	if (size > limit) {
		size = limit;
		record->header->truncated |= 1 << slot;
	}
	size &= limit;
	if (size && !bpf_probe_read_user(string_start(record), size, address)) {
		string_end(record, ref, size);
		return;
	}
	if (size)
		mark_unreadable(record, slot);
	string_none(ref);
}

#endif
