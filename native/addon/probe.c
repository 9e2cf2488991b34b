// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* memmem */
#include "probe.h"
#include "canary.h"
#include "hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../bpf/event_host.h"

struct probe {
	struct bpf_object *object;
	struct hooks hooks;
	struct canary canary;
	uint32_t *interests; /* the table that the programs go by; mapped for writing all the time: so nobody else can freeze it */
	size_t interests_bytes;
	int runs_fd; /* while it is open the kernel counts runs; 0: it is not */
	struct rings rings;
	bool wants_calls; /* some rule asks for system calls: sys_exit is hooked */
	bool hooks_calls;
	bool wants_operations; /* some rule asks for what io_uring can do */
	bool hooks_operations;
	bool wants_paths; /* some rule asks for calls on paths: what they name is noted at sys_enter */
	bool hooks_paths;
	int cpus;
};

static const char *const family_programs[FAMILIES] = {
	[FAMILY_OPEN] = "collect_open",
	[FAMILY_PATH] = "collect_path",
	[FAMILY_DESCRIPTOR] = "collect_descriptor",
	[FAMILY_SOCKET] = "collect_socket",
	[FAMILY_SCALAR] = "collect_scalar",
	[FAMILY_SOCKETCALL] = "collect_socketcall",
};

/* Programs that a kernel may have no place for: without io_uring, or before Linux 6.5, which gave its tracepoints these names. */
static const char *const operation_programs[] = { "complete_operation", "submit_operation" };
static const char *const operation_names[] = { "btf_trace_io_uring_submit_req", "btf_trace_io_uring_complete", "io_kiocb", "io_open", "io_connect",
	"io_unlink", "io_rename", "io_link", "io_mkdir", "io_socket", "io_rsrc_data", "io_rsrc_node", "io_file_table", "io_sr_msg",
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

static void log_into(struct probe_error *error)
{
	log_buffer = error ? error->log : NULL;
	log_used = 0;
	libbpf_set_print(collect_log);
}

static void fail(struct probe_error *error, const char *step, int number, const char *format, ...)
{
	va_list arguments;

	error->step = step;
	error->number = number < 0 ? -number : number;
	va_start(arguments, format);
	vsnprintf(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
}

/* A section of the object as the kernel has it; libbpf finds its map by the section it came from. Release with munmap. */
static void *map_section(struct probe *probe, const char *section, size_t size)
{
	struct bpf_map *map = bpf_object__find_map_by_name(probe->object, section);
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
	for (size_t i = 0; i < sizeof(operation_programs) / sizeof(*operation_programs); i++)
		bpf_program__set_autoload(bpf_object__find_program_by_name(object, operation_programs[i]), true);
}

/* Program array slots hold file descriptors, which exist after loading. Every family: rules that come later may want another one. */
static bool fill_families(struct probe *probe)
{
	int map = bpf_object__find_map_fd_by_name(probe->object, "families");

	for (uint32_t family = 0; family < FAMILIES; family++) {
		int fd;

		if (!family_programs[family])
			continue;
		fd = bpf_program__fd(bpf_object__find_program_by_name(probe->object, family_programs[family]));
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

static bool load(struct probe *probe, const void *object, size_t bytes, struct probe_error *error)
{
	int result;

	probe->object = bpf_object__open_mem(object, bytes, NULL);
	if (!probe->object) {
		fail(error, "open", errno, "the object cannot be read: %s", strerror(errno));
		return false;
	}
	if (bpf_map__set_max_entries(bpf_object__find_map_by_name(probe->object, "scratches"), probe->cpus)) {
		fail(error, "open", EINVAL, "the object is not what this addon was built for");
		return false;
	}
	choose_programs(probe->object);
	result = load_undisturbed(probe->object);
	if (result) {
		fail(error, "load", result, "the kernel refused the programs: %s", strerror(-result));
		return false;
	}
	if (!fill_families(probe)) {
		fail(error, "load", errno, "the programs could not be joined: %s", strerror(errno));
		return false;
	}
	if (!freeze_maps(probe->object)) {
		fail(error, "load", errno, "the maps could not be frozen: %s", strerror(errno));
		return false;
	}
	probe->interests_bytes = sizeof(struct interest) * CALL_TABLES * SYSCALL_TABLE_ENTRIES;
	probe->interests = map_section(probe, ".data.interests", probe->interests_bytes);
	if (!probe->interests) {
		fail(error, "load", errno, "the table of interests could not be reached: %s", strerror(errno));
		return false;
	}
	return true;
}

struct probe *probe_open(const void *object, size_t bytes, struct probe_error *error)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	log_into(error);
	if (!probe) {
		fail(error, "open", ENOMEM, "out of memory");
		return NULL;
	}
	probe->cpus = libbpf_num_possible_cpus();
	rings_init(&probe->rings);
	canary_open(&probe->canary);
	if (!load(probe, object, bytes, error)) {
		probe_close(probe);
		return NULL;
	}
	/* libbpf has let go of the kernel's type information, some ten megabytes; the allocator would keep them */
	malloc_trim(0);
	return probe;
}

/* What is set is frozen: nobody changes it while the probe runs. */
static bool set_settings(struct probe *probe, const struct probe_options *options)
{
	struct settings *settings = map_section(probe, ".data.settings", sizeof(*settings));

	if (!settings)
		return false;
	*settings = (struct settings){ .cpus_per_ring = options->cpus_per_ring, .env = options->env };
	for (int kind = 0; kind < RING_KINDS; kind++)
		settings->rings[kind] = ring_settings(options->ring_bytes[kind], options->cpus_per_ring < (uint32_t)probe->cpus ? options->cpus_per_ring : (uint32_t)probe->cpus);
	munmap(settings, sizeof(*settings));
	return !bpf_map_freeze(bpf_map__fd(bpf_object__find_map_by_name(probe->object, ".data.settings")));
}

bool probe_configure(struct probe *probe, const struct probe_options *options, struct probe_error *error)
{
	log_into(error);
	if (probe->rings.count) {
		fail(error, "rings", EBUSY, "the probe has its rings already");
		return false;
	}
	for (int kind = 0; kind < RING_KINDS; kind++) {
		uint32_t bytes = options->ring_bytes[kind];

		if (!bytes || bytes % sysconf(_SC_PAGESIZE) || bytes & (bytes - 1) || !options->cpus_per_ring) {
			fail(error, "rings", EINVAL, "a ring of %u bytes: expected a power of two, at least a page", bytes);
			return false;
		}
	}
	if (!set_settings(probe, options)) {
		fail(error, "rings", errno, "the settings could not be written: %s", strerror(errno));
		return false;
	}
	if (!rings_make(&probe->rings, bpf_object__find_map_fd_by_name(probe->object, "rings"), probe->cpus, options->cpus_per_ring, options->ring_bytes)) {
		fail(error, "rings", errno, "no rings of %u and %u bytes: %s", options->ring_bytes[RING_CALLS], options->ring_bytes[RING_PROCESSES], strerror(errno));
		return false;
	}
	if (bpf_map_freeze(bpf_object__find_map_fd_by_name(probe->object, "rings"))) {
		fail(error, "rings", errno, "the table of rings could not be frozen: %s", strerror(errno));
		return false;
	}
	return true;
}

struct rings *probe_rings(struct probe *probe)
{
	return &probe->rings;
}

static bool hook(struct probe *probe, const char *name, struct probe_error *error)
{
	if (hooks_attach(&probe->hooks, probe->object, name))
		return true;
	fail(error, "attach", errno, "%s could not be attached: %s", name, strerror(errno));
	return false;
}

static bool hook_calls(struct probe *probe, struct probe_error *error)
{
	probe->hooks_calls = hook(probe, "dispatch_sys_exit", error);
	return probe->hooks_calls;
}

/* The end first: of what is submitted before it is hooked, nothing is noted. */
static bool hook_operations(struct probe *probe, struct probe_error *error)
{
	for (size_t i = 0; i < sizeof(operation_programs) / sizeof(*operation_programs); i++)
		if (bpf_program__autoload(bpf_object__find_program_by_name(probe->object, operation_programs[i])) &&
		    !hook(probe, operation_programs[i], error))
			return false;
	probe->hooks_operations = true;
	return true;
}

static bool hook_paths(struct probe *probe, struct probe_error *error)
{
	probe->hooks_paths = hook(probe, "note_paths", error);
	return probe->hooks_paths;
}

static bool hook_wanted(struct probe *probe, struct probe_error *error)
{
	return (!probe->wants_calls || probe->hooks_calls || hook_calls(probe, error)) &&
	       (!probe->wants_paths || probe->hooks_paths || hook_paths(probe, error)) &&
	       (!probe->wants_operations || probe->hooks_operations || hook_operations(probe, error));
}

/*
 * The table is written where the kernel reads it, an entry at a time: a system call meets its old entry or its new one. Once hooked, sys_exit stays so:
 * with an empty table it costs some nanoseconds.
 */
bool probe_want(struct probe *probe, const void *interests, size_t bytes, bool wants_calls, struct probe_error *error)
{
	const size_t first_operation = TABLE_IO_URING * SYSCALL_TABLE_ENTRIES;
	bool wants_operations = false, wants_paths = false;
	uint32_t *entries = probe->interests;

	_Static_assert(sizeof(struct interest) == sizeof(*entries), "an entry is one word");
	log_into(error);
	if (bytes != probe->interests_bytes) {
		fail(error, "want", EINVAL, "a table of %zu bytes: expected %zu", bytes, probe->interests_bytes);
		return false;
	}
	for (size_t i = 0; i < bytes / sizeof(*entries); i++) {
		struct interest interest;
		uint32_t entry;

		memcpy(&interest, (const char *)interests + i * sizeof(entry), sizeof(entry));
		memcpy(&entry, &interest, sizeof(entry));
		__atomic_store_n(&entries[i], entry, __ATOMIC_RELEASE);
		wants_operations |= entry && i >= first_operation && i < first_operation + SYSCALL_TABLE_ENTRIES;
		wants_paths |= interest.family == FAMILY_PATH && i < first_operation;
	}
	probe->wants_calls = wants_calls;
	probe->wants_operations = wants_operations;
	probe->wants_paths = wants_paths;
	return !probe->rings.thread_runs || hook_wanted(probe, error);
}

const void *probe_interests(const struct probe *probe, size_t *bytes)
{
	*bytes = probe->interests_bytes;
	return probe->interests;
}

size_t probe_programs(const struct probe *probe, struct program_state *states, size_t most)
{
	return hooks_states(&probe->hooks, probe->object, states, most);
}

bool probe_mend(struct probe *probe, struct probe_error *error)
{
	log_into(error);
	if (hooks_mend(&probe->hooks, probe->object))
		return true;
	fail(error, "attach", errno, "a program could not be attached again: %s", strerror(errno));
	return false;
}

bool probe_count_runs(struct probe *probe, struct probe_error *error)
{
	int fd = probe->runs_fd ? probe->runs_fd : bpf_enable_stats(BPF_STATS_RUN_TIME);

	log_into(error);
	if (fd < 0) {
		fail(error, "statistics", errno, "the kernel does not count runs for this process: %s", strerror(errno));
		return false;
	}
	probe->runs_fd = fd;
	return true;
}

struct canary *probe_canary(struct probe *probe)
{
	return &probe->canary;
}

bool probe_attach(struct probe *probe, rings_notify notify, void *context, struct probe_error *error)
{
	static const char *const hooks[] = { "collect_fork", "collect_exec", "collect_exit" };

	log_into(error);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
		if (!hook(probe, hooks[i], error)) {
			probe_stop(probe);
			return false;
		}
	}
	/* rules about processes alone ask nothing of other system calls: none is slowed down */
	if (!hook_wanted(probe, error)) {
		probe_stop(probe);
		return false;
	}
	if (!rings_watch(&probe->rings, notify, context)) {
		fail(error, "attach", errno, "the ring's thread could not be started: %s", strerror(errno));
		probe_stop(probe);
		return false;
	}
	return true;
}

int64_t probe_clock_offset_ns(void)
{
	struct timespec boot, wall;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (wall.tv_sec - boot.tv_sec) * 1000000000LL + (wall.tv_nsec - boot.tv_nsec);
}

size_t probe_drops(struct probe *probe, double *counts, size_t length)
{
	size_t each = DROP_REASONS * EVENT_CLASSES, all = each * probe->cpus;
	uint64_t *values;
	uint32_t zero = 0;

	if (!counts || length < all)
		return all;
	values = calloc(all, sizeof(*values));
	if (values && !bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(probe->object, "drops"), &zero, values))
		for (size_t i = 0; i < all; i++)
			counts[i] = values[i];
	free(values);
	return all;
}

size_t probe_refusals(struct probe *probe, double *rows, size_t length)
{
	int map = bpf_object__find_map_fd_by_name(probe->object, "refused");
	uint64_t last, *before = NULL, cgroup_id, counts[EVENT_CLASSES];
	size_t used = 0;

	while (used + PROBE_REFUSAL_COLUMNS <= length && !bpf_map_get_next_key(map, before, &cgroup_id)) {
		if (!bpf_map_lookup_elem(map, &cgroup_id, counts)) {
			rows[used++] = cgroup_id;
			for (int class = 0; class < EVENT_CLASSES; class++)
				rows[used++] = counts[class];
		}
		last = cgroup_id;
		before = &last;
	}
	return used;
}

static void *read_all(int fd, size_t *size, struct probe_error *error)
{
	size_t capacity = 1 << 20;
	char *bytes = malloc(capacity);
	ssize_t got;

	*size = 0;
	while (bytes && (got = read(fd, bytes + *size, capacity - *size)) != 0) {
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got < 0) {
			fail(error, "processes", errno, "reading the process iterator: %s", strerror(errno));
			free(bytes);
			return NULL;
		}
		*size += got;
		if (*size == capacity) {
			char *larger = realloc(bytes, capacity *= 2);

			if (!larger)
				free(bytes);
			bytes = larger;
		}
	}
	if (!bytes)
		fail(error, "processes", ENOMEM, "out of memory");
	return bytes;
}

