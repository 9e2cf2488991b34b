// SPDX-License-Identifier: Apache-2.0
#include "probe.h"
#include "canary.h"
#include "hooks.h"
#include "object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
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
	probe->object = object_load(object, bytes, probe->cpus, error);
	if (!probe->object) {
		probe_close(probe);
		return NULL;
	}
	probe->interests_bytes = sizeof(struct interest) * CALL_TABLES * SYSCALL_TABLE_ENTRIES;
	probe->interests = object_section(probe->object, ".data.interests", probe->interests_bytes);
	if (!probe->interests) {
		fail(error, "load", errno, "the table of interests could not be reached: %s", strerror(errno));
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
	struct settings *settings = object_section(probe->object, ".data.settings", sizeof(*settings));

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

static bool hook_operations(struct probe *probe, struct probe_error *error)
{
	for (size_t i = 0; i < OPERATION_PROGRAMS; i++)
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
