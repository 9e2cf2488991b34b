/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The cgroup of a task, by which its container is known. */
#ifndef SHIKRA_CGROUP_H
#define SHIKRA_CGROUP_H

/* The path of a cgroup: the default hierarchy's if the task is in one of its groups, else that of pids, else of memory (cgroup v1). */
struct cgroup_walk { struct kernfs_node *node; char *buffer; __u32 position; __u32 end; };

static long cgroup_step(__u32 index, struct cgroup_walk *walk)
{
	struct kernfs_node *node = walk->node;
	struct kernfs_node *parent = kernfs_parent(node);
	__u32 position = walk->position;
	char name[128 + 8];
	long length;

	if (!parent)
		return 1;
	length = bpf_probe_read_kernel_str(name, 128, BPF_CORE_READ(node, name));
	if (length <= 1) {
		walk->end = WALK_FAILED;
		return 1;
	}
	length = (length - 1) & 127;
	if (position < length + 1 || position > CGROUP_PATH_MAX_BYTES) {
		walk->end = WALK_TOO_LONG;
		return 1;
	}
	position -= length;
	bpf_probe_read_kernel(walk->buffer + (position & (CGROUP_PATH_MAX_BYTES - 1)), length, name);
	position--;
	walk->buffer[position & (CGROUP_PATH_MAX_BYTES - 1)] = '/';
	walk->position = position;
	walk->node = parent;
	return 0;
}

static __always_inline struct kernfs_node *cgroup_node_of(struct css_set *set, __u32 subsystem)
{
	struct cgroup_subsys_state *state = NULL;

	bpf_probe_read_kernel(&state, sizeof(state), (void *)set + bpf_core_field_offset(struct css_set, subsys) + subsystem * sizeof(state));
	return state ? BPF_CORE_READ(state, cgroup, kn) : NULL;
}

static __always_inline struct kernfs_node *cgroup_node(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct kernfs_node *node = BPF_CORE_READ(set, dfl_cgrp, kn);

	if (node && kernfs_parent(node))
		return node;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
		struct kernfs_node *pids = cgroup_node_of(set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));

		if (pids && kernfs_parent(pids))
			return pids;
	}
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
		struct kernfs_node *memory = cgroup_node_of(set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));

		if (memory && kernfs_parent(memory))
			return memory;
	}
	return node;
}

/* What the cgroup's path is known by as long as it is there. */
static __always_inline __u64 cgroup_id_of(struct task_struct *task)
{
	struct kernfs_node *node = cgroup_node(task);

	return node ? BPF_CORE_READ(node, id) : 0;
}

static __always_inline void append_cgroup(struct record *record, struct str_ref *ref, __u32 slot, struct task_struct *task)
{
	struct cgroup_walk walk = { .buffer = record->scratch->path, .position = CGROUP_PATH_MAX_BYTES };
	struct kernfs_node *node = cgroup_node(task);
	__u32 position, length;

	if (!node) {
		string_none(ref);
		return;
	}
	walk.node = node;
	bpf_loop(64, cgroup_step, &walk, 0);
	if (walk.end == WALK_FAILED)
		mark_unreadable(record, slot);
	if (walk.end == WALK_TOO_LONG)
		record->header->truncated |= 1 << slot;
	position = walk.position;
	if (position >= CGROUP_PATH_MAX_BYTES) {
		*string_start(record) = '/';
		string_end(record, ref, 1);
		return;
	}
	length = CGROUP_PATH_MAX_BYTES - position;
	bpf_probe_read_kernel(string_start(record), length & (CGROUP_PATH_MAX_BYTES * 2 - 1), record->scratch->path + (position & (CGROUP_PATH_MAX_BYTES - 1)));
	string_end(record, ref, length);
}

#endif
