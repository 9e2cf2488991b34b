// SPDX-License-Identifier: Apache-2.0
/* The part of the addon by which JavaScript sees that the programs are there and tell. */
#include "canary.h"
#include "hooks.h"
#include "js.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAMS_MAX 32

static bool set_number(napi_env env, napi_value object, const char *key, double number)
{
	napi_value value;

	return napi_create_double(env, number, &value) == napi_ok && napi_set_named_property(env, object, key, value) == napi_ok;
}

static bool set_boolean(napi_env env, napi_value object, const char *key, bool is)
{
	napi_value value;

	return napi_get_boolean(env, is, &value) == napi_ok && napi_set_named_property(env, object, key, value) == napi_ok;
}

/* provoke(probe, {token, families, turn, operation}, program: string, '' for none) -> {child, calls, operation}: the child's number, 0; or -errno. */
napi_value js_provoke(napi_env env, napi_callback_info info)
{
	struct provocation provocation = {};
	struct provoked provoked;
	char program[PATH_MAX];
	struct handle *handle;
	napi_value arguments[3], result;
	size_t count = 3, length;
	uint32_t operation;

	CHECK(env, napi_get_cb_info(env, info, &count, arguments, NULL, NULL));
	handle = handle_of(env, arguments[0]);
	if (!handle)
		return NULL;
	if (!get_number(env, arguments[1], "token", &provocation.token) || !get_number(env, arguments[1], "families", &provocation.families) ||
	    !get_number(env, arguments[1], "turn", &provocation.turn) || !get_number(env, arguments[1], "operation", &operation) ||
	    napi_get_value_string_utf8(env, arguments[2], program, sizeof(program), &length) != napi_ok)
		return throw_misuse(env, "provoke: expected {token, families, turn, operation} and a program's path");
	provocation.operation = operation;
	provocation.program = length ? program : NULL;
	provoked = canary_provoke(probe_canary(handle->probe), &provocation);
	CHECK(env, napi_create_object(env, &result));
	if (!set_number(env, result, "child", provoked.child) || !set_number(env, result, "calls", provoked.calls) || !set_number(env, result, "operation", provoked.operation))
		throw_last_error(env);
	return result;
}

/* reap(probe) -> boolean: true if the child has ended. */
napi_value js_reap(napi_env env, napi_callback_info info)
{
	struct handle *handle = only_handle(env, info);
	napi_value result;

	if (!handle)
		return NULL;
	CHECK(env, napi_get_boolean(env, canary_reap(probe_canary(handle->probe)), &result));
	return result;
}

/* interests(probe) -> Buffer: the table as the programs have it, copied. */
napi_value js_interests(napi_env env, napi_callback_info info)
{
	struct handle *handle = only_handle(env, info);
	const void *interests;
	napi_value buffer;
	size_t bytes;

	if (!handle)
		return NULL;
	interests = probe_interests(handle->probe, &bytes);
	CHECK(env, napi_create_buffer_copy(env, bytes, interests, NULL, &buffer));
	return buffer;
}

/* programs(probe) -> {name, loaded, attached, lost, missedRuns, runs, runNanos, verifiedInstructions}[] */
napi_value js_programs(napi_env env, napi_callback_info info)
{
	struct program_state states[PROGRAMS_MAX];
	struct handle *handle = only_handle(env, info);
	napi_value array, entry;
	size_t count;

	if (!handle)
		return NULL;
	count = probe_programs(handle->probe, states, PROGRAMS_MAX);
	CHECK(env, napi_create_array(env, &array));
	for (size_t i = 0; i < count; i++) {
		CHECK(env, napi_create_object(env, &entry));
		set_string(env, entry, "name", states[i].name);
		if (!set_boolean(env, entry, "loaded", states[i].loaded) || !set_boolean(env, entry, "attached", states[i].attached) ||
		    !set_boolean(env, entry, "lost", states[i].lost) || !set_number(env, entry, "missedRuns", states[i].missed_runs) ||
		    !set_number(env, entry, "runs", states[i].runs) || !set_number(env, entry, "runNanos", states[i].run_ns) ||
		    !set_number(env, entry, "verifiedInstructions", states[i].verified_instructions))
			throw_last_error(env);
		CHECK(env, napi_set_element(env, array, i, entry));
	}
	return array;
}

/* mend(probe): attaches again what was detached. */
napi_value js_mend(napi_env env, napi_callback_info info)
{
	struct handle *handle = only_handle(env, info);
	struct probe_error error = {};

	return handle && !probe_mend(handle->probe, &error) ? throw_probe_error(env, &error) : NULL;
}

/* countRuns(probe): has the kernel count runs of all BPF programs, and their time, for as long as the probe is open. */
napi_value js_count_runs(napi_env env, napi_callback_info info)
{
	struct handle *handle = only_handle(env, info);
	struct probe_error error = {};

	return handle && !probe_count_runs(handle->probe, &error) ? throw_probe_error(env, &error) : NULL;
}

static bool next_program(uint32_t *id, struct bpf_prog_info *info)
{
	while (!bpf_prog_get_next_id(*id, id)) {
		__u32 length = sizeof(*info);
		int fd = bpf_prog_get_fd_by_id(*id), result;

		if (fd < 0)
			continue; /* it went away meanwhile, or is not for us */
		memset(info, 0, sizeof(*info));
		result = bpf_obj_get_info_by_fd(fd, info, &length);
		close(fd);
		if (!result && info->type == BPF_PROG_TYPE_TRACING)
			return true;
	}
	return false;
}

/* running() -> {name, missedRuns, runs, runNanos}[]: the tracing programs of this machine, whose ever they are; names are cut by the kernel. */
napi_value js_running(napi_env env, napi_callback_info info)
{
	struct bpf_prog_info program;
	napi_value array, entry;
	uint32_t id = 0, count = 0;

	(void)info;
	CHECK(env, napi_create_array(env, &array));
	while (next_program(&id, &program)) {
		CHECK(env, napi_create_object(env, &entry));
		set_string(env, entry, "name", program.name);
		if (!set_number(env, entry, "missedRuns", program.recursion_misses) || !set_number(env, entry, "runs", program.run_cnt) ||
		    !set_number(env, entry, "runNanos", program.run_time_ns))
			throw_last_error(env);
		CHECK(env, napi_set_element(env, array, count++, entry));
	}
	return array;
}
