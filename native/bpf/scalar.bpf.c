/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Calls whose arguments say it all: ptrace, unshare, credentials, signals, io_uring, BPF, module loading from memory, ... */

enum { PR_SET_NAME = 15, KEXEC_FILE_COMMAND_LINE = 3, PROTECTION = 2, PROT_WRITE_EXEC = 2 | 4 };

#if defined(__TARGET_ARCH_x86)
enum { NR_OLD_MMAP_COMPAT = 90 };
#else
enum { NR_OLD_MMAP_COMPAT = -2 };
#endif

/* The first mmap of 32-bit programs has its arguments in memory. */
static __always_inline void read_old_mmap(struct syscall *call, struct pt_regs *regs)
{
	__u32 words[6] = {};

	if (call->abi != ABI_COMPAT || syscall_number(regs) != NR_OLD_MMAP_COMPAT)
		return;
	bpf_probe_read_user(words, sizeof(words), (void *)call->arguments[0]);
	for (int i = 0; i < 6; i++)
		call->arguments[i] = words[i];
}

/* Programs map memory all the time: only what could be filled with code and run is told. */
static __always_inline bool is_harmless_memory(__u16 type, const struct syscall *call)
{
	return (type == EVENT_MMAP || type == EVENT_MPROTECT) && (call->arguments[PROTECTION] & PROT_WRITE_EXEC) != PROT_WRITE_EXEC;
}

/* What the call left the caller with: the caller's memory may say something else by now. */
static __always_inline void read_capabilities(struct scalar_event *event, struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);

	event->arguments[0] = BPF_CORE_READ(cred, cap_inheritable.val);
	event->arguments[1] = BPF_CORE_READ(cred, cap_permitted.val);
	event->arguments[2] = BPF_CORE_READ(cred, cap_effective.val);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(collect_scalar, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scalar_event *event;
	struct interest *interest;
	struct syscall call;
	struct record record;
	const void *text = NULL;

	interest = syscall_read(&call, regs, task);
	if (interest && interest->type == EVENT_MMAP)
		read_old_mmap(&call, regs);
	if (!interest || is_harmless_memory(interest->type, &call) || !record_begin(&record, sizeof(*event), interest->type, CLASS_OTHER, result))
		return 0;
	event = (void *)record.header;
	event->header.abi = call.abi;
	__builtin_memcpy(event->arguments, call.arguments, sizeof(event->arguments));
	if (interest->type == EVENT_DELETE_MODULE || interest->type == EVENT_MEMFD_CREATE)
		text = (void *)call.arguments[0];
	else if (interest->type == EVENT_FSOPEN)
		text = (void *)call.arguments[0];
	else if (interest->type == EVENT_INIT_MODULE)
		text = (void *)call.arguments[2];
	else if (interest->type == EVENT_KEXEC_FILE_LOAD)
		text = (void *)call.arguments[KEXEC_FILE_COMMAND_LINE];
	else if (interest->type == EVENT_PRCTL && call.arguments[0] == PR_SET_NAME)
		text = (void *)call.arguments[1];
	else if (interest->type == EVENT_CAPSET)
		read_capabilities(event, task);
	append_user_string(&record, &event->text, 0, text);
	record_submit(&record);
	return 0;
}
