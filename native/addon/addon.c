// SPDX-License-Identifier: Apache-2.0
/*
 * The Node-API face of the probe: load, attach, hand out the rings' memory, say how far records are complete. It moves bytes and
 * knows nothing of what is in them. native/index.ts is its only user and gives the friendly checks; here stand those that memory
 * safety needs.
 */
#include "js.h"
#include "object.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static const napi_type_tag PROBE_TAG = { 0x9b1f6a8c0d524e77ULL, 0xa3c5d2e1f4b60718ULL };

void throw_last_error(napi_env env)
{
	const napi_extended_error_info *info;
	bool pending = false;

	napi_get_last_error_info(env, &info);
	napi_is_exception_pending(env, &pending);
	if (!pending)
		napi_throw_error(env, NULL, info->error_message ? info->error_message : "Node-API call failed");
}

void set_string(napi_env env, napi_value object, const char *key, const char *text)
{
	napi_value value;

	if (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok)
		napi_set_named_property(env, object, key, value);
}

/* An Error with `code` (errno's name), `step` and `log` (what libbpf and the verifier said). NULL, and one thrown, if there can be none. */
static napi_value error_object(napi_env env, const struct probe_error *error)
{
	napi_value message, code, object;

	CHECK(env, napi_create_string_utf8(env, error->message, NAPI_AUTO_LENGTH, &message));
	CHECK(env, napi_create_string_utf8(env, strerrorname_np(error->number) ? strerrorname_np(error->number) : "EUNKNOWN", NAPI_AUTO_LENGTH, &code));
	CHECK(env, napi_create_error(env, code, message, &object));
	set_string(env, object, "step", error->step);
	set_string(env, object, "log", error->log);
	return object;
}

napi_value throw_probe_error(napi_env env, const struct probe_error *error)
{
	napi_value object = error_object(env, error);

	if (object)
		CHECK(env, napi_throw(env, object));
	return NULL;
}

napi_value throw_misuse(napi_env env, const char *message)
{
	napi_throw_type_error(env, NULL, message);
	return NULL;
}

struct handle *handle_of(napi_env env, napi_value value)
{
	struct handle *handle = NULL;
	bool tagged = false;

	if (napi_check_object_type_tag(env, value, &PROBE_TAG, &tagged) != napi_ok || !tagged || napi_unwrap(env, value, (void **)&handle) != napi_ok || !handle->probe) {
		throw_misuse(env, "expected an open probe");
		return NULL;
	}
	return handle;
}

/* Of a call whose first argument is a probe. */
struct handle *only_handle(napi_env env, napi_callback_info info)
{
	napi_value argument;
	size_t count = 1;

	CHECK(env, napi_get_cb_info(env, info, &count, &argument, NULL, NULL));
	return handle_of(env, argument);
}

bool get_number(napi_env env, napi_value object, const char *key, uint32_t *number)
{
	napi_value value;

	return napi_get_named_property(env, object, key, &value) == napi_ok && napi_get_value_uint32(env, value, number) == napi_ok;
}

/* Without this a worker that is terminated would leave its programs attached until the process ends. */
static void cleanup_environment(void *data)
{
	struct handle *handle = data;

	if (handle->probe)
		probe_stop(handle->probe);
}

/* The object was collected, or the environment ends: the hook must not meet what is freed here. */
static void finalize_handle(napi_env env, void *data, void *hint)
{
	struct handle *handle = data;

	(void)hint;
	napi_remove_env_cleanup_hook(env, cleanup_environment, handle);
	if (handle->probe)
		probe_close(handle->probe);
	free(handle);
}

static void call_javascript(napi_env env, napi_value callback, void *context, void *data)
{
	napi_value undefined;

	(void)context;
	(void)data;
	if (!env || napi_get_undefined(env, &undefined) != napi_ok)
		return;
	napi_call_function(env, undefined, callback, 0, NULL, NULL);
}

static void notify_javascript(void *context)
{
	struct handle *handle = context;

	napi_call_threadsafe_function(handle->notify, NULL, napi_tsfn_nonblocking);
}

/* A probe that is being loaded in a thread of the pool. */
struct opening {
	const void *object;
	size_t bytes;
	struct probe_error error;
	struct probe *probe;
	napi_ref argument; /* keeps the object's bytes */
	napi_deferred deferred;
	napi_async_work work;
};

