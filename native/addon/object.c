// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* memmem */
#include "object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../bpf/event_host.h"

/* That of the thread that reads the rings (collector/engine/worker.ts). */
#define LOADING_PRIORITY -14

static const char *const family_programs[FAMILIES] = {
	[FAMILY_OPEN] = "collect_open",
	[FAMILY_PATH] = "collect_path",
	[FAMILY_DESCRIPTOR] = "collect_descriptor",
	[FAMILY_SOCKET] = "collect_socket",
	[FAMILY_SCALAR] = "collect_scalar",
	[FAMILY_SOCKETCALL] = "collect_socketcall",
};

/* The end first: of what is submitted before the end is hooked, nothing is noted. */
const char *const operation_programs[OPERATION_PROGRAMS] = { "complete_operation", "overflow_operation", "submit_operation" };
static const char *const operation_names[] = { "btf_trace_io_uring_submit_req", "btf_trace_io_uring_complete", "btf_trace_io_uring_cqe_overflow", "io_kiocb", "io_open", "io_connect",
	"io_unlink", "io_rename", "io_link", "io_mkdir", "io_socket", "io_accept", "io_rsrc_data", "io_rsrc_node", "io_file_table", "io_sr_msg",
	"io_async_msghdr" };

/* libbpf's log goes through one callback for the whole process: each thread collects its own. */
static _Thread_local char *log_buffer;
static _Thread_local size_t log_used;

/* Keeps the end: the verifier tells what it objects to last. */
static int collect_log(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char *text = NULL;
	int length;

	if (!log_buffer || level == LIBBPF_DEBUG)
		return 0;
	length = vasprintf(&text, format, arguments);
	if (length < 0)
		return 0;
	if (length >= PROBE_LOG_BYTES) {
		memcpy(log_buffer, text + length - (PROBE_LOG_BYTES - 1), PROBE_LOG_BYTES - 1);
		log_used = PROBE_LOG_BYTES - 1;
	} else {
		size_t over = log_used + length >= PROBE_LOG_BYTES ? log_used + length - (PROBE_LOG_BYTES - 1) : 0;

		memmove(log_buffer, log_buffer + over, log_used - over);
		log_used -= over;
		memcpy(log_buffer + log_used, text, length);
		log_used += length;
	}
	log_buffer[log_used] = 0;
	free(text);
	return 0;
}

void log_into(struct probe_error *error)
{
	log_buffer = error ? error->log : NULL;
	log_used = 0;
	libbpf_set_print(collect_log);
}

void fail(struct probe_error *error, const char *step, int number, const char *format, ...)
{
	va_list arguments;

	error->step = step;
	error->number = number < 0 ? -number : number;
	va_start(arguments, format);
	vsnprintf(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
}

void *object_section(struct bpf_object *object, const char *section, size_t size)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, section);
	void *at;

	if (!map || bpf_map__value_size(map) != size) {
		errno = EINVAL;
		return NULL;
	}
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	return at == MAP_FAILED ? NULL : at;
}

/* True if the kernel's type information names all of these; libbpf asks for more rights than the agent has when it meets a name that is not there. */
static bool kernel_has(const char *const *names, size_t count)
{
	int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
	size_t size = 0, capacity = 16 << 20, found = 0;
	char *text = fd < 0 ? NULL : malloc(capacity);
	ssize_t got;

	while (text && size < capacity && (got = read(fd, text + size, capacity - size)) > 0)
		size += got;
	for (; text && found < count; found++) {
		char name[64] = {};
		int length = snprintf(name + 1, sizeof(name) - 1, "%s", names[found]);

		if (!memmem(text, size, name, length + 2))
			break;
	}
	free(text);
	if (fd >= 0)
		close(fd);
	return found == count;
}

static void choose_programs(struct bpf_object *object)
{
	if (!kernel_has(operation_names, sizeof(operation_names) / sizeof(*operation_names)))
		return;
	for (size_t i = 0; i < OPERATION_PROGRAMS; i++)
		bpf_program__set_autoload(bpf_object__find_program_by_name(object, operation_programs[i]), true);
}

