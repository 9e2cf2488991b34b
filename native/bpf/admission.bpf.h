/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who gets into a ring that is nearly full. A reader that cannot follow loses something; what it loses is to be the flood's, not what somebody hides
 * behind it. As long as there is room, everything gets in. From pressed_bytes (three quarters) on a cgroup is refused if what it has written in the last
 * ring's length of records, of one class (executions are one of their own), is more than SHARE times what is still free. One that floods stops there, two stop at two fifths of the ring
 * each, and whoever writes little finds the rest free. The nearer the ring is to full, the less is a share; nobody has to know how many they are.
 *
 * What a cgroup writes is estimated until the ring is pressed: what a CPU wrote between two looks is put down to the one who looks. Then each record looks.
 */
#ifndef SHIKRA_ADMISSION_H
#define SHIKRA_ADMISSION_H

#define SHARE 2
/* In place of flags for the record's output. */
#define REFUSED -1
/* Parts of wakeup_bytes that wake the reader again. */
#define WAKEUPS 4
/* The least recently seen go first: they write little. */
#define SHARES_MAX 4096

struct share_key {
	__u64 cgroup_id;
	__u32 ring;
	__u32 class; /* or EXECUTIONS; says the kind of ring too */
};

/* Apart from the rest of CLASS_PROCESS: there can be twenty forks for an execution, and they are not to hide it. */
#define EXECUTIONS EVENT_CLASSES

/* Counted in laps: the ring's length, over and over. */
struct share {
	__u64 lap;
	__u64 bytes;        /* in this lap */
	__u64 bytes_before; /* in the lap before it */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SHARES_MAX);
	__type(key, struct share_key);
	__type(value, struct share);
} shares SEC(".maps");

struct refusals { __u64 count[EVENT_CLASSES]; };

/* Who was refused, and how often; beside it all are counted in `drops`. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REFUSED_CGROUPS_MAX);
	__type(key, __u64);
	__type(value, struct refusals);
} refused SEC(".maps");

static __always_inline struct share *share_of(const struct share_key *key, __u64 lap)
{
	struct share *share = bpf_map_lookup_elem(&shares, key);
	struct share fresh = { .lap = lap };
	__u64 last;

	if (!share) {
		bpf_map_update_elem(&shares, key, &fresh, BPF_NOEXIST);
		return bpf_map_lookup_elem(&shares, key);
	}
	last = share->lap;
	if (last < lap && __sync_val_compare_and_swap(&share->lap, last, lap) == last) {
		__u64 bytes = share->bytes;

		share->bytes_before = last + 1 == lap ? bytes : 0;
		__sync_fetch_and_sub(&share->bytes, bytes);
	}
	return share;
}

static __always_inline void count_refusal(__u64 cgroup_id, __u32 class)
{
	struct refusals *refusals = bpf_map_lookup_elem(&refused, &cgroup_id);
	struct refusals fresh = {};

	count_drop(DROP_CGROUP_OVER_SHARE, class);
	if (!refusals) {
		bpf_map_update_elem(&refused, &cgroup_id, &fresh, BPF_NOEXIST);
		refusals = bpf_map_lookup_elem(&refused, &cgroup_id);
	}
	if (refusals && class < EVENT_CLASSES)
		__sync_fetch_and_add(&refusals->count[class], 1);
}

/*
 * How full is the ring that a record of so many bytes is for, and may it go in? Flags for its output, or REFUSED. A global function, so that the verifier looks at it once; it
 * finds the ring by itself. Where CPUs share a ring they share the count, without a lock.
 */
__noinline long look_at_ring(struct scratch *scratch, __u32 kind, __u32 size)
{
	__u32 cpu = bpf_get_smp_processor_id(), slot;
	const struct ring_settings *limits;
	const struct event_header *header;
	struct share_key key = {};
	__u64 waiting, produced, step, free, used, unseen;
	struct share *share;
	bool was_pressed;
	void *ring;

	if (!scratch || kind >= RING_KINDS)
		return BPF_RB_NO_WAKEUP;
	slot = cpu + kind * CPUS_MAX;
	ring = bpf_map_lookup_elem(&rings, &slot);
	limits = &settings.rings[kind];
	step = limits->wakeup_bytes / WAKEUPS;
	if (!ring || !limits->bytes || !step || !settings.cpus_per_ring)
		return BPF_RB_NO_WAKEUP;
	waiting = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
	produced = bpf_ringbuf_query(ring, BPF_RB_PROD_POS);
	was_pressed = scratch->rings[kind].pressed;
	unseen = was_pressed ? size : scratch->rings[kind].unseen_bytes;
	free = waiting < limits->bytes ? limits->bytes - waiting : 0;
	scratch->rings[kind].pressed = waiting >= limits->pressed_bytes;
	scratch->rings[kind].unseen_bytes = scratch->rings[kind].pressed ? limits->look_bytes : 0;

	key.cgroup_id = cgroup_id_of(bpf_get_current_task_btf());
	key.ring = cpu / settings.cpus_per_ring;
	header = (void *)scratch->record;
	key.class = header->type == EVENT_EXECVE || header->type == EVENT_EXECVEAT ? EXECUTIONS : header->class;
	share = share_of(&key, produced / limits->bytes);
	if (share) {
		__sync_fetch_and_add(&share->bytes, unseen - size);
		/* of the lap before, what lies within a ring's length */
		used = share->bytes + share->bytes_before - share->bytes_before * (produced % limits->bytes) / limits->bytes;
		if (scratch->rings[kind].pressed && used > SHARE * free) {
			count_refusal(key.cgroup_id, header->class);
			return REFUSED;
		}
		__sync_fetch_and_add(&share->bytes, size);
	}
	return waiting >= limits->wakeup_bytes && produced / step != (produced - unseen) / step ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

#endif
