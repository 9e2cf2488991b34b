// SPDX-License-Identifier: Apache-2.0
/* Programs and their links: attached, looked after, attached again. Not for two threads at once. */
#ifndef SHIKRA_HOOKS_H
#define SHIKRA_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_object;
struct bpf_link;

#define HOOKS_MAX 16

struct hook {
	struct bpf_link *link;
	const char *program;
	uint32_t id; /* the kernel's, of the link */
};

struct hooks {
	struct hook hooks[HOOKS_MAX];
	int count;
};

/* What the kernel tells of a program. Runs are counted only while somebody has run statistics enabled. */
struct program_state {
	const char *name;
	bool loaded;   /* false: this kernel has no place for it */
	bool attached; /* by us, once */
	bool lost;     /* and its link is not there any more, or another one in its place */
	uint64_t missed_runs; /* it was called while it ran on the same processor */
	uint64_t runs;
	uint64_t run_ns;
	uint32_t verified_instructions;
};

/* Attaches a program by its name. False, and errno. */
bool hooks_attach(struct hooks *hooks, struct bpf_object *object, const char *program);
/* Attaches again what was lost. False, and errno, at the first that cannot be. */
bool hooks_mend(struct hooks *hooks, struct bpf_object *object);
void hooks_detach(struct hooks *hooks);
/* States of all programs of the object; returns how many. */
size_t hooks_states(const struct hooks *hooks, struct bpf_object *object, struct program_state *states, size_t most);

#endif
