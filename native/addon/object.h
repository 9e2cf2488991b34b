// SPDX-License-Identifier: Apache-2.0
/* The compiled probe on its way into the kernel: which of its programs have a place there, what the verifier says, what nobody may change any more. */
#ifndef SHIKRA_OBJECT_H
#define SHIKRA_OBJECT_H

#include "probe.h"

#define PROGRAM_TESTS_MAX 32
#define OPERATION_PROGRAMS 3

/* Programs that a kernel may have no place for: without io_uring, or before Linux 6.5, which gave its tracepoints these names. Then they are not loaded. */
extern const char *const operation_programs[OPERATION_PROGRAMS];

struct bpf_object;

struct program_test {
	char program[64];
	char detail[1024];
	uint32_t verified_instructions; /* what the verifier looked at */
	bool ok;
};

/* From now on what libbpf and the verifier say in this thread goes to the end of error->log; NULL: nowhere. */
void log_into(struct probe_error *error);
/* Says what failed, in which step; number: of errno, either sign. */
void fail(struct probe_error *error, const char *step, int number, const char *format, ...);
/* Loads the programs, joins them and freezes the maps that only they change. NULL and *error on failure. */
struct bpf_object *object_load(const void *bytes, size_t size, int cpus, struct probe_error *error);
/* A section of the object as the kernel has it; libbpf finds its map by the section it came from. NULL and errno on failure; release with munmap. */
void *object_section(struct bpf_object *object, const char *section, size_t size);
/* Loads each program of the object by itself; returns how many. */
int object_test(const void *bytes, size_t size, struct program_test *tests);

#endif
