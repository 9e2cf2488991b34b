/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* A finished system call: its number, its arguments by either ABI, and what the loaded rules want of it. */
#ifndef SHIKRA_SYSCALL_H
#define SHIKRA_SYSCALL_H

struct syscall {
	__u64 arguments[6];
	__u32 number;
	__u8 abi;
};

#if defined(__TARGET_ARCH_x86)

#define X32_BIT 0x40000000

static __always_inline __u8 syscall_abi(struct task_struct *task)
{
	return task->thread_info.status & TS_COMPAT ? ABI_COMPAT : ABI_NATIVE;
}

static __always_inline __u32 syscall_number(struct pt_regs *regs)
{
	return (__u32)regs->orig_ax & ~X32_BIT;
}

static __always_inline bool syscall_is_x32(struct pt_regs *regs)
{
	return regs->orig_ax & X32_BIT;
}

static __always_inline void syscall_arguments(struct syscall *call, struct pt_regs *regs)
{
	if (call->abi == ABI_COMPAT) {
		call->arguments[0] = (__u32)regs->bx;
		call->arguments[1] = (__u32)regs->cx;
		call->arguments[2] = (__u32)regs->dx;
		call->arguments[3] = (__u32)regs->si;
		call->arguments[4] = (__u32)regs->di;
		call->arguments[5] = (__u32)regs->bp;
	} else {
		call->arguments[0] = regs->di;
		call->arguments[1] = regs->si;
		call->arguments[2] = regs->dx;
		call->arguments[3] = regs->r10;
		call->arguments[4] = regs->r8;
		call->arguments[5] = regs->r9;
	}
}

#elif defined(__TARGET_ARCH_arm64)

/* arch/arm64/include/asm/thread_info.h */
#define TIF_32BIT 22

static __always_inline __u8 syscall_abi(struct task_struct *task)
{
	return task->thread_info.flags & (1UL << TIF_32BIT) ? ABI_COMPAT : ABI_NATIVE;
}

static __always_inline __u32 syscall_number(struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline bool syscall_is_x32(struct pt_regs *regs)
{
	return false;
}

static __always_inline void syscall_arguments(struct syscall *call, struct pt_regs *regs)
{
	/* the first argument's register holds the result by now */
	call->arguments[0] = regs->orig_x0;
	call->arguments[1] = regs->regs[1];
	call->arguments[2] = regs->regs[2];
	call->arguments[3] = regs->regs[3];
	call->arguments[4] = regs->regs[4];
	call->arguments[5] = regs->regs[5];
}

#endif

/* What the rules want of a call; NULL: nothing. */
static __always_inline struct interest *interest_of(struct pt_regs *regs, struct task_struct *task, __u8 *abi)
{
	__u32 number = syscall_number(regs);
	struct interest *interest;

	*abi = syscall_abi(task);
	if (number >= SYSCALL_TABLE_ENTRIES)
		return NULL;
	interest = &interests[*abi & 1][number & (SYSCALL_TABLE_ENTRIES - 1)];
	return interest->type ? interest : NULL;
}

/* The prologue of every family's program. */
static __always_inline struct interest *syscall_read(struct syscall *call, struct pt_regs *regs, struct task_struct *task)
{
	struct interest *interest = interest_of(regs, task, &call->abi);

	syscall_arguments(call, regs);
	if (call->abi == ABI_NATIVE && syscall_is_x32(regs))
		call->abi = ABI_X32;
	return interest;
}

/* With a number that the verifier doesn't know, an array on the stack cannot be indexed. */
static __always_inline __u64 argument_at(const struct syscall *call, __u8 index)
{
	switch (index) {
	case 0: return call->arguments[0];
	case 1: return call->arguments[1];
	case 2: return call->arguments[2];
	case 3: return call->arguments[3];
	case 4: return call->arguments[4];
	}
	return call->arguments[5];
}

#endif
