// SPDX-License-Identifier: Apache-2.0
#include "hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

/* The kernel's number of a link; 0 if the descriptor is none (any more). */
static uint32_t link_id(int fd)
{
	struct bpf_link_info info = {};
	__u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.id;
}

static bool is_lost(const struct hook *hook)
{
	return !hook->link || link_id(bpf_link__fd(hook->link)) != hook->id;
}

static bool attach(struct hook *hook, struct bpf_object *object)
{
	hook->link = bpf_program__attach(bpf_object__find_program_by_name(object, hook->program));
	if (!hook->link)
		return false;
	hook->id = link_id(bpf_link__fd(hook->link));
	return true;
}

bool hooks_attach(struct hooks *hooks, struct bpf_object *object, const char *program)
{
	struct hook *hook = &hooks->hooks[hooks->count];

	if (hooks->count == HOOKS_MAX) {
		errno = E2BIG;
		return false;
	}
	hook->program = program;
	if (!attach(hook, object))
		return false;
	hooks->count++;
	return true;
}

/* Somebody closed the descriptor in this process. By now its number may be another file's, which is not ours to close. */
static void forget(struct hook *hook)
{
	if (!hook->link)
		return;
	bpf_link__disconnect(hook->link);
	bpf_link__destroy(hook->link);
	hook->link = NULL;
}

bool hooks_mend(struct hooks *hooks, struct bpf_object *object)
{
	for (int i = 0; i < hooks->count; i++) {
		if (!is_lost(&hooks->hooks[i]))
			continue;
		forget(&hooks->hooks[i]);
		if (!attach(&hooks->hooks[i], object))
			return false;
	}
	return true;
}

void hooks_detach(struct hooks *hooks)
{
	while (hooks->count > 0) {
		struct hook *hook = &hooks->hooks[--hooks->count];

		if (is_lost(hook))
			forget(hook);
		else
			bpf_link__destroy(hook->link);
	}
}

static const struct hook *hook_of(const struct hooks *hooks, const char *program)
{
	for (int i = 0; i < hooks->count; i++)
		if (!strcmp(hooks->hooks[i].program, program))
			return &hooks->hooks[i];
	return NULL;
}

size_t hooks_states(const struct hooks *hooks, struct bpf_object *object, struct program_state *states, size_t most)
{
	struct bpf_program *program;
	size_t count = 0;

	bpf_object__for_each_program(program, object) {
		struct program_state *state = &states[count];
		const struct hook *hook = hook_of(hooks, bpf_program__name(program));
		struct bpf_prog_info info = {};
		__u32 length = sizeof(info);

		if (count++ == most)
			return most;
		*state = (struct program_state){ .name = bpf_program__name(program), .loaded = bpf_program__fd(program) >= 0, .attached = hook, .lost = hook && is_lost(hook) };
		if (!state->loaded || bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length))
			continue;
		state->missed_runs = info.recursion_misses;
		state->runs = info.run_cnt;
		state->run_ns = info.run_time_ns;
		state->verified_instructions = info.verified_insns;
	}
	return count;
}
