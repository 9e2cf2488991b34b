/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The one hook on system calls: their exit, where the result and the kernel's objects are there. It asks in one array look-up
 * whether a loaded rule wants the call, and passes it to its family's program. Between the look-up and the family is where a
 * condition derived from the rules can turn an event away before anything is read.
 */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, FAMILIES);
	__type(key, __u32);
	__type(value, __u32);
} families SEC(".maps");

/* A connect under way has not failed; a call by a number of x32 is told of by its being made. collector/sources/kernel/failed-calls.ts counts on both. */
static __always_inline bool comes_in_any_case(struct pt_regs *regs, long result)
{
	return result == -EINPROGRESS || syscall_is_x32(regs);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(dispatch_sys_exit, struct pt_regs *regs, long result)
{
	__u8 abi;
	struct interest *interest = interest_of(regs, bpf_get_current_task_btf(), &abi);

	if (!interest || (result < 0 && !interest->failed && !comes_in_any_case(regs, result)))
		return 0;
	/* With a constant the JIT makes a jump of it. */
	switch (interest->family) {
	case FAMILY_OPEN:
		bpf_tail_call_static(ctx, &families, FAMILY_OPEN);
		break;
	default:
		bpf_tail_call(ctx, &families, interest->family);
	}
	return 0;
}
