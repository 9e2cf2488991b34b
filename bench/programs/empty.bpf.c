/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Empty programs on the hooks that Shikra uses: what it costs to look at all, whatever the looking is for. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp_btf/sys_enter")
int empty_sys_enter(void *context)
{
	return 0;
}

SEC("tp_btf/sys_exit")
int empty_sys_exit(void *context)
{
	return 0;
}

SEC("tp_btf/sched_process_exec")
int empty_exec(void *context)
{
	return 0;
}

SEC("tp_btf/task_newtask")
int empty_fork(void *context)
{
	return 0;
}

SEC("tp_btf/sched_process_exit")
int empty_exit(void *context)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