static void open_aside(napi_env env, void *data)
{
	struct opening *opening = data;

	(void)env;
	opening->probe = probe_open(opening->object, opening->bytes, &opening->error);
}

/* The object of an opened probe; NULL if there can be none. */
static napi_value wrap_probe(napi_env env, struct probe *probe)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	napi_value object;

	if (!handle)
		return NULL;
	if (napi_create_object(env, &object) != napi_ok || napi_type_tag_object(env, object, &PROBE_TAG) != napi_ok ||
	    napi_wrap(env, object, handle, finalize_handle, NULL, NULL) != napi_ok) {
		free(handle);
		return NULL;
	}
	napi_add_env_cleanup_hook(env, cleanup_environment, handle);
	handle->probe = probe;
	return object;
}

static void opened(napi_env env, napi_status status, void *data)
{
	struct opening *opening = data;
	napi_value value = NULL;

	if (status == napi_ok && opening->probe)
		value = wrap_probe(env, opening->probe);
	if (value) {
		napi_resolve_deferred(env, opening->deferred, value);
	} else {
		/* the environment ends, or there is an error */
		if (opening->probe)
			probe_close(opening->probe);
		value = error_object(env, &opening->error);
		if (value)
			napi_reject_deferred(env, opening->deferred, value);
	}
	napi_delete_reference(env, opening->argument);
	napi_delete_async_work(env, opening->work);
	free(opening);
}

/* open(object: Uint8Array) -> Promise of a probe: loads the programs; nothing is attached yet. */
static napi_value js_open(napi_env env, napi_callback_info info)
{
	struct opening *opening;
	napi_typedarray_type type;
	napi_value argument, name, promise;
	size_t count = 1, bytes;
	void *object;

	CHECK(env, napi_get_cb_info(env, info, &count, &argument, NULL, NULL));
	if (napi_get_typedarray_info(env, argument, &type, &bytes, &object, NULL, NULL) != napi_ok || type != napi_uint8_array)
		return throw_misuse(env, "open: expected the object's bytes");
	opening = calloc(1, sizeof(*opening));
	if (!opening)
		return throw_misuse(env, "open: out of memory");
	opening->object = object;
	opening->bytes = bytes;
	CHECK(env, napi_create_promise(env, &opening->deferred, &promise));
	CHECK(env, napi_create_reference(env, argument, 1, &opening->argument));
	CHECK(env, napi_create_string_utf8(env, "shikra open", NAPI_AUTO_LENGTH, &name));
	CHECK(env, napi_create_async_work(env, NULL, name, open_aside, opened, opening, &opening->work));
	CHECK(env, napi_queue_async_work(env, opening->work));
	return promise;
}

/* configure(probe, options): makes the rings. Once, before attach. */
static napi_value js_configure(napi_env env, napi_callback_info info)
{
	struct probe_options options = {};
	struct probe_error error = {};
	struct handle *handle;
	napi_value arguments[2];
	size_t count = 2;

	CHECK(env, napi_get_cb_info(env, info, &count, arguments, NULL, NULL));
	handle = handle_of(env, arguments[0]);
	if (!handle)
		return NULL;
	if (!get_number(env, arguments[1], "ringBytes", &options.ring_bytes[RING_CALLS]) ||
	    !get_number(env, arguments[1], "processRingBytes", &options.ring_bytes[RING_PROCESSES]) ||
	    !get_number(env, arguments[1], "cpusPerRing", &options.cpus_per_ring) || !get_number(env, arguments[1], "env", &options.env))
		return throw_misuse(env, "configure: expected {ringBytes, processRingBytes, cpusPerRing, env}");
	if (!probe_configure(handle->probe, &options, &error))
		return throw_probe_error(env, &error);
	return NULL;
}

