/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Calls whose arguments say it all: ptrace, unshare, credentials, signals, io_uring, BPF, module loading from memory, ... */

enum { PR_SET_NAME = 15, KEXEC_FILE_COMMAND_LINE = 3 };

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
	if (!interest || !record_begin(&record, sizeof(*event), interest->type, CLASS_OTHER, result))
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
	append_user_string(&record, &event->text, 0, text);
	record_submit(&record);
	return 0;
}