void *probe_processes(struct probe *probe, uint32_t pid, size_t *size, struct probe_error *error)
{
	union bpf_iter_link_info info = { .task.pid = pid };
	LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_program *program = bpf_object__find_program_by_name(probe->object, "iterate_processes");
	struct bpf_link *link;
	void *records = NULL;
	int fd;

	log_into(error);
	link = bpf_program__attach_iter(program, pid ? &options : NULL);
	if (!link) {
		fail(error, "processes", errno, "the process iterator could not be attached: %s", strerror(errno));
		return NULL;
	}
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		fail(error, "processes", errno, "the process iterator could not be made: %s", strerror(errno));
	else
		records = read_all(fd, size, error);
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return records;
}

void probe_stop(struct probe *probe)
{
	log_into(NULL);
	hooks_detach(&probe->hooks);
	probe->hooks_calls = false;
	probe->hooks_operations = false;
	probe->hooks_paths = false;
	rings_unwatch(&probe->rings);
}

void probe_close(struct probe *probe)
{
	probe_stop(probe);
	if (probe->interests)
		munmap(probe->interests, probe->interests_bytes);
	if (probe->runs_fd)
		close(probe->runs_fd);
	canary_close(&probe->canary);
	rings_close(&probe->rings);
	bpf_object__close(probe->object);
	free(probe);
}

int probe_test(const void *bytes, size_t size, struct probe_test *tests)
{
	int count = 0;

	for (int wanted = 0; wanted < PROBE_TESTS_MAX; wanted++) {
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