/* rings(probe) -> ArrayBuffer[]: the data of each ring, first of those for calls, then of those for processes; a record may wrap. Read-only memory. */
static napi_value js_rings(napi_env env, napi_callback_info info)
{
	struct handle *handle;
	napi_value argument, array, buffer;
	size_t count = 1, bytes;
	struct rings *rings;

	CHECK(env, napi_get_cb_info(env, info, &count, &argument, NULL, NULL));
	handle = handle_of(env, argument);
	if (!handle)
		return NULL;
	rings = probe_rings(handle->probe);
	CHECK(env, napi_create_array(env, &array));
	for (uint32_t i = 0; i < rings->count; i++) {
		void *data = ring_data(rings, i, &bytes);

		/* the mapping lives as long as the environment: a view kept past close() still reads memory that is there */
		CHECK(env, napi_create_external_arraybuffer(env, data, bytes, NULL, NULL, &buffer));
		CHECK(env, napi_set_element(env, array, i, buffer));
	}
	return array;
}

/* attach(probe, onData): starts the probe; onData is called when records wait, once until the next advance(). */
static napi_value js_attach(napi_env env, napi_callback_info info)
{
	struct probe_error error = {};
	struct handle *handle;
	napi_value arguments[2], name;
	size_t count = 2;

	CHECK(env, napi_get_cb_info(env, info, &count, arguments, NULL, NULL));
	handle = handle_of(env, arguments[0]);
	if (!handle)
		return NULL;
	if (handle->notify)
		return throw_misuse(env, "attach: the probe is attached already");
	CHECK(env, napi_create_string_utf8(env, "shikra probe", NAPI_AUTO_LENGTH, &name));
	CHECK(env, napi_create_threadsafe_function(env, arguments[1], NULL, name, 4, 1, NULL, NULL, NULL, call_javascript, &handle->notify));
	if (!probe_attach(handle->probe, notify_javascript, handle, &error)) {
		napi_release_threadsafe_function(handle->notify, napi_tsfn_abort);
		handle->notify = NULL;
		return throw_probe_error(env, &error);
	}
	return NULL;
}

/* want(probe, interests: Uint8Array, wantsCalls: boolean): replaces the table of interests while the probe runs. */
static napi_value js_want(napi_env env, napi_callback_info info)
{
	struct probe_error error = {};
	struct handle *handle;
	napi_typedarray_type type;
	napi_value arguments[3];
	size_t count = 3, size;
	void *interests;
	bool wants_calls;

	CHECK(env, napi_get_cb_info(env, info, &count, arguments, NULL, NULL));
	handle = handle_of(env, arguments[0]);
	if (!handle)
		return NULL;
	if (napi_get_typedarray_info(env, arguments[1], &type, &size, &interests, NULL, NULL) != napi_ok || type != napi_uint8_array)
		return throw_misuse(env, "want: expected the table's bytes");
	CHECK(env, napi_get_value_bool(env, arguments[2], &wants_calls));
	if (!probe_want(handle->probe, interests, size, wants_calls, &error))
		return throw_probe_error(env, &error);
	return NULL;
}

/* detach(probe): nothing runs in the kernel any more; what the rings hold can still be read. */
static napi_value js_detach(napi_env env, napi_callback_info info)
{
	struct handle *handle;
	napi_value argument;
	size_t count = 1;

	CHECK(env, napi_get_cb_info(env, info, &count, &argument, NULL, NULL));
	handle = handle_of(env, argument);
	if (!handle)
		return NULL;
	probe_stop(handle->probe);
	if (handle->notify)
		napi_release_threadsafe_function(handle->notify, napi_tsfn_abort);
	handle->notify = NULL;
	return NULL;
}

/*
 * advance(probe, positions: Float64Array): gives back what was read and says how far complete records reach now.
 * positions holds, for each ring, the position read up to (in) and the position complete up to (out), behind them the time up to which that is all, then
 * for each ring the bytes in use.
 */
static napi_value js_advance(napi_env env, napi_callback_info info)
{
	struct handle *handle;
	napi_typedarray_type type;
	napi_value arguments[2], result;
	size_t count = 2, length;
	double *positions;

	CHECK(env, napi_get_cb_info(env, info, &count, arguments, NULL, NULL));
	handle = handle_of(env, arguments[0]);
	if (!handle)
		return NULL;
	if (napi_get_typedarray_info(env, arguments[1], &type, &length, (void **)&positions, NULL, NULL) != napi_ok || type != napi_float64_array ||
	    length != 3 * probe_rings(handle->probe)->count + 1)
		return throw_misuse(env, "advance: expected three numbers for each ring, and one more");
	CHECK(env, napi_get_boolean(env, rings_advance(probe_rings(handle->probe), positions), &result));
	return result;
}

