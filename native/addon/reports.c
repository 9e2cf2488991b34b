// SPDX-License-Identifier: Apache-2.0
/* The part of the addon that hands JavaScript what the probe has counted, and the processes that it finds. */
#include "js.h"

#include <stdlib.h>
#include <string.h>

/* An array of so many numbers, and where they are to be written. */
static napi_value float64_array(napi_env env, size_t length, double **values)
{
	napi_value buffer, array;

	CHECK(env, napi_create_arraybuffer(env, length * sizeof(double), (void **)values, &buffer));
	CHECK(env, napi_create_typedarray(env, napi_float64_array, length, buffer, 0, &array));
	return array;
}

/* drops(probe) -> Float64Array: counts by CPU, reason and class, in this order. */
napi_value js_drops(napi_env env, napi_callback_info info)
{
	struct handle *handle = only_handle(env, info);
	napi_value array;
	size_t length;
	double *counts;

	if (!handle)
		return NULL;
	length = probe_drops(handle->probe, NULL, 0);
	array = float64_array(env, length, &counts);
	if (array)
		probe_drops(handle->probe, counts, length);
	return array;
}

/* refusals(probe) -> Float64Array: for each cgroup of which events were refused its id, and how many by class. */
napi_value js_refusals(napi_env env, napi_callback_info info)
{
	double rows[REFUSED_CGROUPS_MAX * PROBE_REFUSAL_COLUMNS];
	struct handle *handle = only_handle(env, info);
	napi_value array;
	size_t length;
	double *values;

	if (!handle)
		return NULL;
	length = probe_refusals(handle->probe, rows, sizeof(rows) / sizeof(*rows));
	array = float64_array(env, length, &values);
	if (array)
		memcpy(values, rows, length * sizeof(double));
	return array;
}

/* processes(probe, pid) -> Uint8Array: process records of all processes (pid 0) or of one. */
napi_value js_processes(napi_env env, napi_callback_info info)
{
	struct probe_error error = {};
	struct handle *handle;
	napi_value arguments[2], buffer;
	size_t count = 2, size;
	uint32_t pid;
	void *records;

	CHECK(env, napi_get_cb_info(env, info, &count, arguments, NULL, NULL));
	handle = handle_of(env, arguments[0]);
	if (!handle)
		return NULL;
	CHECK(env, napi_get_value_uint32(env, arguments[1], &pid));
	records = probe_processes(handle->probe, pid, &size, &error);
	if (!records)
		return throw_probe_error(env, &error);
	if (napi_create_buffer_copy(env, size, records, NULL, &buffer) != napi_ok)
		buffer = NULL;
	free(records);
	return buffer;
}
