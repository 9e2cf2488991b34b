// SPDX-License-Identifier: Apache-2.0
/* What the parts of the addon share on the side of JavaScript. */
#ifndef SHIKRA_JS_H
#define SHIKRA_JS_H

#include "probe.h"

#define NAPI_VERSION 9
#include <node_api.h>

/* Throws the pending Node-API error and returns NULL from the function it stands in. */
#define CHECK(env, call)                                                                                                       \
	do {                                                                                                                   \
		if ((call) != napi_ok) {                                                                                       \
			throw_last_error(env);                                                                                 \
			return NULL;                                                                                           \
		}                                                                                                              \
	} while (0)

/* One opened probe, as JavaScript holds it. */
struct handle {
	struct probe *probe;
	napi_threadsafe_function notify;
};

void throw_last_error(napi_env env);
napi_value throw_misuse(napi_env env, const char *message);
napi_value throw_probe_error(napi_env env, const struct probe_error *error);
/* NULL, and a TypeError, if the value is no open probe. */
struct handle *handle_of(napi_env env, napi_value value);
/* The same of a function's one argument. */
struct handle *only_handle(napi_env env, napi_callback_info info);
bool get_number(napi_env env, napi_value object, const char *key, uint32_t *number);
void set_string(napi_env env, napi_value object, const char *key, const char *text);

/* reports.c */
napi_value js_drops(napi_env env, napi_callback_info info);
napi_value js_refusals(napi_env env, napi_callback_info info);
napi_value js_processes(napi_env env, napi_callback_info info);

/* evidence.c */
napi_value js_provoke(napi_env env, napi_callback_info info);
napi_value js_reap(napi_env env, napi_callback_info info);
napi_value js_interests(napi_env env, napi_callback_info info);
napi_value js_programs(napi_env env, napi_callback_info info);
napi_value js_mend(napi_env env, napi_callback_info info);
napi_value js_count_runs(napi_env env, napi_callback_info info);
napi_value js_running(napi_env env, napi_callback_info info);

/* resolve.c */
napi_value js_resolve(napi_env env, napi_callback_info info);

#endif