/* waitingBytes(probe) -> number: what was not given back, finished or not. */
static napi_value js_waiting_bytes(napi_env env, napi_callback_info info)
{
	struct handle *handle = only_handle(env, info);
	napi_value value;

	if (!handle)
		return NULL;
	CHECK(env, napi_create_double(env, rings_waiting_bytes(probe_rings(handle->probe)), &value));
	return value;
}

/* clockOffset() -> bigint: nanoseconds to add to a time of CLOCK_BOOTTIME to get wall clock. */
static napi_value js_clock_offset(napi_env env, napi_callback_info info)
{
	napi_value value;

	(void)info;
	CHECK(env, napi_create_bigint_int64(env, probe_clock_offset_ns(), &value));
	return value;
}

/* trim(): gives back to the machine what the allocator keeps free. */
static napi_value js_trim(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	malloc_trim(0);
	return NULL;
}

static napi_value js_close(napi_env env, napi_callback_info info)
{
	struct handle *handle = NULL;
	napi_value argument;
	size_t count = 1;
	bool tagged = false;

	CHECK(env, napi_get_cb_info(env, info, &count, &argument, NULL, NULL));
	CHECK(env, napi_check_object_type_tag(env, argument, &PROBE_TAG, &tagged));
	if (!tagged)
		return throw_misuse(env, "close: expected a probe");
	CHECK(env, napi_unwrap(env, argument, (void **)&handle));
	if (handle->probe) {
		probe_stop(handle->probe);
		if (handle->notify)
			napi_release_threadsafe_function(handle->notify, napi_tsfn_abort);
		handle->notify = NULL;
	}
	return NULL;
}

/* test(object: Uint8Array) -> {program, ok, detail, verifiedInstructions}[]: loads each program by itself. */
static napi_value js_test(napi_env env, napi_callback_info info)
{
	struct program_test tests[PROGRAM_TESTS_MAX];
	napi_typedarray_type type;
	napi_value argument, array, entry, ok, instructions;
	size_t count = 1, size;
	void *object;
	int tested;

	CHECK(env, napi_get_cb_info(env, info, &count, &argument, NULL, NULL));
	if (napi_get_typedarray_info(env, argument, &type, &size, &object, NULL, NULL) != napi_ok)
		return throw_misuse(env, "test: expected the object's bytes");
	tested = object_test(object, size, tests);
	CHECK(env, napi_create_array(env, &array));
	for (int i = 0; i < tested; i++) {
		CHECK(env, napi_create_object(env, &entry));
		set_string(env, entry, "program", tests[i].program);
		set_string(env, entry, "detail", tests[i].detail);
		CHECK(env, napi_get_boolean(env, tests[i].ok, &ok));
		CHECK(env, napi_set_named_property(env, entry, "ok", ok));
		CHECK(env, napi_create_uint32(env, tests[i].verified_instructions, &instructions));
		CHECK(env, napi_set_named_property(env, entry, "verifiedInstructions", instructions));
		CHECK(env, napi_set_element(env, array, i, entry));
	}
	return array;
}

NAPI_MODULE_INIT()
{
	static const struct { const char *name; napi_callback function; } functions[] = {
		{ "open", js_open }, { "configure", js_configure }, { "rings", js_rings }, { "attach", js_attach }, { "want", js_want }, { "detach", js_detach }, { "advance", js_advance },
		{ "waitingBytes", js_waiting_bytes },
		{ "drops", js_drops }, { "refusals", js_refusals }, { "processes", js_processes }, { "clockOffset", js_clock_offset }, { "trim", js_trim }, { "close", js_close }, { "test", js_test },
		{ "provoke", js_provoke }, { "reap", js_reap }, { "interests", js_interests }, { "programs", js_programs }, { "mend", js_mend },
		{ "countRuns", js_count_runs }, { "running", js_running }, { "resolve", js_resolve },
	};

	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		napi_value function;

		CHECK(env, napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function));
		CHECK(env, napi_set_named_property(env, exports, functions[i].name, function));
	}
	return exports;
}