/* Program array slots hold file descriptors, which exist after loading. Every family: rules that come later may want another one. */
static bool fill_families(struct bpf_object *object)
{
	int map = bpf_object__find_map_fd_by_name(object, "families");

	for (uint32_t family = 0; family < FAMILIES; family++) {
		int fd;

		if (!family_programs[family])
			continue;
		fd = bpf_program__fd(bpf_object__find_program_by_name(object, family_programs[family]));
		if (fd < 0 || bpf_map_update_elem(map, &family, &fd, BPF_ANY))
			return false;
	}
	return true;
}

/*
 * What only the programs change from here on, and the joints between them: from outside, root included, nobody can write there any more. The settings and
 * the table of rings follow when they are set. Not the interests, which change with the rules.
 */
static bool freeze_maps(struct bpf_object *object)
{
	static const char *const names[] = { "families", "scratches", "iterator_scratch", "drops", "shares", "refused", "noted_paths", "operations" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (bpf_map_freeze(bpf_object__find_map_fd_by_name(object, names[i])))
			return false;
	return true;
}

/* The verifier gives up with EAGAIN when a signal comes; a profiler's or a child's must not decide whether the probe loads. */
static int load_undisturbed(struct bpf_object *object)
{
	sigset_t all, before;
	int result;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	result = bpf_object__load(object);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}

/* Nothing of what a start does takes as long, and all else waits for it: this thread goes before others where CAP_SYS_NICE allows it. */
static int load_first(struct bpf_object *object)
{
	int usual = getpriority(PRIO_PROCESS, 0), result;

	setpriority(PRIO_PROCESS, 0, LOADING_PRIORITY);
	choose_programs(object);
	result = load_undisturbed(object);
	setpriority(PRIO_PROCESS, 0, usual);
	return result;
}

struct bpf_object *object_load(const void *bytes, size_t size, int cpus, struct probe_error *error)
{
	struct bpf_object *object = bpf_object__open_mem(bytes, size, NULL);
	int result;

	if (!object) {
		fail(error, "open", errno, "the object cannot be read: %s", strerror(errno));
		return NULL;
	}
	if (bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "scratches"), cpus)) {
		fail(error, "open", EINVAL, "the object is not what this addon was built for");
		goto failed;
	}
	result = load_first(object);
	if (result) {
		fail(error, "load", result, "the kernel refused the programs: %s", strerror(-result));
		goto failed;
	}
	if (!fill_families(object)) {
		fail(error, "load", errno, "the programs could not be joined: %s", strerror(errno));
		goto failed;
	}
	if (!freeze_maps(object)) {
		fail(error, "load", errno, "the maps could not be frozen: %s", strerror(errno));
		goto failed;
	}
	return object;

failed:
	bpf_object__close(object);
	return NULL;
}

int object_test(const void *bytes, size_t size, struct program_test *tests)
{
	int count = 0;

	for (int wanted = 0; wanted < PROGRAM_TESTS_MAX; wanted++) {
		struct probe_error error = {};
		struct bpf_object *object;
		struct bpf_program *program, *tested = NULL;
		struct bpf_prog_info info = {};
		__u32 length = sizeof(info);
		int index = 0, result;
		bool has_place = false;

		log_into(&error);
		object = bpf_object__open_mem(bytes, size, NULL);
		if (!object)
			return count;
		choose_programs(object);
		bpf_object__for_each_program(program, object) {
			bool chosen = index++ == wanted;

			if (chosen) {
				snprintf(tests[count].program, sizeof(tests[count].program), "%s", bpf_program__name(program));
				has_place = bpf_program__autoload(program);
				tested = program;
			}
			bpf_program__set_autoload(program, chosen && has_place);
		}
		if (wanted >= index) {
			bpf_object__close(object);
			return count;
		}
		result = load_undisturbed(object);
		tests[count].ok = result == 0;
		tests[count].verified_instructions = result || bpf_obj_get_info_by_fd(bpf_program__fd(tested), &info, &length) ? 0 : info.verified_insns;
		tests[count].detail[0] = 0;
		if (!has_place)
			snprintf(tests[count].detail, sizeof(tests[count].detail), "this kernel has no io_uring, or is older than 6.5: its operations are not seen");
		else if (result)
			snprintf(tests[count].detail, sizeof(tests[count].detail), "%s: ...%s", strerror(-result), error.log + (log_used > 800 ? log_used - 800 : 0));
		count++;
		bpf_object__close(object);
	}
	return count;
}
